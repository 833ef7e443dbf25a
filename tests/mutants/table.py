"""All mutants, by what the safeguard is for."""

from itertools import chain
from typing import Final

from tests.mutants.mutant import Mutant
from tests.mutants.table_account import ACCOUNT
from tests.mutants.table_alerts import ALERTS
from tests.mutants.table_answers import ANSWERS
from tests.mutants.table_backup import BACKUP
from tests.mutants.table_exits import EXITS
from tests.mutants.table_hand import HAND
from tests.mutants.table_hostile import HOSTILE
from tests.mutants.table_key import KEY
from tests.mutants.table_limits import LIMITS
from tests.mutants.table_logs import LOGS
from tests.mutants.table_loss import LOSS
from tests.mutants.table_model import MODEL
from tests.mutants.table_odd_answers import ODD_ANSWERS
from tests.mutants.table_orders import ORDERS
from tests.mutants.table_outside import OUTSIDE
from tests.mutants.table_prices import PRICES
from tests.mutants.table_process import PROCESS
from tests.mutants.table_sales import SALES
from tests.mutants.table_stops import STOPS
from tests.mutants.table_stream import STREAM
from tests.mutants.table_unsold import UNSOLD
from tests.mutants.table_web import WEB

MUTANTS: Final[tuple[Mutant, ...]] = tuple(
    chain(
        ORDERS,
        ANSWERS,
        ODD_ANSWERS,
        HAND,
        EXITS,
        STOPS,
        SALES,
        UNSOLD,
        ALERTS,
        ACCOUNT,
        KEY,
        LIMITS,
        LOSS,
        MODEL,
        OUTSIDE,
        PRICES,
        STREAM,
        PROCESS,
        LOGS,
        WEB,
        HOSTILE,
        BACKUP,
    )
)
