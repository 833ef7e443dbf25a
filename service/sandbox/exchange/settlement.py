"""Settlement: an order locks funds, each match moves some, and its end frees the rest."""

from collections.abc import Callable
from copy import copy
from datetime import datetime
from decimal import Decimal
from typing import Literal

from service.sandbox.exchange.accounts import Accounts
from service.sandbox.exchange.events import OrderEvent
from service.sandbox.exchange.matching import Match
from service.sandbox.exchange.order_register import OrderRegister
from service.sandbox.exchange.orders import FEE_RATIO, SandboxOrder, SandboxTrade
from service.sandbox.exchange.records import Changes


class Settlement:
    def __init__(
        self,
        *,
        accounts: Accounts,
        order_register: OrderRegister,
        changes: Changes,
        new_id: Callable[[], str],
    ) -> None:
        self._accounts = accounts
        self._order_register = order_register
        self._changes = changes
        self._new_id = new_id

    def accept(self, order: SandboxOrder) -> None:
        """Register the order and lock the funds it reserves."""
        self._order_register.add(order)
        self._accounts.move(order.currency, balance=-order.locked, locked=order.locked)
        self._changes.events.append(OrderEvent(kind="wait", order=copy(order)))

    def fill(
        self, order: SandboxOrder, match: Match, *, at: datetime, is_maker: bool = False
    ) -> None:
        market, funds = order.request.market, match.price * match.volume
        fee, held = funds * FEE_RATIO, order.locked
        order.count(volume=match.volume, funds=funds, fee=fee)
        freed = held - order.locked
        if order.is_bid:
            self._accounts.average_in(market.base, volume=match.volume, funds=funds)
            # The price is below the limit: the difference is freed.
            self._accounts.move(market.quote, balance=freed - funds - fee, locked=-freed)
            self._accounts.move(market.base, balance=match.volume)
        else:
            self._accounts.move(market.base, locked=-freed)
            self._accounts.move(market.quote, balance=funds - fee)
        trade = self._record(order, match, fee=fee, at=at)
        self._changes.events.append(
            OrderEvent(kind="trade", order=copy(order), trade=trade, is_maker=is_maker)
        )
        if order.is_complete:
            self.finish(order, "done")

    def finish(self, order: SandboxOrder, state: Literal["done", "cancel"]) -> None:
        """End the order and free the funds it still locks.

        The order keeps `locked`, `remaining_fee` and `remaining_volume`, as Upbit's does: live
        captures of March 2026 show them on cancelled orders.
        """
        self._accounts.move(order.currency, balance=order.locked, locked=-order.locked)
        self._order_register.close(order, state)
        self._changes.events.append(OrderEvent(kind=state, order=copy(order)))

    def _record(
        self, order: SandboxOrder, match: Match, *, fee: Decimal, at: datetime
    ) -> SandboxTrade:
        trade = SandboxTrade(
            uuid=self._new_id(),
            order=order.uuid,
            market=str(order.request.market),
            side=order.request.side,
            price=match.price,
            volume=match.volume,
            funds=match.price * match.volume,
            fee=fee,
            trend="up" if order.is_bid else "down",
            created_at=at,
        )
        # A new list: answers under way hold copies of the order with the old list.
        order.trades = [*order.trades, trade]
        self._changes.orders[order.uuid] = order
        self._changes.trades.append(trade)
        return trade
