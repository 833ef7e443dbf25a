"""How the process is doing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NotRequired, Protocol, TypedDict


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """The connections of one process, those it lends in shares included.

    Attributes:
        waiting: callers that stand in a queue for one right now.
        waits, waited_s: callers that had to, since the start, and for how long together.
        refused: callers that got none in time, or found the queue full, since the start.
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
        """Ask the server for one row. Raises StoreBusy, StoreDown or StoreTimeout."""

    def state(self) -> PoolState: ...

    def wait_p95_ms(self) -> float | None:
        """Return how long callers wait for a connection lately; None where too few have asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """One repeating job as the runner sees it. Instants are the market's."""

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
    skipped: int  #: grid points without a pass: the last one ran on, or we were asked to wait
    beat_at: float  #: `Clock.monotonic()` of the last sign of life
    beat_within_s: float  #: real seconds within which the next sign of life is due
    last_failure_at: datetime | None = None
    is_enabled: bool = True  #: False where the operator has switched it off
    restarts: int = 0  #: since the start of the process
    restarts_in_a_row: int = 0  #: without a pass that ended between them
    restarted_at: float | None = None  #: `Clock.monotonic()` of the last restart


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
    wait_p95_ms: float | None  #: of the last half minute; null where fewer than twenty have asked


class JobBody(TypedDict):
    last_success_at: str | None
    consecutive_failures: int
    next_run_at: str | None
    restarts: NotRequired[int]  #: left out while there was none
    enabled: NotRequired[bool]  #: left out while it is


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


class TradingBody(TypedDict):
    state: (
        str  #: ACTIVE, DISABLED (trading_enabled is false), HALTED or STANDBY (may not trade yet)
    )
    reason: str | None
    since: str | None


class HealthBody(TypedDict):
    status: Literal["healthy", "degraded", "unhealthy"]
    mode: str
    version: str
    time: str
    uptime_seconds: int
    trading: TradingBody
    components: dict[str, ComponentBody]


class HealthSource(Protocol):
    """Answers from a snapshot; never does I/O."""

    def body(self) -> HealthBody: ...

    def is_ready(self) -> bool:
        """Whether traffic may come: database fine, start-up reconciliation done, not draining."""


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
