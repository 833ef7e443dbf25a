"""The exchange itself: accounts, orders, matching. Synchronous, so every change is whole."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import uuid4

from service.domain.markets import Market
from service.sandbox.book import Book, Level, book_at
from service.sandbox.errors import refused
from service.sandbox.journal import Journal, Record
from service.sandbox.matching import STEP, exact, take
from service.sandbox.orders import (
    FEE_RATIO,
    MAX_TOTAL,
    MIN_TOTAL,
    ZERO,
    Account,
    Order,
    State,
    Ticket,
    Trade,
    account_from,
    account_record,
    new_order,
    order_from,
    order_record,
    trade_from,
    trade_record,
)
from service.sandbox.tape import Print, Tape, instant_of, step_at
from service.sandbox.ticket import Fields, identifier_of, read_ticket
from service.sandbox.ticks import decimal, units

_NEVER: Final = 2**63 - 1


def _random_id() -> str:
    # Never derived from the seed: a client's database outlives an exchange without a memory.
    return str(uuid4())


class Engine:
    """One account on one exchange. `now` is the market's instant and never goes backwards."""

    def __init__(
        self,
        *,
        tapes: Mapping[Market, Tape],
        seed: int,
        opening: Mapping[str, Decimal],
        journal: Journal,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        self.tapes = tapes
        self.opening = dict(opening)
        self.orders: dict[str, Order] = {}  #: by uuid, oldest first
        self._accounts = {c: Account(currency=c, balance=b) for c, b in opening.items()}
        self._identifiers: dict[str, str | None] = {}  #: uuid, None for a refused order
        self._open: dict[str, Order] = {}
        self._seed = seed
        self._journal = journal
        self._new_id = new_id
        self._step: int | None = None  #: up to here the market has been matched
        self._used: defaultdict[tuple[Market, int], Decimal] = defaultdict(lambda: ZERO)
        self._changed = _Changes()

    # --- questions ----------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        """Return the quote money and every coin that is held, by name."""
        held = (a for a in self._accounts.values() if a.balance or a.locked)
        shown = {a.currency: a for a in held} | {"KRW": self.account("KRW")}
        return [shown[currency] for currency in sorted(shown)]

    def account(self, currency: str) -> Account:
        return self._accounts.get(currency) or Account(currency=currency)

    def open_markets(self) -> set[Market]:
        return {order.ticket.market for order in self._open.values()}

    def find(self, *, uuid: str | None = None, identifier: str | None = None) -> Order:
        """Return the order by its uuid, else by the client's identifier."""
        if not uuid and not identifier:
            raise refused("validation_error", about="uuid, identifier")
        order = self.orders.get(uuid or self._identifiers.get(identifier or "") or "")
        if order is None:
            raise refused("order_not_found")
        return order

    def book(self, market: Market, now: datetime) -> Book:
        """Return the book at the newest print, without what this account has taken from it."""
        last = self.tapes[market].newest(step_at(now))
        book = book_at(self._seed, market, last)
        asks, bids = (
            [level._replace(size=left) for level in side if (left := self._left(market, level)) > 0]
            for side in book
        )
        return Book(asks, bids)

    def _left(self, market: Market, level: Level) -> int:
        return level.size - units(self._used[market, level.price])

    # --- commands -----------------------------------------------------------------------------

    @exact
    def advance(self, now: datetime) -> None:
        """Match the resting orders against every print up to `now`."""
        step = step_at(now)
        if self._step is None:
            self._step = step
        if step <= self._step:
            return
        for market in self.open_markets():
            self._match_resting(market, after=self._step, until=step)
        self._step = step
        self._used.clear()  # a new print brings a new book
        self._commit(now)

    @exact
    def place(self, fields: Fields, now: datetime) -> Order:
        """Accept the order, match it, and return it as it was when accepted: waiting.

        Raises: Refused. The identifier is used up even then.
        """
        self.advance(now)
        self._burn(identifier_of(fields), now)
        ticket = read_ticket(fields, self.tapes.keys())
        order = self._accepted(ticket, now)
        self.orders[order.uuid] = self._open[order.uuid] = order
        if ticket.identifier is not None:
            self._identifiers[ticket.identifier] = order.uuid
        self._move(order.currency, balance=-order.locked, locked=order.locked)
        self._changed.orders[order.uuid] = order
        accepted = copy(order)
        self._match_new(order, now)
        self._commit(now)
        return accepted

    @exact
    def test(self, fields: Fields, now: datetime) -> Order:
        """Return the order as it would be accepted; nothing happens."""
        self.advance(now)
        if (identifier := identifier_of(fields)) in self._identifiers and identifier is not None:
            raise refused("duplicated_identifier")
        return self._accepted(read_ticket(fields, self.tapes.keys()), now)

    @exact
    def cancel(self, order: Order, now: datetime) -> Order:
        """Cancel what is left and return the order as it was when asked: waiting."""
        self.advance(now)
        if order.state != "wait":
            raise refused("order_not_found")
        asked = copy(order)
        self._finish(order, "cancel")
        self._commit(now)
        return asked

    # --- accepting ----------------------------------------------------------------------------

    def _burn(self, identifier: str | None, now: datetime) -> None:
        if identifier is None:
            return
        if identifier in self._identifiers:
            raise refused("duplicated_identifier")
        self._identifiers[identifier] = None
        self._changed.identifiers.append(identifier)
        # Committed at once: a refusal below must not free it again.
        self._commit(now)

    def _accepted(self, ticket: Ticket, now: datetime) -> Order:
        book = self.book(ticket.market, now)
        opposite = book.asks if ticket.side == "bid" else book.bids
        # This account may have emptied the side until the next print.
        last = self.tapes[ticket.market].newest(step_at(now)).price
        best = decimal(opposite[0].price if opposite else last)
        _check_total(ticket, best)
        order = new_order(
            ticket, uuid=self._new_id(), number=len(self.orders) + 1, at=now, best=best
        )
        if self.account(order.currency).balance < order.locked:
            raise refused(f"insufficient_funds_{ticket.side}")
        return order

    # --- matching -----------------------------------------------------------------------------

    def _match_new(self, order: Order, now: datetime) -> None:
        market, force = order.ticket.market, order.ticket.time_in_force
        book = self.book(market, now)
        taken = take(order, book.asks if order.is_bid else book.bids)
        is_missed = force == "fok" and not taken.is_filled
        if is_missed or (force == "post_only" and taken.matches):
            self._finish(order, "cancel")
            return
        for match in taken.matches:
            self._used[market, units(match.price)] += match.volume
            self._fill(order, match.price, match.volume, at=now)
        may_rest = order.ticket.ord_type == "limit" and force in (None, "post_only")
        if order.state == "wait" and not may_rest:
            self._finish(order, "cancel")

    def _match_resting(self, market: Market, *, after: int, until: int) -> None:
        resting = [order for order in self._open.values() if order.ticket.market == market]
        bids = sorted((o for o in resting if o.is_bid), key=lambda o: (-_limit(o), o.number))
        asks = sorted((o for o in resting if not o.is_bid), key=lambda o: (_limit(o), o.number))
        low = _limit(bids[0]) if bids else -1
        high = _limit(asks[0]) if asks else _NEVER
        for last in self.tapes[market].reaching(after=after, until=until, low=low, high=high):
            self._match_print(bids, last)
            self._match_print(asks, last)
            if all(order.state != "wait" for order in resting):
                return

    def _match_print(self, orders: Iterable[Order], last: Print) -> None:
        """Fill resting orders of one side, best first, out of what one print brought."""
        used = ZERO
        for order in orders:
            if order.state != "wait" or not _reached(order, last.price):
                continue
            offered = self._offered(order, last) - used
            volume = min(order.remaining_volume or ZERO, offered)
            if volume <= 0:
                return
            used += volume
            self._fill(order, order.limit or ZERO, volume, at=instant_of(last.step))

    def _offered(self, order: Order, last: Print) -> Decimal:
        """Return the coins that met the order: the print's own volume, and the book behind it
        when the price went through the limit.
        """
        limit, volume = _limit(order), last.volume
        if last.price != limit:
            book = book_at(self._seed, order.ticket.market, last)
            through = book.asks if order.is_bid else book.bids
            volume += sum(
                level.size
                for level in through
                if (level.price <= limit if order.is_bid else level.price >= limit)
            )
        return decimal(volume)

    # --- money --------------------------------------------------------------------------------

    def _fill(self, order: Order, price: Decimal, volume: Decimal, *, at: datetime) -> None:
        market, funds = order.ticket.market, price * volume
        fee, held = funds * FEE_RATIO, order.locked
        order.executed_volume += volume
        order.executed_funds += funds
        order.paid_fee += fee
        if order.remaining_volume is None:
            order.remaining_funds -= funds
        else:
            order.remaining_volume -= volume
        order.reserve()
        freed = held - order.locked
        if order.is_bid:
            self._average_in(market.base, volume=volume, funds=funds)
            # Bought cheaper than the limit: the difference is free again.
            self._move(market.quote, balance=freed - funds - fee, locked=-freed)
            self._move(market.base, balance=volume)
        else:
            self._move(market.base, locked=-freed)
            self._move(market.quote, balance=funds - fee)
        self._record(order, price, volume, fee=fee, at=at)
        if order.is_complete:
            self._finish(order, "done")

    def _record(
        self, order: Order, price: Decimal, volume: Decimal, *, fee: Decimal, at: datetime
    ) -> None:
        trade = Trade(
            uuid=self._new_id(),
            order=order.uuid,
            market=str(order.ticket.market),
            side=order.ticket.side,
            price=price,
            volume=volume,
            funds=price * volume,
            fee=fee,
            trend="up" if order.is_bid else "down",
            created_at=at,
        )
        order.trades = [*order.trades, trade]
        self._changed.orders[order.uuid] = order
        self._changed.trades.append(trade)

    def _finish(self, order: Order, state: State) -> None:
        self._move(order.currency, balance=order.locked, locked=-order.locked)
        order.state, order.locked, order.remaining_fee = state, ZERO, ZERO
        del self._open[order.uuid]
        self._changed.orders[order.uuid] = order

    def _average_in(self, currency: str, *, volume: Decimal, funds: Decimal) -> None:
        account = self.account(currency)
        owned = account.balance + account.locked
        average = (owned * account.avg_buy_price + funds) / (owned + volume)
        self._move(currency)
        self._accounts[currency].avg_buy_price = average.quantize(STEP)

    def _move(self, currency: str, *, balance: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        account = self._accounts.setdefault(currency, Account(currency=currency))
        account.balance += balance
        account.locked += locked
        if not account.balance and not account.locked:
            account.avg_buy_price = ZERO
        self._changed.accounts[currency] = account

    # --- memory -------------------------------------------------------------------------------

    def _commit(self, now: datetime) -> None:
        if record := self._changed.record():
            self._changed = _Changes()
            self._journal.append({"at": now.isoformat(), **record})

    def restore(self, record: Record) -> None:
        """Take over one record of the journal."""
        for account in map(account_from, record.get("accounts", ())):
            self._accounts[account.currency] = account
        self._identifiers.update(dict.fromkeys(record.get("identifiers", ())))
        for order in map(order_from, record.get("orders", ())):
            if (known := self.orders.get(order.uuid)) is not None:
                order.trades = known.trades
            self._take_over(order)
        for trade in map(trade_from, record.get("trades", ())):
            self.orders[trade.order].trades.append(trade)
        if "at" in record:
            self._step = step_at(datetime.fromisoformat(record["at"]))

    def _take_over(self, order: Order) -> None:
        self.orders[order.uuid] = order
        self._open.pop(order.uuid, None)
        if order.state == "wait":
            self._open[order.uuid] = order
        if order.ticket.identifier is not None:
            self._identifiers[order.ticket.identifier] = order.uuid

    def snapshot(self) -> Record:
        """Return one record that restores everything."""
        changes = _Changes()
        changes.orders = dict(self.orders)
        changes.trades = [trade for order in self.orders.values() for trade in order.trades]
        changes.accounts = dict(self._accounts)
        changes.identifiers = [name for name, uuid in self._identifiers.items() if uuid is None]
        record = dict(changes.record())
        if self._step is not None:
            record["at"] = instant_of(self._step).isoformat()
        return record


class _Changes:
    """What one command has touched; written as one line."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.trades: list[Trade] = []
        self.accounts: dict[str, Account] = {}
        self.identifiers: list[str] = []

    def record(self) -> Record:
        parts: Record = {
            "orders": [order_record(order) for order in self.orders.values()],
            "trades": [trade_record(trade) for trade in self.trades],
            "accounts": [account_record(account) for account in self.accounts.values()],
            "identifiers": self.identifiers,
        }
        return {name: part for name, part in parts.items() if part}


def _limit(order: Order) -> int:
    return units(order.limit or ZERO)


def _reached(order: Order, price: int) -> bool:
    return price <= _limit(order) if order.is_bid else price >= _limit(order)


def _check_total(ticket: Ticket, best: Decimal) -> None:
    total = ticket.price or best
    if ticket.volume is not None:
        total *= ticket.volume
    if total < MIN_TOTAL:
        raise refused(f"under_min_total_{ticket.side}")
    if total > MAX_TOTAL:
        is_market_sell = ticket.ord_type == "market"
        raise refused(
            "over_max_total_market_ask" if is_market_sell else f"over_krw_funds_{ticket.side}"
        )
