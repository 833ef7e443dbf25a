"""What protection keeps of each position beyond the position itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from service.domain.markets import Market
from service.domain.orders import Breach


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProtection:
    """Of the position that was opened at `opened_at`.

    Attributes:
        highest: the highest price since then.
        exit: why it is being sold; None: no rule sells it.
        is_dust: what is left of it is below the exchange's smallest order, and that was told.
    """

    market: Market
    opened_at: datetime
    highest: Decimal
    exit: Breach | None = None
    is_dust: bool = False


class Protections(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def all(self) -> Sequence[StoredProtection]:
        """Return the newest of each market, of closed positions too."""

    async def save(self, rows: Sequence[StoredProtection], *, at: datetime) -> None:
        """Store each over the market's last one; the highest price of a position never falls.

        The first time that a position is dust is a risk event, in the same transaction.
        """

    async def highest(
        self, market: Market, *, since: datetime, max_jump_pct: Decimal
    ) -> Decimal | None:
        """Return the highest price in the stored minutes that began since, None without any.

        A minute whose high is further than that above its open and its close is left out: one odd
        number must not raise a trailing stop above the market.
        """
