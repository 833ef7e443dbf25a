"""Orders and fills, as we sent them and as the exchange executed them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from service.domain.errors import InvalidTransition
from service.domain.markets import Market

IDENTIFIER_PREFIX: Final = "uat-"  #: marks our orders; the operator's own have none
#: What an identifier of ours looks like as a whole: Upbit's orders may have any other text.
_OURS: Final = re.compile(re.escape(IDENTIFIER_PREFIX) + "[A-Za-z0-9._-]{1,60}")
ZERO: Final = Decimal(0)


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    LIMIT = "LIMIT"
    #: Immediate or cancel: takes what the book offers within its price, and never rests on it.
    LIMIT_IOC = "LIMIT_IOC"
    MARKET = "MARKET"  #: a buy names the money to spend, a sell the coins to give

    @property
    def rests(self) -> bool:
        """Whether such an order may lie on the book until its price is reached."""
        return self is OrderType.LIMIT


class OrderStatus(StrEnum):
    PENDING = "PENDING"  #: stored; not known to be accepted yet
    SUBMITTED = "SUBMITTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    EXECUTED = "EXECUTED"
    CANCELLED = "CANCELLED"  #: may have fills nevertheless
    FAILED = "FAILED"  #: certainly never on the book
    #: The request may have reached the exchange, or the order is put aside (`Order.quarantine`).
    UNKNOWN = "UNKNOWN"


class ExitRule(StrEnum):
    """A rule of protection that sells a position without a signal."""

    STOP_LOSS = "STOP_LOSS"
    TRAILING_STOP = "TRAILING_STOP"
    TAKE_PROFIT = "TAKE_PROFIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """Why a rule sells: the believed price that reached the rule's own. Quote money for a coin."""

    rule: ExitRule
    price: Decimal
    limit: Decimal


class SendOutcome(StrEnum):
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"  #: certainly never on the book
    UNSENT = "UNSENT"  #: no byte has left
    UNKNOWN = "UNKNOWN"  #: it may be on the book


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What is known of an order's request, once it is over.

    Attributes:
        reason: of REFUSED and UNSENT; a short stable word.
        exchange_uuid: of ACCEPTED.
    """

    outcome: SendOutcome
    reason: str | None = None
    exchange_uuid: str | None = None


class OrderOrigin(StrEnum):
    SERVICE = "SERVICE"  #: written here before it was sent
    RECOVERED = "RECOVERED"  #: found at the exchange, without a row or with one that said FAILED


_S: Final = OrderStatus
OPEN: Final = frozenset({_S.PENDING, _S.SUBMITTED, _S.PARTIALLY_FILLED, _S.UNKNOWN})
_ON_THE_BOOK: Final = frozenset({_S.SUBMITTED, _S.PARTIALLY_FILLED, _S.EXECUTED, _S.CANCELLED})

TRANSITIONS: Final[dict[OrderStatus, frozenset[OrderStatus]]] = {
    _S.PENDING: _ON_THE_BOOK | {_S.FAILED, _S.UNKNOWN},
    _S.UNKNOWN: _ON_THE_BOOK | {_S.FAILED},
    _S.SUBMITTED: frozenset({_S.SUBMITTED, _S.PARTIALLY_FILLED, _S.EXECUTED, _S.CANCELLED}),
    _S.PARTIALLY_FILLED: frozenset({_S.PARTIALLY_FILLED, _S.EXECUTED, _S.CANCELLED}),
    # A fill may happen while our cancel request is on its way; then the fill counts.
    _S.CANCELLED: frozenset({_S.CANCELLED, _S.EXECUTED}),
    # A fee, or a fill, that the exchange tells later.
    _S.EXECUTED: frozenset({_S.EXECUTED}),
    # An order that turns up at the exchange after all: `Order.recovered`, never `moved_to`.
    _S.FAILED: frozenset(),
}
#: The reason of an order that turned up after it had counted as failed.
RECOVERED: Final = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An order that the rules allow; it is not stored or sent yet.

    Exactly these fields are set: LIMIT and LIMIT_IOC: price and volume. MARKET BUY: funds. MARKET
    SELL: volume.
    """

    market: Market
    side: Side
    type: OrderType
    price: Decimal | None = None  #: quote money for one coin
    volume: Decimal | None = None  #: coins
    funds: Decimal | None = None  #: quote money to spend, the fee comes on top

    def __post_init__(self) -> None:
        given = (self.price is not None, self.volume is not None, self.funds is not None)
        if given != _GIVEN[self.type, self.side]:
            raise ValueError(f"a {self.type} {self.side} takes other fields: {self}")
        if any(x is not None and not x > 0 for x in (self.price, self.volume, self.funds)):
            raise ValueError(f"price, volume and funds are positive: {self}")

    @property
    def most_funds(self) -> Decimal:
        """Return what a purchase costs at most, without the fee; 0 for a sale at the market."""
        if self.price is None or self.volume is None:
            return self.funds or ZERO
        return self.price * self.volume


_GIVEN: Final = {
    (OrderType.LIMIT, Side.BUY): (True, True, False),
    (OrderType.LIMIT, Side.SELL): (True, True, False),
    (OrderType.LIMIT_IOC, Side.BUY): (True, True, False),
    (OrderType.LIMIT_IOC, Side.SELL): (True, True, False),
    (OrderType.MARKET, Side.BUY): (False, False, True),
    (OrderType.MARKET, Side.SELL): (False, True, False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One match as the exchange reports it; REST gives no fee for a single trade."""

    uuid: str
    price: Decimal
    volume: Decimal
    funds: Decimal
    traded_at: datetime


class ExchangeOrderState(StrEnum):
    """The state of an order as the exchange reports it."""

    WAITING = "WAITING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"  #: may have fills: a market buy leaves a remainder


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOrder:
    """The exchange's own view of one order."""

    uuid: str
    identifier: str | None
    market: Market
    side: Side
    state: ExchangeOrderState
    executed_volume: Decimal
    paid_fee: Decimal
    created_at: datetime
    trades: tuple[Trade, ...] = ()  #: oldest first; empty where the answer carries none
    trades_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOrder:
    """An order of the account as a list shows it: without its trades, ours or not.

    Attributes:
        intent: None for a kind of order that this service never sends.
        executed_funds: None where the list does not tell it.
    """

    order: ExchangeOrder
    intent: Intent | None
    executed_funds: Decimal | None

    @property
    def is_ours(self) -> bool:
        """Whether its identifier is one of ours. Orders of other programs are never touched."""
        return _OURS.fullmatch(self.order.identifier or "") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderList:
    """Attributes: unreadable: how many orders of the list could not be read."""

    orders: tuple[ListedOrder, ...] = ()
    unreadable: int = 0

    @property
    def ours(self) -> tuple[ListedOrder, ...]:
        return tuple(listed for listed in self.orders if listed.is_ours)

    @property
    def external(self) -> tuple[ListedOrder, ...]:
        """Return the orders that this service did not send."""
        return tuple(listed for listed in self.orders if not listed.is_ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One match of one of our orders, with its share of the fee. Unique by `trade_uuid`."""

    trade_uuid: str
    price: Decimal
    volume: Decimal
    funds: Decimal
    fee: Decimal
    traded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt to trade: it has one identifier and is sent at most once."""

    id: int
    identifier: str
    intent: Intent
    status: OrderStatus
    decision_id: int | None
    created_at: datetime
    sent_at: datetime | None = None  #: set before the request leaves
    exchange_uuid: str | None = None
    executed_volume: Decimal = ZERO
    executed_funds: Decimal = ZERO
    paid_fee: Decimal = ZERO
    reason: str | None = None
    origin: OrderOrigin = OrderOrigin.SERVICE
    quarantine: "Quarantine | None" = None
    rule: ExitRule | None = None  #: of an order that a rule of protection made

    @property
    def market(self) -> Market:
        return self.intent.market

    @property
    def is_open(self) -> bool:
        """Return whether its state on the exchange may still change."""
        return self.status in OPEN

    @property
    def is_acknowledged(self) -> bool:
        """Return whether the exchange has said once that it has the order."""
        return self.exchange_uuid is not None or self.executed_volume > 0

    def moved_to(self, status: OrderStatus, *, reason: str | None = None) -> "Order":
        """Return the order in `status`, or raise InvalidTransition."""
        if status not in TRANSITIONS[self.status]:
            raise InvalidTransition(f"order {self.identifier}: {self.status} -> {status}")
        return replace(self, status=status, reason=reason or self.reason, quarantine=None)

    def recovered(self, status: OrderStatus) -> "Order":
        """Return the failed order as it is on the book after all, or raise InvalidTransition."""
        if self.status is not _S.FAILED or status not in _ON_THE_BOOK:
            raise InvalidTransition(f"order {self.identifier}: {self.status} -> {status}")
        origin = OrderOrigin.RECOVERED
        return replace(self, status=status, reason=RECOVERED, origin=origin, quarantine=None)

    def put_aside(self, quarantine: "Quarantine") -> "Order":
        """Return the order as unknown, whatever its status: an answer about it cannot be true."""
        origin = OrderOrigin.RECOVERED if self.status is _S.FAILED else self.origin
        return replace(self, status=_S.UNKNOWN, origin=origin, quarantine=quarantine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """Why an order is put aside until its answer makes sense.

    Attributes:
        reason: a word of a closed list.
        detail: numbers for the operator's view; never for a log.
    """

    at: datetime
    reason: str
    detail: Mapping[str, str]


def status_on_exchange(seen: ExchangeOrder, intent: Intent) -> OrderStatus:
    """Return the status of our order that the exchange's answer `seen` implies.

    An order that never rests on the book may end as cancelled with fills: the exchange returns a
    remainder too small to trade, or what the book did not offer within the price. It counts as
    executed. A limit order that rested, and has fills, counts as cancelled.
    """
    if seen.state is ExchangeOrderState.WAITING:
        return _S.PARTIALLY_FILLED if seen.executed_volume > 0 else _S.SUBMITTED
    if seen.state is ExchangeOrderState.DONE:
        return _S.EXECUTED
    if not intent.type.rests and seen.executed_volume > 0:
        return _S.EXECUTED
    return _S.CANCELLED


def fills_from(
    trades: Iterable[Trade], *, paid_fee: Decimal, known: Sequence[Fill]
) -> tuple[Fill, ...]:
    """Return the fills among `trades` that are not `known`, with their parts of the fee.

    The exchange reports one fee for the order. The part that earlier fills do not carry is split
    over the new ones by funds. The last one takes the rest, so that the fees add up to `paid_fee`
    exactly.
    """
    seen = {fill.trade_uuid for fill in known}
    # By uuid: an answer may list a trade twice, and the fee must be split over it once.
    new = {trade.uuid: trade for trade in trades if trade.uuid not in seen}.values()
    open_fee = paid_fee - sum((fill.fee for fill in known), ZERO)
    open_funds = sum((trade.funds for trade in new), ZERO)
    fills = []
    for trade in new:
        # For the last trade open_funds equals its own funds, so no rounding is lost.
        fee = open_fee if trade.funds == open_funds else _share(open_fee, trade.funds, open_funds)
        open_fee, open_funds = open_fee - fee, open_funds - trade.funds
        fills.append(
            Fill(
                trade_uuid=trade.uuid,
                price=trade.price,
                volume=trade.volume,
                funds=trade.funds,
                fee=fee,
                traded_at=trade.traded_at,
            )
        )
    return tuple(fills)


def _share(fee: Decimal, funds: Decimal, total: Decimal) -> Decimal:
    return (fee * funds / total).quantize(Decimal("1E-12"))
