"""One typed key per dependency; app/handlers.py binds them, in tests too."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from aiohttp import web

from service.config import Config
from service.domain.markets import Balance, Market
from service.domain.orders import Intent, OrderList
from service.domain.signals import Signal
from service.flows.daily_loss import DailyLossGuard
from service.flows.flatten import Flattener
from service.flows.leadership import Leadership
from service.flows.manual_orders import PlacedOrder
from service.flows.protect import Protector
from service.flows.trading_switch import TradingSwitch
from service.flows.volatility import VolatilityGuard
from service.ports.account import AccountLists, Deposits
from service.ports.alerts import Acknowledgements
from service.ports.clock import MarketClock, RealClock
from service.ports.health import Database, HealthSource, Jobs, JobState
from service.ports.machine import MachineBody
from service.ports.price_feed import LiveFigures
from service.ports.queries import Lists, Portfolio, Statistics
from service.ports.store import Audit, Orders
from service.settings.settings import Settings


class Generate(Protocol):
    async def __call__(self, market: Market, /) -> Signal:
        """Ask the model about `market` now. Raises: TooSoon, within the cooldown; BoundaryError."""


class Reconcile(Protocol):
    async def __call__(self) -> int:
        """Look up every open order at the exchange; return how many moved.

        Raises: NotLeader; TooSoon, while another request does so.
        """


class Flatten(Protocol):
    async def __call__(
        self, markets: Sequence[Market] | None, *, actor: str, request_id: str | None
    ) -> None:
        """Halt and begin to sell. Raises: NotLeader; BoundaryError, with the halt in force."""


class PlaceOrder(Protocol):
    async def __call__(self, intent: Intent, /, *, idempotency_key: str, actor: str) -> PlacedOrder:
        """Place an order by hand. Raises: what `ManualOrders.place` does."""


class CancelOrder(Protocol):
    async def __call__(self, order_id: int, /, *, by: str) -> None:
        """Have an order end. Raises: what `OrderCancels.request` does."""


class DeclareNotPlaced(Protocol):
    async def __call__(self, order_id: int, /, *, by: str) -> None:
        """End an order that never arrived. Raises: what `NotPlacedOrders.declare` does."""


class ShownBalances(Protocol):
    async def __call__(self) -> tuple[Mapping[str, Balance], float]:
        """Return the account's balances by currency, and the answer's age in seconds."""


class ExternalOrders(Protocol):
    async def __call__(self) -> tuple[OrderList, float]:
        """Return the account's open orders, and the answer's age in seconds."""


class RunJob(Protocol):
    async def __call__(self, name: str, /) -> JobState:
        """Start a pass now; return the job's state. Raises: NotFound, NotLeader, TooSoon."""


CONFIG = web.AppKey("config", Config)
CLOCK = web.AppKey[MarketClock]("clock")
HEALTH = web.AppKey[HealthSource]("health")
LIVE = web.AppKey[Callable[[], LiveFigures]]("live")
LISTS = web.AppKey[Lists]("lists")
ORDERS = web.AppKey[Orders]("orders")
BALANCES = web.AppKey[ShownBalances]("balances")
SETTINGS = web.AppKey("settings", Settings)
DATABASE = web.AppKey[Database]("database")
JOBS = web.AppKey[Jobs]("jobs")
AUDIT = web.AppKey[Audit]("audit")
ACKNOWLEDGEMENTS = web.AppKey[Acknowledgements]("acknowledgements")
GENERATE = web.AppKey[Generate]("generate")
PLACE_ORDER = web.AppKey[PlaceOrder]("place_order")
CANCEL_ORDER = web.AppKey[CancelOrder]("cancel_order")
DECLARE_NOT_PLACED = web.AppKey[DeclareNotPlaced]("declare_not_placed")
EXTERNAL_ORDERS = web.AppKey[ExternalOrders]("external_orders")
RECONCILE = web.AppKey[Reconcile]("reconcile")
STATISTICS = web.AppKey[Statistics]("statistics")
PORTFOLIO = web.AppKey[Portfolio]("portfolio")
ACCOUNT_LISTS = web.AppKey[AccountLists]("account_lists")
DEPOSITS = web.AppKey[Deposits]("deposits")
REAL_CLOCK = web.AppKey[RealClock]("real_clock")  #: for requests: they come in real time
#: Returns the metrics of the process as Prometheus text.
EXPOSITION = web.AppKey[Callable[[], bytes]]("exposition")
#: Returns what the machine and this process use.
MACHINE = web.AppKey[Callable[[], Awaitable[MachineBody]]]("machine")
TRADING_SWITCH = web.AppKey("trading_switch", TradingSwitch)
DAILY_LOSS = web.AppKey("daily_loss", DailyLossGuard)
VOLATILITY = web.AppKey("volatility", VolatilityGuard)
LEADERSHIP = web.AppKey("leadership", Leadership)
PROTECTOR = web.AppKey("protector", Protector)
FLATTENER = web.AppKey("flattener", Flattener)
FLATTEN = web.AppKey[Flatten]("flatten")
RUN_JOB = web.AppKey[RunJob]("run_job")
#: Real seconds a request's body may take to arrive; `setup` sets the default.
BODY_WITHIN_S = web.AppKey("body_within_s", float)
