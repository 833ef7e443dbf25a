"""Upbit's orders in requests and answers. Fields: Upbit docs v1.6.4 and captures."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from loguru import logger

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.record import Record, items
from service.adapters.upbit.wire import market_in, plain
from service.domain.orders import (
    ExchangeOrder,
    ExchangeOrderState,
    Intent,
    ListedOrder,
    OrderType,
    Side,
    Trade,
)

NO_UUID: Final = ""  #: in place of a uuid that cannot be read
_T = TypeVar("_T")
_SIDES: Final = {Side.BUY: "bid", Side.SELL: "ask"}
_IOC: Final = "ioc"
_SIDES_BACK: Final = {word: side for side, word in _SIDES.items()}
_STATES: Final = {
    "wait": ExchangeOrderState.WAITING,
    "watch": ExchangeOrderState.WAITING,  # a reserved order, made in Upbit's app
    "done": ExchangeOrderState.DONE,
    "cancel": ExchangeOrderState.CANCELLED,  # may have fills nevertheless
}
_ORDER_TYPES: Final = {
    (OrderType.LIMIT, Side.BUY): "limit",
    (OrderType.LIMIT, Side.SELL): "limit",
    (OrderType.LIMIT_IOC, Side.BUY): "limit",
    (OrderType.LIMIT_IOC, Side.SELL): "limit",
    (OrderType.MARKET, Side.BUY): "price",
    (OrderType.MARKET, Side.SELL): "market",
}


def order_body(intent: Intent, identifier: str) -> dict[str, str]:
    """Return the body of a new order; a field without a value is left out, never null."""
    money = intent.funds if intent.price is None else intent.price
    body = {
        "market": str(intent.market),
        "side": _SIDES[intent.side],
        "ord_type": _ORDER_TYPES[intent.type, intent.side],
    }
    if money is not None:
        body["price"] = plain(money)  # of a market buy: the money to spend
    if intent.volume is not None:
        body["volume"] = plain(intent.volume)
    if intent.type is OrderType.LIMIT_IOC:
        body["time_in_force"] = _IOC
    return body | {"identifier": identifier}


def placed(payload: object, intent: Intent, identifier: str) -> ExchangeOrder:
    """Return the order that the exchange made of `intent`."""
    made = order(payload, identifier)
    if (made.market, made.side) != (intent.market, intent.side):
        raise OddAnswer("order: another market or side than was sent")
    return made


def order(payload: object, identifier: str) -> ExchangeOrder:
    """Return the order, which must be the one called `identifier`."""
    record = Record(payload, "order")
    named = record.text_or_none("identifier")
    if named not in {None, identifier}:
        raise OddAnswer("order.identifier: another order than asked for")
    return _order(record, named or identifier)


def listed(payload: object) -> Iterator[tuple[str, ListedOrder | None]]:
    """Yield the uuid of each order in a list, with None for one that cannot be read.

    One order of another program, of a kind we do not know, must not hide all the others. Those
    without a readable uuid share NO_UUID, so that the same list gives the same names each time.
    """
    for item in items(payload, "order"):
        uuid, found = NO_UUID, None
        try:
            record = Record(item, "order")
            uuid = record.text("uuid")
            found = _listed(record)
        except OddAnswer as exc:
            logger.bind(event="order", exchange_uuid=uuid, cause=str(exc)).warning(
                "an order in the exchange's list cannot be read"
            )
        yield uuid, found


def _listed(record: Record) -> ListedOrder:
    has_funds = record.has("executed_funds")
    return ListedOrder(
        order=_order(record, record.text_or_none("identifier")),
        intent=_intent(record),
        executed_funds=record.amount("executed_funds") if has_funds else None,
    )


def _intent(record: Record) -> Intent | None:
    """Return what was asked for, or None for a kind of order that we never send."""
    market, side = market_in(record, "market"), _one_of(record, "side", _SIDES_BACK)
    match record.text("ord_type"), side:
        case "limit", _:
            price, volume = record.positive("price"), record.positive("volume")
            is_ioc = record.text_or_none("time_in_force") == _IOC
            kind = OrderType.LIMIT_IOC if is_ioc else OrderType.LIMIT
            return Intent(market=market, side=side, type=kind, price=price, volume=volume)
        case "price", Side.BUY:
            funds = record.positive("price")  # an order for money has no volume
            return Intent(market=market, side=side, type=OrderType.MARKET, funds=funds)
        case "market", Side.SELL:
            volume = record.positive("volume")
            return Intent(market=market, side=side, type=OrderType.MARKET, volume=volume)
        case _:
            return None


def _order(record: Record, identifier: str | None) -> ExchangeOrder:
    return ExchangeOrder(
        uuid=record.text("uuid"),
        identifier=identifier,
        market=market_in(record, "market"),
        side=_one_of(record, "side", _SIDES_BACK),
        state=_one_of(record, "state", _STATES),
        executed_volume=record.amount("executed_volume"),
        paid_fee=record.amount("paid_fee"),
        created_at=record.instant("created_at"),
        trades=_trades(record),
        trades_count=record.count("trades_count"),
    )


def _trades(order: Record) -> tuple[Trade, ...]:
    """Return the trades oldest first, each once; an answer to a new order has none."""
    if not order.has("trades"):
        return ()
    by_uuid = {trade.uuid: trade for trade in map(_trade, order.records("trades"))}
    return tuple(sorted(by_uuid.values(), key=lambda trade: (trade.traded_at, trade.uuid)))


def _trade(record: Record) -> Trade:
    return Trade(
        uuid=record.text("uuid"),
        price=record.positive("price"),
        volume=record.positive("volume"),
        funds=record.positive("funds"),
        traded_at=record.instant("created_at"),
    )


def _one_of(record: Record, name: str, words: Mapping[str, _T]) -> _T:
    word = record.text(name)
    if word not in words:
        raise OddAnswer(f"order.{name}: an unknown word")
    return words[word]
