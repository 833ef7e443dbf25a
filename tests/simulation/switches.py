"""Switches: each takes ONE safeguard out, and the histories must notice.

They replace parts of the code under test in this process only. A safeguard without which no
history breaks is either not needed or not tried.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from math import inf
from typing import Any, Final

from service.adapters.upbit import orders as wire_orders
from service.adapters.upbit.limits import Limiter
from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import ExchangeRefused, OutcomeUnknown
from service.domain.orders import (
    ZERO,
    ExchangeOrder,
    ExchangeOrderState,
    Fill,
    Intent,
    Order,
    OrderStatus,
    Trade,
    fills_from,
    status_on_exchange,
)
from service.flows import execute, not_placed, reconcile
from service.flows.leadership import Leadership
from service.flows.looks import Bound
from service.flows.not_placed import NotPlacedOrders
from service.flows.order_sweep import OrderSweep
from service.flows.reconcile import Reconciler
from tests.fakes.orders import FakeOrders
from tests.fakes.tables import Tables
from tests.simulation.price_switches import PRICE_SWITCHES, Replaced
from tests.simulation.world import World


def _identifier_reused() -> Sequence[Replaced]:
    """Every attempt of one process uses the same identifier, and the table takes it."""
    return (
        (World, "new_identifier", lambda _: "1"),
        (FakeOrders, "_check_unique", lambda *_: None),
    )


def _resent_after_the_first_404() -> Sequence[Replaced]:
    submit, numbers = UpbitRest.submit, count(1)

    async def resending(self: UpbitRest, intent: Intent, *, identifier: str, **rest: Any) -> Any:
        try:
            return await submit(self, intent, identifier=identifier, **rest)
        except OutcomeUnknown:
            if await self.find(identifier) is not None:
                raise
            return await submit(self, intent, identifier=f"{identifier}-{next(numbers)}", **rest)

    return ((UpbitRest, "submit", resending),)


def _commit_after_post() -> Sequence[Replaced]:
    """The row is written once the answer has come."""
    add, submit = FakeOrders.add, UpbitRest.submit
    kept: dict[str, tuple[FakeOrders, Intent, dict[str, Any]]] = {}

    async def later(self: FakeOrders, intent: Intent, **values: Any) -> Order:
        kept[values["identifier"]] = (self, intent, values)
        order = await add(FakeOrders(tables=self.tables), intent, **values)
        return replace(order, id=len(self.rows) + 1)

    async def first(self: UpbitRest, intent: Intent, *, identifier: str, **rest: Any) -> Any:
        try:
            return await submit(self, intent, identifier=identifier, **rest)
        finally:
            orders, meant, values = kept.pop(identifier)
            await add(orders, meant, **values)

    return ((FakeOrders, "add", later), (UpbitRest, "submit", first))


def _no_epoch() -> Sequence[Replaced]:
    """What has led once goes on leading: neither time nor the row's epoch tells it otherwise."""
    return (
        (Tables, "holds", lambda *_: True),
        (Leadership, "is_leader", property(lambda self: self._epoch is not None)),
    )


def _no_deadline() -> Sequence[Replaced]:
    return ((execute, "SEND_WITHIN_S", inf),)


def _fill_key_dropped() -> Sequence[Replaced]:
    """A trade is booked as often as it is seen."""

    def all_new(trades: Any, *, paid_fee: Any, known: Sequence[Fill]) -> tuple[Fill, ...]:
        del known
        return fills_from(trades, paid_fee=paid_fee, known=())

    return (
        (reconcile, "fills_from", all_new),
        (FakeOrders, "_is_stored", lambda *_: False),
    )


def _cancel_means_nothing_bought() -> Sequence[Replaced]:
    read = wire_orders.order

    def empty(payload: object, identifier: str) -> ExchangeOrder:
        order = read(payload, identifier)
        if order.state is not ExchangeOrderState.CANCELLED:
            return order
        no_trades: tuple[Trade, ...] = ()
        return replace(order, executed_volume=ZERO, paid_fee=ZERO, trades=no_trades, trades_count=0)

    return ((wire_orders, "order", empty),)


def _ban_ignored() -> Sequence[Replaced]:
    return ((Limiter, "_check_ban", lambda _: None),)


def _second_order_of_a_decision() -> Sequence[Replaced]:
    """The table takes a second order of one decision."""
    check = FakeOrders._check_unique

    def only_identifiers(self: FakeOrders, identifier: str, _: int | None) -> None:
        check(self, identifier, None)

    return ((FakeOrders, "_check_unique", only_identifiers),)


def _unknown_read_as_refusal() -> Sequence[Replaced]:
    """A lost answer counts as a refusal."""
    submit = UpbitRest.submit

    async def refused(self: UpbitRest, *args: Any, **rest: Any) -> Any:
        try:
            return await submit(self, *args, **rest)
        except OutcomeUnknown as exc:
            raise ExchangeRefused("refused", code="refused") from exc

    return ((UpbitRest, "submit", refused),)


def _past_not_settled() -> Sequence[Replaced]:
    """A new owner trades at once, and looks up nothing that the last one left open."""

    async def nothing(*_: object, **__: object) -> int:
        return 0

    return ((Reconciler, "reconcile", nothing),)


def _state_unread_in_the_insert() -> Sequence[Replaced]:
    """Halts and the switch count as they were when the signal was decided."""
    return ((FakeOrders, "_check_rules", lambda *_: None),)


def _not_placed_at_once() -> Sequence[Replaced]:
    """One look-up that finds nothing makes an order one that was never placed."""
    return ((reconcile, "ABSENT", Bound(1, 0.0)),)


def _trades_need_not_add_up() -> Sequence[Replaced]:
    """A final word counts before its trades have come."""

    async def absorb(self: Reconciler, order: Order, seen: ExchangeOrder) -> Order:
        known = await self._orders.fills(order.id)
        fills = fills_from(seen.trades, paid_fee=seen.paid_fee, known=known)
        status = status_on_exchange(seen, order.intent)
        if status not in {OrderStatus.EXECUTED, OrderStatus.CANCELLED} and not fills:
            return order
        moved = replace(order.moved_to(status), exchange_uuid=seen.uuid)
        await self._advance(order, moved, fills=fills)
        return moved

    return ((Reconciler, "absorb", absorb),)


def _locked_of_a_final_order_believed() -> Sequence[Replaced]:
    """What a finished order still shows as locked counts as still on the book."""
    read = wire_orders.order

    def waiting(payload: Any, identifier: str) -> ExchangeOrder:
        order = read(payload, identifier)
        locked = Decimal(payload.get("locked", "0"))
        return replace(order, state=ExchangeOrderState.WAITING) if locked else order

    return ((wire_orders, "order", waiting),)


def _list_sweep_off() -> Sequence[Replaced]:
    """Only orders that have a row are looked for."""

    async def nothing(_: OrderSweep) -> int:
        return 0

    return ((OrderSweep, "begin", nothing), (OrderSweep, "step", nothing))


def _quarantine_off() -> Sequence[Replaced]:
    """An answer that cannot be true is believed like any other."""
    return ((reconcile, "contradiction", lambda *_, **__: None),)


def _word_without_the_exchange() -> Sequence[Replaced]:
    """An operator's word counts, whatever the exchange says."""

    async def nothing(*_: object) -> None:
        return

    return ((NotPlacedOrders, "_check_exchange", nothing),)


def _word_at_once() -> Sequence[Replaced]:
    """An operator's word ends an order that may still be on its way."""
    return ((not_placed, "YOUNGEST", timedelta(0)),)


SWITCHES: Final[Mapping[str, Callable[[], Sequence[Replaced]]]] = {
    "identifier reused": _identifier_reused,
    "resent after the first 404": _resent_after_the_first_404,
    "commit after POST": _commit_after_post,
    "no epoch": _no_epoch,
    "no deadline": _no_deadline,
    "fill key dropped": _fill_key_dropped,
    "cancel read as nothing bought": _cancel_means_nothing_bought,
    "ban ignored": _ban_ignored,
    "second order of a decision": _second_order_of_a_decision,
    "lost answer read as a refusal": _unknown_read_as_refusal,
    "state unread in the INSERT": _state_unread_in_the_insert,
    "open orders not looked up": _past_not_settled,
    "locked of a final order believed": _locked_of_a_final_order_believed,
    "list sweep off": _list_sweep_off,
    "quarantine off": _quarantine_off,
    "not placed at once": _not_placed_at_once,
    "operator's word not checked": _word_without_the_exchange,
    "operator's word at once": _word_at_once,
    "trades need not add up": _trades_need_not_add_up,
}


@contextmanager
def switched(name: str | None) -> Iterator[None]:
    """Take the safeguard called `name` out inside the block; None takes out nothing."""
    with ExitStack() as stack:
        switches = {**SWITCHES, **PRICE_SWITCHES}
        for owner, attribute, value in switches[name]() if name is not None else ():
            stack.callback(setattr, owner, attribute, getattr(owner, attribute))
            setattr(owner, attribute, value)
        yield
