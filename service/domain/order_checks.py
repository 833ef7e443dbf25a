"""Whether an answer about one of our orders can be true, and whether it is complete.

The exchange's word is not believed alone. A fill moves a position for ever, and a final order is
not looked up again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from service.domain.decimals import decimal_text
from service.domain.markets import VOLUME_STEP
from service.domain.orders import (
    ZERO,
    ExchangeOrder,
    ExchangeOrderState,
    Fill,
    Intent,
    Order,
    OrderStatus,
    OrderType,
    Side,
    Trade,
    status_on_exchange,
)

#: Of the executed funds. Upbit takes 0.05 % in its KRW markets and 0.25 % in the others.
FEE_RATIO_MOST: Final = Decimal("0.01")
#: A smaller fee may trail its trades. It is believed after some looks: there are days without fees.
FEE_RATIO_USUAL: Final = Decimal("0.0004")
#: How far a market order's price may lie outside the prices of its half hour.
PRICE_BAND: Final = Decimal(2)
#: `done` with so much less executed than asked for is not done.
_SHORT_RATIO: Final = Decimal("0.001")
_ROUNDING_RATIO: Final = Decimal("1E-6")
_ROUNDING: Final = Decimal("1E-8")
_FINAL: Final = frozenset({OrderStatus.EXECUTED, OrderStatus.CANCELLED})


class AnswerCheck(StrEnum):
    """What an answer cannot break and be true."""

    MARKET = "other_market"
    SIDE = "other_side"
    UUID = "other_uuid"
    TRADE_CHANGED = "trade_changed"
    PRECISION = "precision"
    FUNDS = "funds_of_trade"
    OVER_FILL = "over_fill"
    OVER_SPENT = "over_spent"
    INSTANT = "instant_of_trade"
    LIMIT = "worse_than_limit"
    PRICE = "price_out_of_range"
    FEE_SHRANK = "fee_shrank"
    FEE_RATIO = "fee_too_high"


class Oddity(StrEnum):
    """Why an answer that may be true cannot be final yet."""

    NOTHING_EXECUTED = "nothing_executed"  #: done, and nothing was executed
    EXECUTED_SHORT = "executed_short"  #: done, and less was executed than asked for
    TRADES_MISSING = "trades_missing"  #: executed volume, or a count, without its trades
    TRADES_BEYOND = "trades_beyond"  #: trades of more than the executed volume
    FEE_TRAILS = "fee_trails"
    NOTHING_LEFT = "cancelled_empty"  #: cancelled, and nothing was executed
    #: Less than is booked: the answer is older than an earlier one, or cannot be true.
    KNOWS_LESS = "knows_less"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Attributes: numbers: for the operator's view; never for a log."""

    check: AnswerCheck
    numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRange:
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer means.

    Attributes:
        status: what the answer implies if it is believed.
        oddity: why that is not final yet.
        adds_up: whether the trades explain the executed volume: only then they are booked.
        has_fills: whether they do, and there are some.
        numbers: what is booked and what the answer says, where it knows less; never for a log.
    """

    status: OrderStatus
    oddity: Oddity | None
    adds_up: bool
    has_fills: bool
    numbers: Mapping[str, str] = field(default_factory=dict)

    @property
    def cautious_status(self) -> OrderStatus:
        """Return the status to store while the oddity lasts: never a final one."""
        if self.oddity is None or self.status not in _FINAL:
            return self.status
        return OrderStatus.PARTIALLY_FILLED if self.has_fills else OrderStatus.SUBMITTED


def contradiction(
    order: Order,
    seen: ExchangeOrder,
    known: Sequence[Fill],
    *,
    prices: PriceRange | None = None,
    between: tuple[datetime, datetime] | None = None,
) -> Contradiction | None:
    """Return the first check that the answer breaks, or None.

    Args:
        known: the order's booked fills.
        prices: of its market at the time of its trades; None: they are not compared.
        between: the first and the last instant that a trade can have; None: not compared.
    """
    new = _new(seen.trades, known)
    checks = (
        _of_identity(order, seen),
        _of_known(seen.trades, known),
        _of_instants(new, between),
        _of_trades(order.intent, new, prices),
        _of_sums(order.intent, seen, known, new),
        _of_fee(seen, known, new),
    )
    return next((found for check in checks for found in check), None)


def reading(order: Order, seen: ExchangeOrder, known: Sequence[Fill]) -> Reading:
    """Return what `seen` means, which breaks no check."""
    new = _new(seen.trades, known)
    volume, funds = _volume(known, new), _funds(known, new)
    status = status_on_exchange(seen, order.intent)
    if _knows_less(order, seen, known):
        return Reading(
            status=status,
            oddity=Oddity.KNOWS_LESS,
            adds_up=False,
            has_fills=False,
            numbers=_compared(seen, known),
        )
    is_counted = len(known) + len(new) >= seen.trades_count
    adds_up = volume == seen.executed_volume and is_counted
    oddity = None
    if not adds_up:
        beyond = volume > seen.executed_volume
        oddity = Oddity.TRADES_BEYOND if beyond else Oddity.TRADES_MISSING
    elif status in _FINAL:
        oddity = _oddity_of_end(order.intent, seen, volume=volume, funds=funds)
    return Reading(status=status, oddity=oddity, adds_up=adds_up, has_fills=adds_up and volume > 0)


def _knows_less(order: Order, seen: ExchangeOrder, known: Sequence[Fill]) -> bool:
    """Whether an earlier answer knew more: a replica lags, or two answers overtook each other."""
    booked = _volume(known, ())
    if seen.executed_volume < booked:
        return True
    if seen.executed_volume == booked and seen.paid_fee < _fee(known):
        return True
    return order.status in _FINAL and seen.state is ExchangeOrderState.WAITING


def _compared(seen: ExchangeOrder, known: Sequence[Fill]) -> Mapping[str, str]:
    numbers = {
        "booked_volume": _volume(known, ()),
        "volume": seen.executed_volume,
        "booked_fee": _fee(known),
        "fee": seen.paid_fee,
    }
    return {name: decimal_text(number) for name, number in numbers.items()}


def _oddity_of_end(
    intent: Intent, seen: ExchangeOrder, *, volume: Decimal, funds: Decimal
) -> Oddity | None:
    is_done = seen.state is ExchangeOrderState.DONE
    if not volume:
        return Oddity.NOTHING_EXECUTED if is_done else Oddity.NOTHING_LEFT
    if is_done and _is_short(intent, volume=volume, funds=funds):
        return Oddity.EXECUTED_SHORT
    if seen.paid_fee < funds * FEE_RATIO_USUAL:
        return Oddity.FEE_TRAILS
    return None


def _is_short(intent: Intent, *, volume: Decimal, funds: Decimal) -> bool:
    if intent.volume is not None:
        return volume != intent.volume
    asked = intent.funds or ZERO
    # A remainder too small for one step of volume may be left.
    left = asked - funds
    return left > max(asked * _SHORT_RATIO, 2 * VOLUME_STEP * funds / volume)


def _of_identity(order: Order, seen: ExchangeOrder) -> Iterator[Contradiction]:
    if seen.market != order.market:
        yield _found(AnswerCheck.MARKET, asked=str(order.market), seen=str(seen.market))
    if seen.side is not order.intent.side:
        yield _found(AnswerCheck.SIDE, asked=order.intent.side.value, seen=seen.side.value)
    if order.exchange_uuid not in {None, seen.uuid}:
        yield _found(AnswerCheck.UUID, stored=order.exchange_uuid or "", seen=seen.uuid)


def _of_known(trades: Sequence[Trade], known: Sequence[Fill]) -> Iterator[Contradiction]:
    booked = {fill.trade_uuid: fill for fill in known}
    for trade in trades:
        fill = booked.get(trade.uuid)
        if fill is not None and _values(fill) != _values(trade):
            yield _found(
                AnswerCheck.TRADE_CHANGED,
                trade=trade.uuid,
                booked_volume=fill.volume,
                booked_price=fill.price,
                volume=trade.volume,
                price=trade.price,
            )


def _of_instants(
    new: Sequence[Trade], between: tuple[datetime, datetime] | None
) -> Iterator[Contradiction]:
    if between is None:
        return
    first, last = between
    for trade in new:
        if not first <= trade.traded_at <= last:
            yield _found(
                AnswerCheck.INSTANT,
                trade=trade.uuid,
                traded_at=trade.traded_at.isoformat(),
                first=first.isoformat(),
                last=last.isoformat(),
            )


def _of_trades(
    intent: Intent, new: Sequence[Trade], prices: PriceRange | None
) -> Iterator[Contradiction]:
    for trade in new:
        values: dict[str, Decimal | str] = {
            "trade": trade.uuid,
            "price": trade.price,
            "volume": trade.volume,
        }
        if _is_finer(trade.price) or _is_finer(trade.volume):
            yield _found(AnswerCheck.PRECISION, **values)
        product = trade.price * trade.volume
        if abs(product - trade.funds) > product * _ROUNDING_RATIO + _ROUNDING:
            yield _found(AnswerCheck.FUNDS, **values, funds=trade.funds)
        if intent.price is not None and _is_worse(trade.price, intent):
            yield _found(AnswerCheck.LIMIT, **values, limit=intent.price)
        if (
            intent.price is None
            and prices is not None
            and not prices.low / PRICE_BAND <= trade.price <= prices.high * PRICE_BAND
        ):
            yield _found(AnswerCheck.PRICE, **values, low=prices.low, high=prices.high)


def _is_worse(price: Decimal, intent: Intent) -> bool:
    limit = intent.price or ZERO
    return price > limit if intent.side is Side.BUY else price < limit


def _of_sums(
    intent: Intent, seen: ExchangeOrder, known: Sequence[Fill], new: Sequence[Trade]
) -> Iterator[Contradiction]:
    if _is_finer(seen.executed_volume):
        yield _found(AnswerCheck.PRECISION, executed_volume=seen.executed_volume)
    volume = max(_volume(known, new), seen.executed_volume)
    if intent.volume is not None and volume > intent.volume:
        yield _found(AnswerCheck.OVER_FILL, asked=intent.volume, seen=volume)
    funds = _funds(known, new)
    if intent.type is OrderType.MARKET and intent.funds is not None and funds > intent.funds:
        yield _found(AnswerCheck.OVER_SPENT, asked=intent.funds, seen=funds)


def _of_fee(
    seen: ExchangeOrder, known: Sequence[Fill], new: Sequence[Trade]
) -> Iterator[Contradiction]:
    booked = _fee(known)
    # With no more executed than is booked the answer may be an older one: `Oddity.KNOWS_LESS`.
    if seen.paid_fee < booked and seen.executed_volume > _volume(known, ()):
        yield _found(AnswerCheck.FEE_SHRANK, booked=booked, seen=seen.paid_fee)
    if _volume(known, new) == seen.executed_volume:
        funds = _funds(known, new)
        if seen.paid_fee > funds * FEE_RATIO_MOST:
            yield _found(AnswerCheck.FEE_RATIO, fee=seen.paid_fee, funds=funds)


def _new(trades: Sequence[Trade], known: Sequence[Fill]) -> tuple[Trade, ...]:
    booked = {fill.trade_uuid for fill in known}
    return tuple({trade.uuid: trade for trade in trades if trade.uuid not in booked}.values())


def _volume(known: Sequence[Fill], new: Sequence[Trade]) -> Decimal:
    return sum((fill.volume for fill in known), sum((trade.volume for trade in new), ZERO))


def _funds(known: Sequence[Fill], new: Sequence[Trade]) -> Decimal:
    return sum((fill.funds for fill in known), sum((trade.funds for trade in new), ZERO))


def _fee(known: Sequence[Fill]) -> Decimal:
    return sum((fill.fee for fill in known), ZERO)


def _values(trade: Trade | Fill) -> tuple[Decimal, Decimal, Decimal]:
    return trade.price, trade.volume, trade.funds


def _is_finer(number: Decimal) -> bool:
    """Whether `number` has more places than its column, which would round it."""
    return number != number.quantize(_ROUNDING)


def _found(check: AnswerCheck, **numbers: Decimal | str) -> Contradiction:
    return Contradiction(
        check=check,
        numbers={
            name: decimal_text(value) if isinstance(value, Decimal) else value
            for name, value in numbers.items()
        },
    )
