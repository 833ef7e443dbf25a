"""The state of the process for the health report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NotRequired, Protocol

from typing_extensions import TypedDict

from service.domain.stuck_orders import OpenOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """The connections of one process, those in sub-pools included.

    Attributes:
        waiting: callers in a queue for a connection now.
        waits, waited_s: callers that had to wait since the start, and the sum of their waits.
        refused: callers since the start that timed out in the queue or found it full.
    """

    size: int
    free: int
    max: int
    waiting: int
    waits: int = 0
    waited_s: float = 0.0
    refused: int = 0


class Database(Protocol):
    async def ping(self) -> None:
        """Query one row from the server. Raises StoreBusy, StoreDown or StoreTimeout."""

    def state(self) -> PoolState: ...

    def wait_p95_ms(self) -> float | None:
        """Return the recent p95 of waits for a connection; None after too few requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """The runner's state of one repeating job. Instants are the market's."""

    name: str
    every_s: float  #: period, market seconds
    running: bool
    last_start_at: datetime | None
    last_success_at: datetime | None
    last_error: str | None  #: class name of the last failure's error, None after a success
    last_duration_ms: float | None  #: real time
    next_run_at: datetime | None
    consecutive_failures: int
    runs: int
    skipped: (
        int  #: grid points without a pass: an earlier pass still ran, or a server asked us to wait
    )
    beat_at: float  #: `RealClock.monotonic()` of the last sign of life
    beat_within_s: float  #: real seconds until the next sign of life is overdue
    last_failure_at: datetime | None = None
    is_enabled: bool = True  #: False when the operator has switched it off
    restarts: int = 0  #: since the start of the process
    restarts_in_a_row: int = 0  #: without a pass that ended between them
    restarted_at: float | None = None  #: `RealClock.monotonic()` of the last restart


class Jobs(Protocol):
    def states(self) -> Sequence[JobState]: ...


class PoolBody(TypedDict):
    size: int
    free: int
    max: int
    waiting: int


class PoolMetrics(PoolBody):
    waits: int
    waited_s: float
    refused: int
    wait_p95_ms: float | None  #: of the last half minute; null with fewer than twenty requests


class JobBody(TypedDict):
    last_success_at: str | None
    consecutive_failures: int
    next_run_at: str | None
    restarts: NotRequired[int]  #: absent while there was none
    enabled: NotRequired[bool]  #: absent while true


class StuckBody(TypedDict):
    id: int
    identifier: str
    market: str
    status: str
    age_seconds: int
    what_to_do: str


class ComponentBody(TypedDict):
    status: Literal["healthy", "warning", "unhealthy"]
    reason: str | None
    message: str | None
    latency_ms: NotRequired[float | None]
    checked_at: NotRequired[str | None]
    pool: NotRequired[PoolBody]
    jobs: NotRequired[dict[str, JobBody]]
    last_at: NotRequired[str | None]
    age_seconds: NotRequired[int | None]
    unknown_orders: NotRequired[int]
    open_orders: NotRequired[dict[str, int]]  #: by status; absent until they were read
    orders_aside: NotRequired[int]  #: of the stuck ones those that are put aside
    stuck_orders: NotRequired[int]  #: of them those that have passed their bound
    stuck: NotRequired[list[StuckBody]]  #: the first of these


#: The trading state is not known: what was read of it is too old.
UNREAD: Final = "UNKNOWN"


class TradingBody(TypedDict):
    state: str  #: of domain.trading_states.TradingStatus, or UNREAD
    reason: str | None
    since: str | None
    age_seconds: int | None  #: since the database was read for it, real time; None before


class HealthBody(TypedDict):
    status: Literal["healthy", "degraded", "unhealthy"]
    mode: str
    version: str
    time: str
    uptime_seconds: int
    trading: TradingBody
    components: dict[str, ComponentBody]


@dataclass(frozen=True, slots=True)
class StuckOrders:
    """Attributes:
    orders: that have passed their bound.
    is_whole: False where there may be more of them.
    reading: the number of the reading that found them.
    """

    orders: Sequence[OpenOrder]
    is_whole: bool
    reading: int


class HealthSource(Protocol):
    """Reads a snapshot in memory; does no I/O."""

    def body(self) -> HealthBody: ...

    def stuck_orders(self) -> StuckOrders | None:
        """Return the orders beyond their bound; None while the orders cannot be read."""

    def is_ready(self) -> bool:
        """Return whether to send traffic: database up, start-up orders reconciled, not draining."""


class CacheStats(TypedDict):
    hits: int
    misses: int
    hit_ratio: float | None
    loads: int
    load_failures: int
    invalidations: int
    entries: int


class ConcurrencyState(TypedDict):
    """One class of requests."""

    limit: int
    at_work: int
    waiting: int
    refused: int  #: since the start
