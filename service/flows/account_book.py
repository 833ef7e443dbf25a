"""Explains every change of the account: by our fills, by orders of other programs, by deposits.

Our fills and the exchange's balances are two answers. So a difference counts from the second look
in a row on, and a currency that an order of ours may be moving is not judged.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.domain.account import ROUNDING, Absence, CurrencyBook, absence_of
from service.domain.markets import Balances, Market
from service.domain.orders import ZERO, ListedOrder, Order, OrderList, OrderOrigin, Side
from service.ports.account import AccountBooks
from service.ports.clock import MarketClock
from service.ports.exchange import LONGEST_WINDOW, Exchange
from service.ports.store import Orders

LOOKS_IN_A_ROW: Final = 2
#: While an order of ours moves one currency, only one side of a trade by hand is judged. The lists
#: have ten minutes to show such a trade.
LOOKS_WHILE_MOVING: Final = 10
#: So long after the books began the lists may show what the first balances had already.
_LISTS_LAG: Final = timedelta(minutes=10)
#: How long after an order by hand the balances may not show it yet: the books begin later.
_BALANCES_LAG: Final = timedelta(minutes=1)
#: A program that orders all the time cannot put the books off for longer.
_BEGIN_WITHIN: Final = timedelta(minutes=10)
#: A list with an order that cannot be read may explain a difference. After so many looks the
#: operator is told: such an order stays in the lists for a week.
LOOKS_UNREADABLE: Final = 10
#: How far the exchange's clock may be behind ours, in the window of a list.
_CLOCKS_DIFFER: Final = timedelta(minutes=10)
#: An order that says it was made longer ago, before there was the exchange, is not asked for.
_LONGEST_OPEN: Final = timedelta(days=10 * 365)
#: Bounds are rounded to seconds: windows of a whole week would leave some out.
_WINDOW: Final = LONGEST_WINDOW - timedelta(hours=1)

Books = Mapping[str, CurrencyBook]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLook:
    """One look: the books from before and after the balances were asked for.

    Attributes:
        held: our coins by currency.
        moving: currencies that an order of ours may be moving.
    """

    at: datetime
    balances: Balances
    before: Books
    after: Books
    held: Mapping[str, Decimal]
    moving: frozenset[str]

    def total(self, currency: str) -> Decimal:
        balance = self.balances.get(currency)
        return ZERO if balance is None else balance.total

    def book(self, currency: str) -> CurrencyBook | None:
        """Return the currency's book; None while the books moved during the look."""
        book = self.after.get(currency)
        if book is None:
            # Neither held nor traded when the books began.
            oldest = min(known.at for known in self.after.values())
            return CurrencyBook(
                currency=currency, amount=ZERO, at=oldest, moved=ZERO, moved_by_others=ZERO,
                booked=ZERO, external=ZERO,
            )  # fmt: skip
        return book if self.before.get(currency) == book else None

    def differences(self) -> Mapping[str, Decimal]:
        """Return what nothing explains, by currency; moving ones and agreeing ones are left out."""
        found = {}
        for currency in (self.after.keys() | self.balances.keys()) - self.moving:
            book = self.book(currency)
            if book is not None and (odd := book.difference(self.total(currency))):
                found[currency] = odd
        return found


class AccountBook:
    """Keeps a baseline of each currency, and finds deposits, withdrawals and what nothing explains.

    Only the process that trades looks.
    """

    def __init__(
        self,
        *,
        books: AccountBooks,
        orders: Orders,
        exchange: Exchange,
        clock: MarketClock,
        markets: Collection[Market] = (),
    ) -> None:
        """Args: markets: the books do not begin while a currency of theirs cannot be read."""
        self._needed = {name for market in markets for name in (market.base, market.quote)}
        self._books = books
        self._orders = orders
        self._exchange = exchange
        self._clock = clock
        self._seen: dict[str, tuple[Decimal, int]] = {}  #: difference, and looks in a row
        self._unexplained: set[str] = set()
        self._put_off_at: datetime | None = None  #: the books, for the first time
        self._began_at: datetime | None = None  #: the books, if this process began them
        self._known_at_begin: frozenset[str] = frozenset()  #: uuids of orders by hand

    @property
    def disagree(self) -> bool:
        """Whether amounts are missing, or were traded, and nothing explains it."""
        return bool(self._unexplained)

    def forget(self) -> None:
        """Drop all findings: another process holds the trading lease now."""
        self._seen.clear()
        self._unexplained.clear()
        self._began_at = None

    async def begin(self) -> None:
        """Store the first baselines, once in a database's life. Raises: BoundaryError.

        Before the first order: what an order moves can then be told from what was there. With an
        open order, or just after one by hand, it waits: the account may hold what a fill moved and
        the books not yet, or the lists show what the balances do not yet. For orders by hand it
        waits ten minutes at most.
        """
        if await self._books.books() is not None:
            return
        at = self._clock.now()
        # Orders of other programs that are known now explain nothing that comes later.
        lists = await self.take_external(at - _WINDOW)
        if any(listed.order.created_at > at - _BALANCES_LAG for listed in lists.external):
            self._put_off_at = self._put_off_at or at
            if at - self._put_off_at < _BEGIN_WITHIN:
                return
        before = await self._orders.open()
        balances = await self._exchange.balances()
        if balances.unreadable & self._needed:
            return  # in the books it would be nothing, and a deposit when it can be read
        amounts = {name: balance.total for name, balance in balances.items()}
        if not (before or await self._orders.open()):
            await self._books.begin(amounts, at=at)
            self._began_at = at
            self._known_at_begin = frozenset(listed.order.uuid for listed in lists.external)

    async def look(self) -> None:
        """Compare every currency with its book. Raises: BoundaryError."""
        look = await self._look()
        if look is None:
            await self.begin()
            return
        lists = OrderList()
        if look.differences() or self._began_lately(look.at):
            # Only now: most looks need no list. The orders of other programs explain the rest.
            lists = await self.take_external(look.at - _WINDOW)
            look = await self._look() or look
        await self._judge(look, late=self._late(lists), is_whole=not lists.unreadable)

    async def explain(self, order: Order) -> Absence:
        """Say whether lists and balances explain that the exchange does not find `order`.

        Raises: BoundaryError.
        """
        lists = await self.take_external(order.created_at - _CLOCKS_DIFFER)
        if any(listed.order.identifier == order.identifier for listed in lists.ours):
            return Absence.CONTRADICTED
        if lists.unreadable:
            return Absence.UNCLEAR
        look = await self._look()
        if look is None:
            return Absence.UNCLEAR
        return _moved_by(order, look)

    async def is_listed(self, order: Order) -> bool:
        """Whether a list of the exchange has `order`. Raises: BoundaryError.

        Listed orders that cannot be read are left out: they would block the answer for days.
        """
        found = await self.take_external(order.created_at - _CLOCKS_DIFFER)
        return any(listed.order.identifier == order.identifier for listed in found.ours)

    async def take_external(self, since: datetime) -> OrderList:
        """Store the orders of other programs; return all orders of the lists since `since`.

        The open ones come first: an order that ends meanwhile is then among the finished ones.
        """
        now = self._clock.now()
        still_open = await self._exchange.open_orders()
        known = await self._books.open_external()
        gone = known.keys() - {listed.order.uuid for listed in still_open.orders}
        lists = [still_open]
        for begin, end in _windows(since, now, also=[known[uuid] for uuid in gone]):
            lists.append(await self._exchange.closed_orders(begin, end))
        found = {one.order.uuid: one for listed in lists for one in listed.orders}
        told = [one for one in found.values() if one.is_ours or _tells_funds(one)]
        unreadable = sum(listed.unreadable for listed in lists) + len(found) - len(told)
        whole = OrderList(orders=tuple(told), unreadable=unreadable)
        await self._books.put_external(whole.external, ended=gone - found.keys(), at=now)
        return whole

    async def _look(self) -> AccountLook | None:
        """Return None before the first baselines."""
        at = self._clock.now()
        before, moving_before = await self._books.books(), await self._moving()
        if before is None:
            return None
        balances = await self._exchange.balances()
        after, moving = await self._books.books(), await self._moving()
        held: dict[str, Decimal] = {}
        for position in await self._orders.positions():
            base = position.market.base
            held[base] = held.get(base, ZERO) + position.volume
        return AccountLook(
            at=at,
            balances=balances,
            before=before,
            after=after or before,
            held=held,
            # What cannot be read is not judged either.
            moving=moving | moving_before | balances.unreadable,
        )

    async def _moving(self) -> frozenset[str]:
        orders = await self._orders.open()
        return frozenset(
            currency for order in orders for currency in (order.market.base, order.market.quote)
        )

    def _began_lately(self, at: datetime) -> bool:
        return self._began_at is not None and at - self._began_at <= _LISTS_LAG

    def _late(self, lists: OrderList) -> Mapping[str, Decimal]:
        """Return what orders by hand moved that the lists showed only after the books began."""
        moved: dict[str, Decimal] = {}
        for listed in lists.external:
            order = listed.order
            # The exchange tells when the order was made, and our clock may be behind.
            if self._began_at is None or order.created_at > self._began_at + _BALANCES_LAG:
                continue
            if order.uuid in self._known_at_begin:
                continue
            sign = 1 if order.side is Side.BUY else -1
            funds = -sign * (listed.executed_funds or ZERO) - order.paid_fee
            for currency, amount in (
                (order.market.base, sign * order.executed_volume),
                (order.market.quote, funds),
            ):
                moved[currency] = moved.get(currency, ZERO) + amount
        return moved

    async def _judge(
        self, look: AccountLook, *, late: Mapping[str, Decimal], is_whole: bool
    ) -> None:
        """Say of each currency whether it agrees, and what becomes of it where it does not.

        Args:
            late: by currency, what the first balances may have shown before the lists.
            is_whole: whether every listed order could be read.
        """
        odd = look.differences()
        for currency in (look.after.keys() | look.balances.keys()) - look.moving - odd.keys():
            await self._agrees(look, currency)
        for currency in self._seen.keys() - odd.keys():
            del self._seen[currency]
        for currency, difference in odd.items():
            before, times = self._seen.get(currency, (difference, 0))
            self._seen[currency] = (difference, times + 1 if before == difference else 1)
        enough = LOOKS_IN_A_ROW if is_whole else LOOKS_UNREADABLE
        sure = {name: odd[name] for name, (_, looks) in self._seen.items() if looks >= enough}
        for currency, difference in sure.items():
            if currency in late and abs(difference + late[currency]) <= ROUNDING:
                # The first balances had it already: the order explains nothing since.
                await self._agrees(look, currency)
            else:
                await self._explain_difference(look, currency, odd, is_whole=is_whole)

    async def _agrees(self, look: AccountLook, currency: str) -> None:
        book, actual = look.book(currency), look.total(currency)
        if book is None:
            return
        if currency in self._unexplained:
            self._unexplained.discard(currency)
            logger.bind(event="order", currency=currency).info("the account is explained again")
        elif book.is_settled_at(actual):
            return
        await self._books.settle(book, actual, at=look.at)

    async def _explain_difference(
        self, look: AccountLook, currency: str, odd: Mapping[str, Decimal], *, is_whole: bool
    ) -> None:
        book, actual = look.book(currency), look.total(currency)
        if book is None:
            return
        is_apart = not _is_traded(currency, odd) and look.held.get(currency, ZERO) <= actual
        as_deposit = is_apart and is_whole
        _, looks = self._seen[currency]
        if as_deposit and look.moving and looks < LOOKS_WHILE_MOVING:
            return
        # Without amounts: what is on the account never appears in a log.
        line = logger.bind(event="order", currency=currency)
        if await self._books.settle_difference(book, actual, at=look.at, as_deposit=as_deposit):
            self._unexplained.discard(currency)
            del self._seen[currency]
            line.info("the account changed without a trade, a deposit or withdrawal is recorded")
            return
        await self._books.put_difference(book, actual, at=look.at)
        if currency not in self._unexplained:
            self._unexplained.add(currency)
            line.error("nothing explains what the account holds; the API shows both amounts")


def _windows(
    since: datetime, now: datetime, *, also: Iterable[datetime]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield windows that cover `since` to `now`, and each of `also` before that.

    Lists name an order by when it was made. So one that was open for years takes one question, and
    not one for each week since.
    """
    covered: datetime | None = None
    for at in sorted(instant for instant in also if now - _LONGEST_OPEN < instant < since):
        if covered is None or at >= covered:
            begin = at - _CLOCKS_DIFFER
            covered = min(begin + _WINDOW, since)
            yield begin, covered
    while since < now:
        until = min(since + _WINDOW, now)
        yield since, until
        since = until


def _is_traded(currency: str, differences: Mapping[str, Decimal]) -> bool:
    """Whether one amount grew and another shrank at once: a trade in no list, and no deposit."""
    mine = differences[currency]
    return any(mine * other < 0 for other in differences.values())


def _moved_by(order: Order, look: AccountLook) -> Absence:
    """Say whether the account moved as `order` would have moved it."""
    books = [look.book(name) for name in (order.market.quote, order.market.base)]
    odd = []
    if look.balances.unreadable & {order.market.quote, order.market.base}:
        return Absence.UNCLEAR
    for book in books:
        if book is None or (book.at > order.created_at and not _blocks_baselines(order)):
            return Absence.UNCLEAR
        odd.append(look.total(book.currency) - book.expected)
    money, coins = odd
    return absence_of(order.intent, money=money, coins=coins)


def _blocks_baselines(order: Order) -> bool:
    """Whether `order` has been open since its row was committed.

    Then no baseline of its currencies was stored from a look that came after the commit, whatever
    the clocks of two processes say: none holds what the order moved. An order that had no row, or
    was FAILED, for a while blocked none.
    """
    return order.origin is OrderOrigin.SERVICE and order.is_open


def _tells_funds(listed: ListedOrder) -> bool:
    return listed.executed_funds is not None or not listed.order.executed_volume
