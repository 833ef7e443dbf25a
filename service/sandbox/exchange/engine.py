"""The exchange engine: queries and commands. It is synchronous, so each command is atomic."""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from decimal import Decimal
from functools import partial
from uuid import uuid4

from service.domain.markets import Market
from service.sandbox.errors import refused
from service.sandbox.exchange.accounts import Accounts
from service.sandbox.exchange.available_depth import Depth
from service.sandbox.exchange.events import ExchangeObserver
from service.sandbox.exchange.journal import OrderJournal
from service.sandbox.exchange.matching import STEP, Match, exact, hits, take
from service.sandbox.exchange.order_register import OrderRegister
from service.sandbox.exchange.order_request import (
    Fields,
    check_total,
    identifier_of,
    read_order_request,
)
from service.sandbox.exchange.orders import OrderRequest, SandboxAccount, SandboxOrder, new_order
from service.sandbox.exchange.records import Changes, Record, account_from, order_from, trade_from
from service.sandbox.exchange.settlement import Settlement
from service.sandbox.market.order_book import OrderBook
from service.sandbox.market.prints import Print, Prints, instant_of, step_at


def _random_id() -> str:
    # Not derived from the seed: a client's database may outlive an exchange without a journal.
    return str(uuid4())


class Engine:
    """One account on one exchange. `now` is the market's instant and never goes backwards."""

    def __init__(
        self,
        *,
        prints: Mapping[Market, Prints],
        seed: int,
        opening: Mapping[str, Decimal],
        journal: OrderJournal,
        new_id: Callable[[], str] = _random_id,
    ) -> None:
        self.prints = prints
        self.opening = dict(opening)
        self._journal = journal
        self._new_id = new_id
        self._changes = Changes()
        self._accounts = Accounts(opening, changes=self._changes)
        self._order_register = OrderRegister(changes=self._changes)
        self._settlement = Settlement(
            accounts=self._accounts,
            order_register=self._order_register,
            changes=self._changes,
            new_id=new_id,
        )
        self._step: int | None = None  #: the prints up to this step have been matched
        self._depth = Depth(prints, seed=seed)
        self.observers: list[ExchangeObserver] = []

    # --- queries ------------------------------------------------------------------------------

    @property
    def orders(self) -> Mapping[str, SandboxOrder]:
        """Return every order by its uuid, oldest first."""
        return self._order_register.orders

    def accounts(self) -> list[SandboxAccount]:
        """Return the quote money and every coin that is held, by name."""
        return self._accounts.shown()

    def account(self, currency: str) -> SandboxAccount:
        return self._accounts.of(currency)

    def open_markets(self) -> set[Market]:
        return self._order_register.open_markets()

    def find(self, *, uuid: str | None = None, identifier: str | None = None) -> SandboxOrder:
        """Return the order by its uuid, else by the client's identifier."""
        return self._order_register.find(uuid=uuid, identifier=identifier)

    def book(self, market: Market, now: datetime) -> OrderBook:
        """Return the book at the newest print, without what this account has taken from it."""
        return self._depth.left(market, now)

    def whole_book(self, market: Market, last: Print) -> OrderBook:
        """Return the book right after the print `last`, with nothing taken from it."""
        return self._depth.whole(market, last)

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
        before, self._step = self._step, step
        self._depth.renew()
        self._commit(now)
        for observer in self.observers:
            observer.advanced(after=before, until=step)

    @exact
    def place(self, fields: Fields, now: datetime) -> SandboxOrder:
        """Accept the order, match it, and return it as it was when accepted: waiting.

        Raises: Refused; the identifier is used up nevertheless.
        """
        self.advance(now)
        if (identifier := identifier_of(fields)) is not None:
            self._order_register.use_up(identifier)
            # Committed at once: a refusal below must not free it again.
            self._commit(now)
        order = self._order(read_order_request(fields, self.prints.keys()), now)
        self._settlement.accept(order)
        accepted = copy(order)
        self._match_new(order, now)
        self._commit(now)
        return accepted

    @exact
    def test(self, fields: Fields, now: datetime) -> SandboxOrder:
        """Return the order as it would be accepted, without placing it."""
        self.advance(now)
        self._order_register.check_unused(identifier_of(fields))
        return self._order(read_order_request(fields, self.prints.keys()), now)

    @exact
    def cancel(self, order: SandboxOrder, now: datetime) -> SandboxOrder:
        """Cancel the rest of the order and return it as it was before: waiting."""
        self.advance(now)
        if order.state != "wait":
            raise refused("order_not_found")
        asked = copy(order)
        self._settlement.finish(order, "cancel")
        self._commit(now)
        return asked

    @exact
    def fill(self, order: SandboxOrder, volume: Decimal, now: datetime) -> None:
        """Fill a part of a limit order on the book at its own price, whatever the market does.

        Raises: ValueError, for an order or a part that cannot be filled so.
        """
        self.advance(now)
        rest = order.remaining_volume or Decimal(0)
        if order.state != "wait" or order.limit is None:
            raise ValueError("only a limit order on the book can be filled by hand")
        if not 0 < volume <= rest or volume % STEP:
            raise ValueError(f"a part of {rest} in whole steps can be filled")
        self._settlement.fill(order, Match(order.limit, volume), at=now, is_maker=True)
        self._commit(now)

    def _order(self, request: OrderRequest, now: datetime) -> SandboxOrder:
        best = self._depth.best_for(request.side, request.market, now)
        check_total(request, best)
        number = len(self.orders) + 1
        order = new_order(request, uuid=self._new_id(), number=number, at=now, best=best)
        if self.account(order.currency).balance < order.locked:
            raise refused(f"insufficient_funds_{request.side}")
        return order

    def _match_new(self, order: SandboxOrder, now: datetime) -> None:
        market, force = order.request.market, order.request.time_in_force
        book = self.book(market, now)
        taken = take(order, book.asks if order.is_bid else book.bids)
        is_missed = force == "fok" and not taken.is_filled
        if is_missed or (force == "post_only" and taken.matches):
            self._settlement.finish(order, "cancel")
            return
        for match in taken.matches:
            self._depth.take(market, match)
            self._settlement.fill(order, match, at=now)
        may_rest = order.request.ord_type == "limit" and force in (None, "post_only")
        if order.state == "wait" and not may_rest:
            self._settlement.finish(order, "cancel")

    def _match_resting(self, market: Market, *, after: int, until: int) -> None:
        for order, match, at in hits(
            self._order_register.open_in(market),
            self.prints[market],
            after=after,
            until=until,
            book_at=partial(self._depth.whole, market),
        ):
            self._settlement.fill(order, match, at=at, is_maker=True)

    # --- journal ------------------------------------------------------------------------------

    def _commit(self, now: datetime) -> None:
        if record := self._changes.record():
            events = list(self._changes.events)
            accounts = [copy(account) for account in self._changes.accounts.values()]
            self._changes.clear()
            self._journal.append({"at": now.isoformat(), **record})
            for observer in self.observers:
                observer.committed(events, accounts)

    def restore(self, record: Record) -> None:
        """Apply one record of the journal."""
        self._accounts.take_over(map(account_from, record.get("accounts", ())))
        self._order_register.take_over(
            map(order_from, record.get("orders", ())), identifiers=record.get("identifiers", ())
        )
        for trade in map(trade_from, record.get("trades", ())):
            self.orders[trade.order].trades.append(trade)
        if "at" in record:
            self._step = step_at(datetime.fromisoformat(record["at"]))

    def snapshot(self) -> Record:
        """Return one record that restores the whole state."""
        everything = Changes()
        everything.orders = dict(self.orders)
        everything.trades = [trade for order in self.orders.values() for trade in order.trades]
        everything.accounts = dict(self._accounts.all())
        everything.identifiers = self._order_register.refused_identifiers()
        record = dict(everything.record())
        if self._step is not None:
            record["at"] = instant_of(self._step).isoformat()
        return record
