"""What the flows, the loops and the web need from outside, in our own words."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple, NotRequired, Protocol, TypedDict

from service.domain.alerts import Notice, Severity
from service.domain.latency import Sketch
from service.domain.markets import Balance, Candle, Market, MarketRules, Ticker, Timeframe
from service.domain.orders import ExchangeOrder, Fill, Intent, Order, OrderStatus
from service.domain.portfolio import Equity
from service.domain.positions import Position
from service.domain.risk import Verdict
from service.domain.signals import Answer, Proposal, Signal

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]


class Clock(Protocol):
    """Time as an argument. In the sandbox the market's time may run faster than ours."""

    def now(self) -> datetime:
        """Return the market's instant, aware UTC: what is stored and what ages are taken from."""

    def monotonic(self) -> float:
        """Return real seconds, for measured durations and network deadlines."""

    async def sleep(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait so many of the market's seconds, or until `wake` is set."""

    async def pause(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait so many real seconds, or until `wake` is set: what a network needs."""

    def participant(self) -> AbstractAsyncContextManager[None]:
        """Hold the market's time back while awake in here.

        At full speed it jumps from one sleep's end to the next, never over somebody at work.
        """


# --- the exchange and the model ---------------------------------------------------------------


class Exchange(Protocol):
    """Raises ExchangeUnavailable or ExchangeRefused; `submit` and `cancel` also OutcomeUnknown."""

    async def markets(self) -> frozenset[Market]: ...

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]: ...

    async def candles(
        self, market: Market, timeframe: Timeframe, *, count: int, before: datetime | None = None
    ) -> tuple[Candle, ...]:
        """Return at most `count` (1..200) candles, oldest first, gaps left out.

        The newest may still be running. `before` is exclusive.
        """

    async def rules(self, market: Market) -> MarketRules: ...

    async def balances(self) -> Mapping[str, Balance]:
        """Return every currency of the account by its name."""

    def check_orders(self) -> None:
        """Raise what `submit` would raise without a request: a wait that the server asked for."""

    async def submit(self, intent: Intent, *, identifier: str) -> ExchangeOrder:
        """Send the order, once. OutcomeUnknown: it may be on the book, find it."""

    async def find(self, identifier: str) -> ExchangeOrder | None:
        """Return the order with its trades, or None when the exchange knows no such order."""

    async def cancel(self, identifier: str) -> None:
        """Ask for cancellation; accepted is not done, so look at the order afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    system: str
    facts: str


class Model(Protocol):
    """Raises ModelUnavailable or ModelRefused; an unusable answer is a value, not an error."""

    def check(self, model: str) -> None:
        """Raise what `ask` would raise without a request: a wait that the server asked for."""

    async def ask(self, prompt: Prompt, *, model: str) -> Answer: ...


# --- what is written down -----------------------------------------------------------------------


class MarketData(Protocol):
    async def add_tickers(self, tickers: Sequence[Ticker], *, at: datetime) -> None:
        """Store one row a ticker; `at` is when we asked."""

    async def latest_id(self, market: Market) -> int | None:
        """Return the id of the newest ticker row."""

    async def newest_prices(
        self, markets: Sequence[Market], *, since: datetime
    ) -> Mapping[Market, Decimal]:
        """Return the newest price of each market that has one not older than `since`."""

    async def newest_candle_at(self, market: Market, timeframe: Timeframe) -> datetime | None:
        """Return when the newest stored candle opened."""

    async def put_candles(self, candles: Sequence[Candle]) -> None:
        """Insert, or overwrite the candle that was still running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One question to the model, answered or not."""

    model: str
    purpose: str
    started_at: datetime
    duration_ms: float
    outcome: Literal["ok", "unusable", "error"]
    why: str | None
    answer: Answer | None
    cost_usd: Decimal | None


class Journal(Protocol):
    """What was proposed and what became of it: rows that are written once."""

    async def add_call(self, call: ModelCall) -> int: ...

    async def add_signal(
        self,
        *,
        market: Market,
        proposal: Proposal,
        model: str,
        price: Decimal,
        market_data_id: int | None,
        call_id: int,
        facts: Mapping[str, JSON],
        trigger: str,
        at: datetime,
    ) -> Signal: ...

    async def add_decision(self, *, signal_id: int, verdict: Verdict, at: datetime) -> int:
        """Store it once; written again with the same verdict, return the row that stands.

        Raises: DomainError, when the signal was decided otherwise before.
        """

    async def undecided(self, market: Market, *, before: datetime) -> Sequence[int]:
        """Return the signals made before then that have no decision, oldest first."""

    async def last_signal_at(self, market: Market) -> datetime | None: ...


class Orders(Protocol):
    async def add(
        self,
        intent: Intent,
        *,
        identifier: str,
        decision_id: int | None,
        at: datetime,
        epoch: int,
    ) -> Order:
        """Write the order as PENDING with `sent_at` set, committed before the request leaves.

        Raises: NotLeader, when `epoch` is no longer the trading lease's.
        """

    async def advance(
        self, order: Order, *, seen: OrderStatus, fills: Sequence[Fill] = (), at: datetime
    ) -> bool:
        """Store the order's new state and its new fills, and move the position, all or nothing.

        False, and nothing stored, when the order is no longer in status `seen` or one of the
        fills is booked already: its fee was shared out on a stale view, so look again.
        """

    async def open(self, market: Market | None = None) -> tuple[Order, ...]:
        """Return the orders that are not settled, oldest first."""

    async def count_since(self, at: datetime) -> int:
        """Return how many orders were written at or after `at`, in all markets."""

    async def fills(self, order_id: int) -> tuple[Fill, ...]: ...

    async def position(self, market: Market) -> Position: ...

    async def positions(self) -> tuple[Position, ...]:
        """Return the position of every market that ever had a fill, closed ones too."""


class Equities(Protocol):
    async def add(self, equities: Sequence[Equity], *, at: datetime) -> None:
        """Store the account at this minute, in one transaction with the hour's row.

        A minute that is stored, or older than the newest of its hour, stays as it is.
        """


class Lease(Protocol):
    """At most one process trades. A fencing token tells a stale owner from the present one."""

    async def acquire(self) -> int | None:
        """Take or renew the lease; return its epoch, or None when another process holds it."""

    async def release(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    state: Literal["ACTIVE", "HALTED"]
    reason: str | None
    since: datetime
    halted_by: str | None = None  #: a rule of ours, e.g. system:clock, or a caller's name


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskEvent:
    """What stopped trading, or let it go on."""

    event: Literal["HALTED", "RESUMED"]
    reason: str  #: a short stable word, e.g. clock_skew
    actor: str
    at: datetime
    detail: Mapping[str, JSON]


class State(Protocol):
    async def trading_state(self) -> TradingState: ...

    async def halt(
        self, *, reason: str, actor: str, at: datetime, detail: Mapping[str, JSON]
    ) -> bool:
        """Halt trading, with its risk event and alert in one transaction.

        False, and nothing stored, when it is halted already, by whomever.
        """

    async def resume(
        self, *, reason: str, actor: str, at: datetime, detail: Mapping[str, JSON]
    ) -> bool:
        """End the halt that `actor` made for `reason`; False, when no such halt stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    key: str
    old: JSON  #: the stored value, or the default where none was stored
    new: JSON  #: equals `old` when the default was stored: a later default does not replace it
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRule:
    """What must hold of several settings together, whoever changes which of them.

    Attributes:
        keys: the settings it is about.
        check: gets what would be stored of them; raises to have nothing stored.
    """

    keys: tuple[str, ...]
    check: Callable[[Mapping[str, JSON]], None]


class SettingRows(Protocol):
    async def load(self, key: str) -> tuple[JSON] | None:
        """Return the stored value in a 1-tuple, or None when the operator never set it."""

    async def change(
        self,
        values: Mapping[str, JSON],
        *,
        defaults: Mapping[str, JSON],
        by: str,
        at: datetime,
        request_id: str | None,
        only_absent: bool = False,
        rule: SharedRule | None = None,
    ) -> tuple[SettingChange, ...]:
        """Store all values or none, with their change and audit rows and the notification to
        other processes, in one transaction. A value equal to the stored one is no change.
        `only_absent` leaves alone what is already stored. Returns what really changed, each old
        value read under the lock of its row; of a key without a row it is the one in `defaults`.
        Changes under a rule come one after the other, in all processes together.
        """


class Audit(Protocol):
    async def add(
        self,
        *,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, JSON],
        request_id: str | None,
        at: datetime,
    ) -> None:
        """Record who asked for what, e.g. admin@127.0.0.1, order.sync; committed on return."""


# --- what a person is told --------------------------------------------------------------------


class Alerts(Protocol):
    """The outbox as whoever has something to tell sees it; docs/alerts.md has the table."""

    async def raise_alert(
        self,
        *,
        key: str,
        severity: Severity,
        title: str,
        body: str,
        at: datetime,
        lasts: bool = True,
    ) -> None:
        """Queue an alert, or count it to the open one with the same key.

        `lasts`: a problem that goes on until `recovered`; else over as soon as it is told. Nothing
        secret and no balance in any text. Longer texts are cut.
        """

    async def recovered(self, *, key: str, title: str, at: datetime) -> None:
        """End the open problem under `key`, if there is one; told only where the problem was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message on its way."""

    id: int
    severity: Severity
    is_recovery: bool = False
    title: str
    body: str
    occurrences: int = 1
    attempts: int = 1  #: this one included
    delivered_to: frozenset[str] = frozenset()  #: names of the targets that have it


class AlertOutbox(Alerts, Protocol):
    """The outbox as the sender sees it. Several processes may send: no message twice at once."""

    async def put(self, notice: Notice, *, told: bool = False) -> None:
        """Queue `notice`; `told`, when it has been sent already, while nothing could be stored."""

    async def open_keys(self) -> frozenset[str]:
        """Return the keys of the problems that are not over."""

    async def claim(self, *, least: Severity) -> tuple[Outgoing, ...]:
        """Return what is due, oldest first, and mark it as being sent: what is not settled in
        time is due again. Settles what need not be sent: below `least`, or held in a summary.
        """

    async def delivered(self, alert_id: int, *, target: str) -> None:
        """Note that `target` has the message; committed on return."""

    async def settle(self, message: Outgoing, *, error: str | None) -> bool:
        """Note that every target has it (None), or plan the next attempt; False: given up."""

    async def suppress_all(self) -> tuple[Outgoing, ...]:
        """Note that there is nobody to send to, and return what nobody will get."""


class Target(Protocol):
    @property
    def name(self) -> str:
        """Tells targets apart and shows no secret, e.g. 1:jsons://alerts.example.com."""

    async def send(self, message: Outgoing) -> str | None:
        """Return None when it was taken, else a short code, e.g. refused or timeout."""


# --- what the web shows ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """Where a page ends: lists are ordered newest first by (at, id)."""

    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    items: bytes  #: a JSON array, ready to send
    last: Key | None  #: of the last item, None when nothing follows


class Lists(Protocol):
    """Read side of the API. Each method is one statement that returns ready JSON, newest first;
    money as decimal strings, instants as RFC 3339 UTC.
    """

    async def market_history(
        self, market: Market, *, limit: int, before: Key | None = None
    ) -> Page: ...

    async def market_latest(self, markets: Sequence[Market]) -> bytes:
        """Return a JSON array: the newest ticker row of each market."""

    async def market_candles(
        self, market: Market, timeframe: Timeframe, *, limit: int, before: Key | None = None
    ) -> Page: ...

    async def market_summary(self, market: Market, *, since: datetime) -> bytes:
        """Return a JSON object: count, first, last, low, high, average, change since `since`."""

    async def collector_stats(self, markets: Sequence[Market], *, since: datetime) -> bytes:
        """Return a JSON array: rows stored since `since`, newest row, longest gap, a market."""

    async def signals(
        self,
        *,
        limit: int,
        before: Key | None = None,
        market: Market | None = None,
        action: str | None = None,
        market_data_id: int | None = None,
    ) -> Page:
        """Args: market_data_id: only signals that were made from this row of prices."""

    async def signal(self, signal_id: int) -> bytes | None: ...

    async def signals_latest(self, markets: Sequence[Market]) -> bytes: ...

    async def orders(
        self,
        *,
        limit: int,
        before: Key | None = None,
        market: Market | None = None,
        status: OrderStatus | None = None,
    ) -> Page: ...

    async def order(self, order_id: int) -> bytes | None:
        """Return the order with its fills, its decision's checks and its signal's id."""

    async def fills(
        self, *, limit: int, before: Key | None = None, market: Market | None = None
    ) -> Page: ...

    async def config_changes(
        self, *, limit: int, before: Key | None = None, key: str | None = None
    ) -> Page: ...

    async def alerts(
        self,
        *,
        limit: int,
        before: Key | None = None,
        state: str | None = None,
        severity: str | None = None,
    ) -> Page: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What health needs to know of the recent past."""

    last_signal_at: datetime | None
    last_order_at: datetime | None
    last_order_status: OrderStatus | None
    unknown_orders: int
    oldest_unknown_at: datetime | None


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


class RecentActivity(Protocol):
    async def activity(self) -> Activity: ...


# --- how the process is doing -----------------------------------------------------------------


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


class LaneState(TypedDict):
    """One class of requests."""

    limit: int
    at_work: int
    waiting: int
    refused: int  #: since the start


# --- what is measured ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One pass of a job as it goes on record."""

    run_id: str
    job: str
    started_at: datetime  #: the market's instant
    finished_at: datetime  #: real time
    duration_ms: float  #: real time, to the microsecond, as in its log line
    attempts: int
    error: str | None  #: class name, None for a success
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSlot:
    """One minute of requests to one route with one kind of outcome."""

    minute: datetime  #: real time, when it began
    route: str  #: the template, never the path
    method: str
    status_class: int  #: first digit of the status
    sketch: Sketch


class Requests(Protocol):
    """Hears of every request; called on the hot path, so it neither waits nor raises."""

    def began(self) -> float:
        """Return the instant, for `answered` alone."""

    def answered(self, began: float, *, route: str, method: str, status: int) -> float:
        """Return how many seconds it took."""


#: The request for which a task works: its name stands in every line that is logged meanwhile.
REQUEST: Final[ContextVar[str | None]] = ContextVar("request", default=None)


class AnsweredRequest(NamedTuple):
    """What the log says of a request. A tuple: one is made for each."""

    method: str
    route: str  #: the template, never the path
    status: int
    duration_ms: float
    size: int | None  #: bytes of the answer's body
    request_id: str
    error: str | None  #: a class name


class RequestLog(Protocol):
    """Writes the line of a request; called on the hot path, so it neither waits nor raises."""

    def request(self, answered: AnsweredRequest) -> None: ...


class MetricRows(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def add_job_runs(self, runs: Sequence[JobRun]) -> None:
        """Store the runs; one that is stored already stays as it is."""

    async def add_requests(self, slots: Sequence[RequestSlot]) -> None:
        """Add to what the same minutes, and their hours, hold already."""

    async def drop_minutes(self, *, before: datetime) -> None:
        """Forget single minutes; their hours stay."""


class History(Protocol):
    """What grows all the time, one table a month.

    Raises StoreBusy, StoreDown or StoreTimeout (somebody was in the way for too long).
    """

    async def add_months(self, table: str, *, at: Iterable[datetime]) -> int:
        """Make room for these instants' months; return how many there were not yet."""

    async def drop_month(self, table: str, *, before: datetime) -> str | None:
        """Drop the oldest month that was over at `before`; return its name, None without one."""

    async def drop_alerts(self, *, before: datetime, queued_before: datetime, limit: int) -> int:
        """Delete settled alerts, `limit` at most; return how many.

        Args:
            before: the market's instant.
            queued_before: real time; both must have passed.
        """


class Statistics(Protocol):
    """Computed by the database; ready JSON objects."""

    async def jobs(self, *, since: datetime, until: datetime) -> bytes:
        """Args: since, until: the market's instants."""

    async def requests(self, *, since: datetime, until: datetime) -> bytes:
        """Args: since, until: real instants."""

    async def model_calls(self, *, since: datetime, until: datetime) -> bytes:
        """Args: since, until: the market's instants, midnights in UTC."""


class Portfolio(Protocol):
    """What trading came to. Each method is one statement; ready JSON."""

    async def summary(self, *, quote: str, now: datetime, days: Sequence[int]) -> bytes:
        """Return the newest snapshot, and a period for each of `days`: so many Korean days, with
        today as the last.
        """

    async def equity(self, *, quote: str, since: datetime, until: datetime, points: int) -> bytes:
        """Return at most `points` values of the window, oldest first, and its deepest drawdown.

        Args: until: exclusive.
        """

    async def daily(
        self, *, limit: int, before: Key | None = None, market: Market | None = None
    ) -> Page:
        """Return the statistics of Korean days, the newest first."""
