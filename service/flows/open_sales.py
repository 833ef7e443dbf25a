"""Knows in memory which coins are being sold, so that no coins are sold twice."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from service.bus import OrderFilled, OrderMoved
from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Market
from service.domain.orders import OPEN, ZERO, Intent, Order, OrderType, Side
from service.domain.trading_states import OrderSource

_LAST: Final = 200  #: so many ended sales are remembered


@dataclass(slots=True)
class _Sale:
    """Attributes:
    most: coins that it may sell in all.
    heard: coins whose fills are booked on the position in memory.
    is_in_hand: being sent or followed right now.
    is_over: it sells nothing more, and fills of it were not heard yet.
    has_row: the table knows it, or will as soon as it is sent.
    """

    intent: Intent
    most: Decimal
    is_exit: bool
    is_in_hand: bool
    heard: Decimal = ZERO
    is_over: bool = False
    has_row: bool = True

    @property
    def market(self) -> Market:
        return self.intent.market

    @property
    def left(self) -> Decimal:
        """Return the coins that the position in memory still has and this sale may have sold."""
        return max(self.most - self.heard, ZERO)


class OpenSales:
    """Every sale of this service from before its row is written until its fills are heard.

    What is held in memory less what is open may be sold. A sale that is final keeps the coins whose
    fills were not heard: the answer of the COMMIT that books them may be lost. It asks neither the
    database nor the exchange: an exit needs the answer at once, and while both are away.
    """

    def __init__(self) -> None:
        self._sales: dict[str, _Sale] = {}
        self._ended: deque[str] = deque(maxlen=_LAST)

    def begin(self, identifier: str, intent: Intent, *, source: OrderSource) -> None:
        """Count a sale from now on; a purchase is none.

        Raises: ExchangeUnavailable, with nothing counted, for a sale that no rule makes while a
            rule's sale of the market is open: it was decided before that sale.
        """
        if intent.side is Side.BUY or intent.volume is None:
            return
        is_exit = source is OrderSource.RULE
        if not is_exit and self._is_exiting(intent.market):
            raise ExchangeUnavailable(
                f"a rule of protection sells {intent.market} right now", code="exit", sent=False
            )
        self._sales[identifier] = _Sale(
            intent=intent, most=intent.volume, is_exit=is_exit, is_in_hand=True
        )

    def let_go(self, identifier: str, order: Order | None) -> None:
        """Note that an order is no longer sent or followed. Args: order: None: it was not sent."""
        sale = self._sales.get(identifier)
        if sale is None:
            return
        sale.is_in_hand = False
        if order is None:
            self._end(identifier)
        elif not order.is_open:
            self._finish(identifier, executed=order.executed_volume)

    def ended_at(self, identifier: str, *, executed: Decimal) -> None:
        """Note that a sale has ended before its fills could be booked. Its other coins are free."""
        if identifier in self._sales:
            self._finish(identifier, executed=executed)

    def lost_row(self, identifier: str) -> None:
        """Note that no table takes this sale: its coins are free when its fills are heard."""
        sale = self._sales.get(identifier)
        if sale is not None:
            sale.is_in_hand = sale.has_row = False

    def volume(self, market: Market) -> Decimal:
        """Return the coins of `market` that open sales may still take."""
        return sum((sale.left for sale in self._sales.values() if sale.market == market), ZERO)

    def sold(self, market: Market) -> Decimal:
        """Return the coins of `market` that are sold and still in the position: not booked yet."""
        return sum(
            (one.left for one in self._sales.values() if one.market == market and one.is_over),
            ZERO,
        )

    def resting(self, market: Market) -> Sequence[str]:
        """Return the identifiers of the limit orders among them."""
        return [
            name
            for name, sale in self._sales.items()
            if sale.market == market and sale.intent.type is OrderType.LIMIT and not sale.is_over
        ]

    def unfollowed(self, market: Market) -> Sequence[tuple[str, Intent]]:
        """Return the sales that may go on selling while nothing here follows them."""
        return [
            (name, sale.intent)
            for name, sale in self._sales.items()
            if sale.market == market and not sale.is_in_hand and not sale.is_over
        ]

    def names(self) -> Collection[str]:
        """Return the identifiers of the sales that are not being sent or followed."""
        return frozenset(name for name, sale in self._sales.items() if not sale.is_in_hand)

    def compare(
        self,
        rows: Sequence[Order],
        *,
        known: Collection[str],
        differing: Collection[Market] = (),
    ) -> None:
        """Take the open orders as the table has them.

        Args:
            known: `names()` before the table was read. A sale begun since, or whose row was being
                written then, may be missing in `rows` although it is open.
            differing: markets whose position in memory is not as it is stored. Fills may have been
                booked there that were not heard, so none of their sales ends.
        """
        found = {row.identifier: row for row in rows if row.intent.side is Side.SELL}
        for name in known:
            sale = self._sales.get(name)
            if sale is None or sale.market in differing:
                continue
            if name in found:
                sale.heard, sale.has_row = found[name].executed_volume, True
            elif sale.has_row and not sale.is_in_hand:
                self._end(name)
        for name, row in found.items():
            if name not in self._sales and name not in self._ended and row.intent.volume:
                self._sales[name] = _Sale(
                    intent=row.intent,
                    most=row.intent.volume,
                    heard=row.executed_volume,
                    is_exit=row.rule is not None,
                    is_in_hand=False,
                )

    async def filled(self, event: OrderFilled) -> None:
        sale = self._sales.get(event.identifier)
        if sale is not None:
            sale.heard += event.volume
            if sale.is_over and not sale.left:
                self._end(event.identifier)

    async def moved(self, event: OrderMoved) -> None:
        if event.is_recovered and event.status in OPEN and event.identifier in self._ended:
            # Judged never placed, and on the book after all: the next comparison counts it.
            self._ended.remove(event.identifier)
        if event.status not in OPEN and event.identifier in self._sales:
            self._finish(event.identifier, executed=event.executed_volume)

    def _finish(self, identifier: str, *, executed: Decimal) -> None:
        """End a final sale once its fills are heard; before that they are coins of the position."""
        sale = self._sales[identifier]
        sale.most, sale.is_over = executed, True
        if not sale.left:
            self._end(identifier)

    def _end(self, identifier: str) -> None:
        del self._sales[identifier]
        self._ended.append(identifier)

    def _is_exiting(self, market: Market) -> bool:
        """Whether a rule sells coins of `market`.

        A sale whose row no table takes may never end: it stops no other, and keeps its coins.
        """
        return any(
            sale.is_exit
            and sale.market == market
            and not sale.is_over
            and (sale.has_row or sale.is_in_hand)
            for sale in self._sales.values()
        )
