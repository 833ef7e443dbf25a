"""What must be true of every history, whatever happened in it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from service.domain.orders import OPEN, ZERO, Order, OrderStatus, OrderType, Side
from service.sandbox.exchange.orders import SandboxOrder
from tests.simulation.exchange import MARKETS, OPENING
from tests.simulation.world import World

_S: Final = OrderStatus
#: A trade by hand so near the first baselines may be in the balances and not in the lists.
AS_THE_BOOKS_BEGIN: Final = timedelta(minutes=1)
_FINAL: Final = frozenset({_S.EXECUTED, _S.CANCELLED})


def unsettled(world: World) -> list[str]:
    """Return what does not agree yet between the books and the exchange; time may heal it."""
    return [*_orders(world), *_balances(world)]


def unknown(world: World) -> list[Order]:
    """Return the orders of which it is not known whether the exchange has them."""
    return [row for row in world.orders.rows.values() if row.status is _S.UNKNOWN]


def undeclared(world: World) -> list[str]:
    """Return the orders that not even an operator's word has ended."""
    return [f"{row.identifier} is UNKNOWN after the operator's word" for row in unknown(world)]


def hidden_by(world: World, order: Order) -> str | None:
    """Say what hides from the books that `order` never arrived; None: nothing does.

    From what the account's owner has done, not from what the service has seen of it.
    """
    moved = {currency for currency, _ in world.deposits}
    is_limit = order.intent.type in {OrderType.LIMIT, OrderType.LIMIT_IOC}
    reasons = {
        "a backup was restored": world.restores > 0,
        "it was answered about": order.quarantine is not None,
        "the books had not begun": world.account_books.began_at is None,
        "money and coins moved beside it": {order.market.quote, order.market.base} <= moved,
        "the owner traded as the books began": _traded_as_the_books_began(world),
        "coins moved beside a limit order": is_limit and order.market.base in moved,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _traded_as_the_books_began(world: World) -> bool:
    began_at = world.account_books.began_at
    return began_at is not None and any(
        other.request.identifier is None and abs(other.created_at - began_at) <= AS_THE_BOOKS_BEGIN
        for other in world.exchange.engine.orders.values()
    )


def broken(world: World) -> list[str]:
    """Return what no time can heal."""
    if world.restores:  # rows that a backup does not have cannot be held against anything
        return [*_sent_twice(world)]
    return [*_duplicates(world), *_sent_twice(world), *_invented_deposits(world)]


def _duplicates(world: World) -> Iterator[str]:
    """Never two orders for one decision."""
    accepted = world.exchange.accepted
    counts = Counter(
        row.decision_id
        for row in world.orders.rows.values()
        if row.decision_id is not None and row.identifier in accepted
    )
    for decision_id, count in counts.items():
        if count > 1:
            yield f"decision {decision_id} has {count} orders at the exchange"


def _sent_twice(world: World) -> Iterator[str]:
    for identifier, count in Counter(sent.identifier for sent in world.leavings).items():
        if count > 1:
            yield f"{identifier} was sent {count} times"


def _invented_deposits(world: World) -> Iterator[str]:
    """What a trade moved is never taken for a deposit."""
    if world.is_quiet and _traded_as_the_books_began(world):
        return  # a process that loses its lease no longer knows what the books may count twice
    real: defaultdict[str, set[Decimal]] = defaultdict(lambda: {ZERO})
    for currency, amount in world.deposits:  # several may come between two looks
        real[currency] |= {one + amount for one in real[currency]}
    sums: dict[str, Decimal] = {}
    for currency, amount in world.account_books.deposits:
        sums[currency] = sums.get(currency, ZERO) + amount
        if sums[currency] not in real[currency]:
            yield f"{amount} {currency} was never deposited"


def _orders(world: World) -> Iterator[str]:
    rows = {row.identifier: row for row in world.orders.rows.values()}
    for identifier in world.exchange.accepted:
        order = world.exchange.engine.find(identifier=identifier)
        row = rows.pop(identifier, None)
        if row is None:
            yield f"{identifier} is at the exchange and has no row"
        else:
            yield from _one_order(world, row, order)
    for row in rows.values():
        if row.status not in {_S.FAILED, _S.UNKNOWN}:  # see `unknown`
            yield f"{row.identifier} is {row.status} and the exchange has no such order"


def _one_order(world: World, row: Order, order: SandboxOrder) -> Iterator[str]:
    """The order is in the books, with all of its fills and its fee exactly."""
    name = row.identifier
    booked = {fill.trade_uuid: fill for of, fill in world.orders.booked if of == row.id}
    if {trade.uuid for trade in order.trades} != booked.keys():
        yield f"{name} has {len(order.trades)} trades and {len(booked)} fills"
    for trade in order.trades:
        fill = booked.get(trade.uuid)
        if fill is None:
            continue
        if (fill.price, fill.volume, fill.funds) != (trade.price, trade.volume, trade.funds):
            yield f"{name}: the fill of {trade.uuid} is not the trade"
    if sum((fill.fee for fill in booked.values()), ZERO) != order.paid_fee:
        yield f"{name}: fees {sum((f.fee for f in booked.values()), ZERO)}, paid {order.paid_fee}"
    if (order.state == "wait") != (row.status in OPEN) or row.status not in OPEN | _FINAL:
        yield f"{name} is {row.status} and {order.state} at the exchange"


def _balances(world: World) -> Iterator[str]:
    """Every balance is the opening one and our fills, to the last decimal."""
    expected = _explained(world)
    for currency in {"KRW", *(market.base for market in MARKETS)}:
        account = world.exchange.engine.account(currency)
        held = account.balance + account.locked
        if held != expected.get(currency, ZERO):
            yield f"{currency}: the exchange holds {held}, the books {expected.get(currency, ZERO)}"


def _explained(world: World) -> Mapping[str, Decimal]:
    totals: dict[str, Decimal] = {**OPENING}
    for currency, amount in world.deposits:
        totals[currency] = totals.get(currency, ZERO) + amount
    for order in world.exchange.engine.orders.values():
        if order.request.identifier is None:  # the owner's own
            base = order.request.market.base
            totals["KRW"] -= order.executed_funds + order.paid_fee
            totals[base] = totals.get(base, ZERO) + order.executed_volume
    for order_id, fill in world.orders.booked:
        row = world.orders.rows[order_id]
        sign = 1 if row.intent.side is Side.BUY else -1
        quote, base = row.market.quote, row.market.base
        totals[quote] = totals.get(quote, ZERO) - sign * fill.funds - fill.fee
        totals[base] = totals.get(base, ZERO) + sign * fill.volume
    return totals
