"""What the flows write and read back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, Protocol

from service.domain.latency import Sketch
from service.domain.limits.volatility import MinuteRange
from service.domain.markets import Candle, Market, Ticker, Timeframe
from service.domain.model_budget import Reservation
from service.domain.order_checks import PriceRange
from service.domain.orders import Breach, Fill, Intent, Order, OrderStatus
from service.domain.portfolio import Equity
from service.domain.positions import Position
from service.domain.risk.verdicts import Check, Verdict
from service.domain.signals import Answer, Proposal, Signal, Trigger
from service.domain.trading_states import (
    Ends,
    HaltKind,
    OrderSource,
    TradingStatus,
    strictest,
)

#: Name of the trading state among the names of settings, where changes are notified.
TRADING_STATE: Final = "trading_state"

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]


class MarketData(Protocol):
    async def add_tickers(self, tickers: Sequence[Ticker], *, at: datetime) -> None:
        """Store one row a ticker; `at` is the instant of the request."""

    async def latest_id(self, market: Market) -> int | None:
        """Return the id of the newest ticker row."""

    async def newest_prices(
        self, markets: Sequence[Market], *, since: datetime
    ) -> Mapping[Market, Decimal]:
        """Return the newest price of each market that has one not older than `since`."""

    async def price_range(
        self, market: Market, *, since: datetime, until: datetime
    ) -> PriceRange | None:
        """Return the lowest and the highest price collected meanwhile, None without any."""

    async def minute_ranges(
        self, markets: Sequence[Market], *, since: datetime, before: datetime
    ) -> Mapping[Market, Sequence[MinuteRange]]:
        """Return the prices of each stored minute from `since` on, the oldest minute first.

        Candles and collected prices count; a minute without either is left out.

        Args: before: the end of the present minute; rows that are dated ahead are not read.
        """

    async def newest_candle_at(
        self, market: Market, timeframe: Timeframe, *, before: datetime
    ) -> datetime | None:
        """Return when the newest candle opened that is stored and opened before `before`.

        Args: before: the present; a stored candle of the future is none that can be believed.
        """

    async def put_candles(self, candles: Sequence[Candle]) -> None:
        """Insert, or overwrite the candle that was still running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call to the model, answered or not."""

    model: str
    purpose: str
    started_at: datetime
    duration_ms: float
    outcome: Literal["ok", "unusable", "error"]
    why: str | None
    answer: Answer | None
    cost_usd: Decimal | None
    #: Ends with the row of the call, in the same statement; `booked_usd` takes its place.
    reservation: Reservation | None = None
    booked_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    """A proposal to put on record, with what it came from."""

    market: Market
    proposal: Proposal
    model: str
    price: Decimal
    market_data_id: int | None  #: the newest collected price, None before the first
    call_id: int
    facts: Mapping[str, JSON]  #: of what the model was shown
    trigger: Trigger
    at: datetime


class Signals(Protocol):
    """Model calls, trading signals and decisions: rows that are written once."""

    async def add_call(self, call: ModelCall) -> int: ...

    async def add_signal(self, new: NewSignal) -> Signal:
        """Store the proposal and return the signal as it stands in its row."""

    async def add_decision(self, *, signal_id: int, verdict: Verdict, at: datetime) -> int:
        """Store it once; a repeat with the same verdict returns the id of the stored row.

        Raises: DomainError, when the signal was decided otherwise before.
        """

    async def undecided(self, market: Market, *, before: datetime) -> Sequence[int]:
        """Return the ids of signals before `before` without a decision, oldest first."""

    async def lapse(
        self,
        decision_id: int,
        *,
        market: Market,
        reason: str,
        detail: str,
        at: datetime,
        check: Check | None = None,
    ) -> bool:
        """Record that an allowed decision gets no order; `Orders.add` refuses one from then on.

        False, and nothing stored, when the decision has an order or lapsed before.

        Args: check: of the rule that refuses it by now, with what it allows and found.
        """

    async def lapse_unordered(self, *, reason: str, detail: str, at: datetime) -> Sequence[int]:
        """Record as lapsed every allowed decision without an order; return their ids."""

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
        source: OrderSource,
        most_per_hour: int | None,
        idempotency_key: str | None = None,
        actor: str | None = None,
        breach: Breach | None = None,
    ) -> Order:
        """Write the order as PENDING with `sent_at` set, committed before the request leaves.

        The switch, the trading state and the orders of the last hour are read in the same
        statement. A change of switch or state that is committed by then counts, and one that comes
        later waits until this is committed.

        Args:
            most_per_hour: orders allowed within an hour before `at`, in all markets; a lower stored
                setting counts. None: no limit.
            idempotency_key: of an order by hand; it is one order's for ever.
            actor: the caller of an order by hand, whose name a refusal carries.
            breach: of a rule's sale: the row names the rule, and a risk event of the same
                statement says at which price.

        Raises: NotLeader, when `epoch` is no longer the trading lease's; OrderRefused, with the
            refusal stored, when the rules refuse the order by now; DuplicateOrder, when identifier
            or key were used before, or when the decision has an order or lapsed.
        """

    async def adopt(
        self,
        intent: Intent,
        *,
        identifier: str,
        exchange_uuid: str,
        made_at: datetime,
        at: datetime,
    ) -> Order:
        """Write the row of an order that the exchange has and we do not, as UNKNOWN and RECOVERED.

        Raises: DuplicateOrder, when the identifier or the exchange's uuid has a row.
        """

    async def add_sent(
        self,
        intent: Intent,
        *,
        identifier: str,
        breach: Breach,
        epoch: int,
        at: datetime,
        now: datetime,
    ) -> Order:
        """Write the row of a rule's sale that was sent without one, as PENDING; return its row.

        No rule can refuse it: it was sent. A row of this identifier stays as it is.

        Args: epoch, at: of its sending.
        """

    async def advance(
        self,
        order: Order,
        *,
        seen: OrderStatus,
        fills: Sequence[Fill] = (),
        paid_fee: Decimal | None = None,
        at: datetime,
    ) -> bool:
        """Store the order's new state and its new fills, and move the position, all or nothing.

        False, and nothing stored, when the order is no longer in status `seen` or one of the fills
        is stored already. Then its fee was split on a stale view: read the order again.

        Stored are status, reason, origin and quarantine as they are; an exchange uuid that is
        known is never cleared; the sums are those of the fills.

        Args:
            paid_fee: what the fees of all its fills add up to afterwards, if it has any. The last
                fill takes the difference, and so do position and day.
        Raises: DomainError, when a trade or the exchange's uuid belongs to another order, when a
            trade is given twice, when the fee is smaller than what the fills carry, or when a
            table cannot hold a value.
        """

    async def find(self, identifier: str) -> Order | None:
        """Return the order's row, whatever its status."""

    async def by_id(self, order_id: int) -> Order | None:
        """Return the order's row, whatever its status."""

    async def open(self, market: Market | None = None) -> tuple[Order, ...]:
        """Return the orders that are not settled, oldest first."""

    async def count_since(self, at: datetime) -> int:
        """Return how many orders were written at or after `at`, in all markets."""

    async def bought_since(self, at: datetime) -> Mapping[str, Decimal]:
        """Return what purchases written at or after `at` cost, without fees, by quote currency.

        One that is not final counts with all that it may cost.
        """

    async def fills(self, order_id: int) -> tuple[Fill, ...]: ...

    async def position(self, market: Market) -> Position: ...

    async def positions(self) -> tuple[Position, ...]:
        """Return the position of every market that ever had a fill, closed ones too."""


class Equities(Protocol):
    async def add(self, equities: Sequence[Equity], *, at: datetime) -> None:
        """Store the account at this minute, in one transaction with the hour's row.

        A minute that is stored, or older than the newest of its hour, stays as it is.
        """

    async def lowest_since(self, at: datetime) -> Mapping[str, Decimal]:
        """Return the lowest equity stored for a minute at or after `at`, by quote currency."""


class Lease(Protocol):
    """At most one process trades. The epoch is a fencing token against a stale owner."""

    async def acquire(self) -> int | None:
        """Take or renew the lease; return its epoch, or None when another process holds it."""

    async def release(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    """The sum of the halts that stand."""

    state: TradingStatus  #: ACTIVE, REDUCING or HALTED: of all markets
    reason: str | None  #: of the oldest of the strictest halts of all markets
    since: datetime
    halted_by: str | None = None  #: a rule of ours, e.g. system:clock, or a caller's name
    reducing_markets: frozenset[Market] = frozenset()  #: beside those of `halted_markets`
    halted_markets: frozenset[Market] = frozenset()

    def of(self, market: Market) -> TradingStatus:
        """Return the state of `market`: the strictest of its own halts and those of all."""
        if market in self.halted_markets:
            return strictest((self.state, TradingStatus.HALTED))
        if market in self.reducing_markets:
            return strictest((self.state, TradingStatus.REDUCING))
        return self.state

    def why(self, market: Market) -> str | None:
        """Return the reason of `of(market)`; the halts of a market are not read with this row."""
        return self.reason if self.of(market) is self.state else "a halt of this market alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A halt that stands. Several may stand at once; each ends alone."""

    kind: HaltKind
    reason: str  #: a short stable word, e.g. clock_skew, or an operator's own text
    actor: str
    since: datetime
    ends: Ends
    market: Market | None = None  #: None: all markets
    #: A check shows its `limit`, its `actual` value and `until` (RFC 3339), where they are given.
    detail: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedHalt:
    """A halt of a rule that an operator ended."""

    market: Market | None
    released_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskEvent:
    """The cause of a halt or of its end."""

    event: Literal["HALTED", "RESUMED"]
    kind: HaltKind
    reason: str
    actor: str
    at: datetime
    detail: Mapping[str, JSON]
    market: Market | None = None
    #: Of an end: no other halt of this kind and market stands any more.
    is_last: bool = True


class TradingStates(Protocol):
    """Every change writes its risk event and its alert in the same transaction."""

    async def trading_state(self) -> TradingState: ...

    async def standing(self) -> Sequence[Halt]:
        """Return the halts that stand, the strictest first, then the oldest."""

    async def halt(
        self,
        *,
        kind: HaltKind,
        reason: str,
        actor: str,
        at: datetime,
        detail: Mapping[str, JSON],
        market: Market | None = None,
        ends: Ends = "operator",
    ) -> bool:
        """Add a halt; False, and nothing stored, when `actor` made the same one already.

        Args:
            market: None for all markets.
            ends: HALTED ends by an operator only.
        """

    async def resume(
        self,
        *,
        reason: str,
        actor: str,
        at: datetime,
        detail: Mapping[str, JSON],
        market: Market | None = None,
    ) -> bool:
        """End the halts that `actor` made for `reason`; False when there is none."""

    async def released(self, *, reason: str, actor: str, since: datetime) -> Sequence[ReleasedHalt]:
        """Return what `actor` halted for `reason` and an operator ended at or after `since`.

        Oldest first.
        """

    async def release(
        self, *, actor: str, at: datetime, reasons: Collection[str] | None = None
    ) -> Sequence[Halt]:
        """End halts as an operator; return those that ended.

        Args:
            actor: the operator.
            reasons: end these, whatever ends them else. None: those that only an operator ends.
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
        once: bool = False,
    ) -> None:
        """Store a caller's action, e.g. admin@127.0.0.1, order.sync; committed on return.

        Args: once: not again, where the same row is there: its outcome was not known.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """One pass of a job, to be stored."""

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
    """The requests of one minute to one route with one class of status."""

    minute: datetime  #: real time, when it began
    route: str  #: the template, never the path
    method: str
    status_class: int  #: first digit of the status
    sketch: Sketch


class MetricRows(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def add_job_runs(self, runs: Sequence[JobRun]) -> None:
        """Store the runs; one that is stored already stays as it is."""

    async def add_requests(self, slots: Sequence[RequestSlot]) -> None:
        """Add the slots to the stored counts of their minutes and hours."""

    async def drop_minutes(self, *, before: datetime) -> None:
        """Delete minutes before `before`; their hours stay."""


class History(Protocol):
    """Monthly partitions of the tables that grow without end.

    Raises StoreBusy, StoreDown or StoreTimeout (a lock was not free in time).
    """

    async def add_months(self, table: str, *, at: Iterable[datetime]) -> int:
        """Make the partitions of these instants' months; return how many were missing."""

    async def drop_month(self, table: str, *, before: datetime) -> str | None:
        """Drop the oldest partition that ended by `before`; return its name, None without one."""

    async def drop_alerts(self, *, before: datetime, queued_before: datetime, limit: int) -> int:
        """Delete settled alerts, `limit` at most; return how many.

        Args:
            before: the market's instant.
            queued_before: real time; both must have passed.
        """
