"""Compares the exchange's orders under our prefix with our rows: the exchange may know more.

A row may be missing (a lost commit, a restored backup), wrong (a failed order that arrived late),
or final without some of its fills.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from service.domain.errors import DomainError, ExchangeUnavailable
from service.domain.orders import OPEN, ListedOrder, OrderStatus
from service.flows.account_book import AccountBook
from service.ports.clock import MarketClock
from service.ports.order_sweep import OrderSummary, SweptOrders

RECENT: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)
FULL_EVERY: Final = timedelta(hours=24)
#: How far back before the last sweep a new one begins: an order that was on its way, and clocks.
_OVERLAP: Final = timedelta(hours=1)
_AT_ONCE: Final = 1000  #: identifiers in one statement
_UNANSWERED_MOST: Final = 2  #: orders of one sweep whose look-ups are not answered

#: Brings our rows in line with an order of the exchange's lists; the reconciler's `take_in`.
TakeIn = Callable[[ListedOrder], Awaitable[object]]


class OrderSweep:
    """Run by the process that trades: before its first order, and again and again."""

    def __init__(
        self, *, account_book: AccountBook, rows: SweptOrders, take_in: TakeIn, clock: MarketClock
    ) -> None:
        self._account_book = account_book
        self._rows = rows
        self._take_in = take_in
        self._clock = clock
        self._full_at: datetime | None = None

    async def begin(self) -> int:
        """Sweep a week, or all that a restored database does not know. Raises: BoundaryError."""
        now = self._clock.now()
        swept_until = await self._rows.swept_until()
        since = now - WEEK
        if swept_until is not None:
            since = min(since, swept_until - _OVERLAP)
        found = await self._sweep(since)
        self._full_at = now
        return found

    async def step(self) -> int:
        """Sweep a day, and once a day a week; return how many orders were taken in.

        Raises: BoundaryError.
        """
        now = self._clock.now()
        if self._full_at is None or now - self._full_at >= FULL_EVERY:
            return await self.begin()
        return await self._sweep(now - RECENT)

    async def _sweep(self, since: datetime) -> int:
        until = self._clock.now()
        lists = await self._account_book.take_external(since)
        # A sale is taken in after the purchase of its coins.
        ours = sorted(lists.ours, key=lambda listed: listed.order.created_at)
        taken = 0
        unanswered: list[ExchangeUnavailable] = []
        for first in range(0, len(ours), _AT_ONCE):
            some = ours[first : first + _AT_ONCE]
            rows = await self._rows.summaries([str(one.order.identifier) for one in some])
            for listed in some:
                if _agrees(listed, rows.get(str(listed.order.identifier))):
                    continue
                taken += await self._taken_in(listed, unanswered)
        if unanswered:
            raise unanswered[0]  # the others are taken in; it is tried again until it is put aside
        if lists.unreadable:
            # Each has its own line. It is asked for again: an order of ours may be among them.
            logger.bind(event="order", orders=lists.unreadable).warning(
                "orders in the exchange's lists cannot be read, the sweep is not complete"
            )
        else:
            await self._rows.mark_swept(until)
        return taken

    async def _taken_in(self, listed: ListedOrder, unanswered: list[ExchangeUnavailable]) -> bool:
        try:
            await self._take_in(listed)
        except DomainError as exc:
            # It concerns this order only: the others are taken in, and it is tried again.
            logger.bind(
                event="order", identifier=listed.order.identifier, error=type(exc).__name__
            ).error("an order of the exchange's lists cannot be taken in")
            return False
        except ExchangeUnavailable as exc:
            unanswered.append(exc)
            if len(unanswered) == _UNANSWERED_MOST:
                raise
            return False
        return True


def _agrees(listed: ListedOrder, row: OrderSummary | None) -> bool:
    """Whether `row` is as the list says, or is looked up anyway because it is open."""
    if row is None or row.status is OrderStatus.FAILED:
        return False
    if row.status in OPEN:
        return True
    order = listed.order
    return (
        row.executed_volume == order.executed_volume
        and row.paid_fee == order.paid_fee
        and row.fills == order.trades_count
        and listed.executed_funds in {None, row.executed_funds}
    )
