"""Whatever happens in whatever order: our coins are sold once, and no coin of the owner's ever is.

Fills, lost answers, refusals, an outage of the database, restarts, sales by hand and comparisons
come in any order and side by side. A fake exchange counts. Each call of a port lets other tasks
run, before its effect and after it.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from service.domain.errors import (
    BoundaryError,
    ExchangeRefused,
    ExchangeUnavailable,
    OutcomeUnknown,
    ServiceError,
    StoreDown,
)
from service.domain.markets import VOLUME_STEP, whole_steps
from service.domain.orders import ZERO, ExchangeOrderState, OrderType, Side
from service.domain.trading_states import OrderSource
from tests.builders import KRW_BTC, T0, an_intent
from tests.unit.flows.conftest import House
from tests.unit.flows.protecting import PRICE, Guard

D = Decimal
OWNERS: Final = D(5)  #: coins of the account that this service did not buy
BELOW: Final = 94_000_000  #: below the stop of what was bought at PRICE
LOWEST: Final = 80_000_000  #: below every stop
SMALLEST: Final = D(5_000)
ORDERS: Final = ("add", "add_sent", "advance", "find", "fills", "open", "position", "positions")
EXCHANGE: Final = ("submit", "find", "cancel", "balances", "rules")
JOURNAL: Final = ("append", "note", "settle")


class History:
    """One database, one exchange and one journal, and the processes that come and go."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._names = itertools.count(1)
        self._is_inside = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.house = House(is_alone=True)
        self.exchange, self.orders = self.house.exchange, self.house.orders
        self.exchange.available["BTC"] = OWNERS
        for port, names in (
            (self.orders, ORDERS),
            (self.exchange, EXCHANGE),
            (self.house.exit_journal, JOURNAL),
        ):
            for name in names:
                setattr(port, name, self._suspending(getattr(port, name)))

    def _suspending(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def suspending(*arguments: Any, **more: Any) -> Any:
            if self._is_inside:  # a call of the port by the port: it is one transaction
                return await call(*arguments, **more)
            await self.let_others_run()
            self._is_inside = True
            try:
                answer = await call(*arguments, **more)
            finally:
                self._is_inside = False
            await self.let_others_run()
            return answer

        return suspending

    async def let_others_run(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)

    # --- processes ------------------------------------------------------------------------

    async def begin(self) -> None:
        house = self.house
        house.executor._new_id = lambda: str(next(self._names))
        unstored = house.new_unstored_orders()
        self.guard = Guard(house, unstored_orders=unstored, **self._kept())
        house.leadership.settle_first(unstored.begin)
        house.leadership.settle_first(self.guard.protector.load)
        await house.trading_switch.refresh()
        await unstored.load()
        await self.loops()

    def _kept(self) -> dict[str, Any]:
        return {"rows": self.guard.rows} if hasattr(self, "guard") else {}

    async def restart(self, _: int) -> None:
        """End the process wherever it is, and begin another one on what is stored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        old, old.exit_journal.taken_by = self.house, None
        self.house = House(
            clock=old.clock,
            orders=old.orders,
            rows=old.rows,
            state=old.state,
            exit_journal=old.exit_journal,
            market_data=old.market_data,
            is_alone=True,
        )
        self.house.exchange.__dict__ = self.exchange.__dict__
        await self.begin()

    def spawn(self, call: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        async def run() -> None:
            with suppress(ServiceError):  # as the loops and the callers meet it
                await call(*arguments)

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def quiet(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)

    # --- what happens ---------------------------------------------------------------------

    async def loops(self) -> None:
        """Do one pass of each loop, side by side."""
        self.house.clock.pass_time(1)
        with suppress(BoundaryError):
            await self.house.leadership.renew() if self.orders.away is None else None
            await self.house.leadership.settle()
        self.follow()
        assert self.guard.unstored_orders is not None
        await self.guard.protector.watch()
        self.spawn(self.guard.protector.keep)
        self.spawn(self.guard.unstored_orders.step)

    def follow(self) -> None:
        for watched, one in self.guard.follower.due():
            one.is_busy = True
            self.spawn(self.guard.follower.attempt, watched, one)

    async def buy(self, size: int) -> None:
        self.exchange.set_price(PRICE)
        intent = an_intent(funds=D(100_000) * size)
        self.spawn(partial(self.house.executor.execute, intent, decision_id=None))

    async def fall(self, _: int) -> None:
        self.guard.hear(BELOW)
        self.follow()

    async def recover(self, _: int) -> None:
        self.guard.hear(PRICE)

    async def sell(self, size: int) -> None:
        self._sell_by_hand(D(size) / 10, rests=False)

    async def rest(self, size: int) -> None:
        self._sell_by_hand(D(size) / 10, rests=True)

    async def fill(self, size: int) -> None:
        """Let the exchange match a part of a resting order."""
        for name, order in self.exchange.orders.items():
            left = (self.exchange.intents[name].volume or ZERO) - order.executed_volume
            if order.state is ExchangeOrderState.WAITING and left:
                volume = max(whole_steps(left * size / 10), VOLUME_STEP)
                self.exchange.fill(name, volume=volume)
                return

    async def reconcile(self, _: int) -> None:
        self.spawn(self.house.reconciler.reconcile)

    async def look(self, size: int) -> None:
        for name in list(self.exchange.orders)[-size:]:
            self.spawn(self.house.reconciler.look, name)

    async def sweep(self, _: int) -> None:
        self.spawn(self._sweep)

    async def pass_some(self, size: int) -> None:
        for _ in range(size):
            await self.loops()
            await self.let_others_run()

    async def wait(self, size: int) -> None:
        self.house.clock.pass_time(size)

    async def lose_fills(self, _: int) -> None:
        self.orders.lose_fills = StoreDown("the answer was lost")

    async def lose(self, _: int) -> None:
        self.orders.lose = StoreDown("the answer was lost")

    async def fail(self, _: int) -> None:
        self.orders.fail = StoreDown("gone")

    async def go_away(self, _: int) -> None:
        self.orders.away = StoreDown("gone")

    async def come_back(self, _: int) -> None:
        self.orders.away = None

    async def be_shallow(self, size: int) -> None:
        self.exchange.depth = D("0.0003") * size

    async def be_deep(self, _: int) -> None:
        self.exchange.depth = None

    async def refuse(self, _: int) -> None:
        self.exchange.fail_next("submit", ExchangeRefused("no", code="validation_error"))

    async def lose_request(self, size: int) -> None:
        self.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=size > 4)

    async def answer_no_look(self, size: int) -> None:
        for _ in range(size):
            self.exchange.fail_next("find", ExchangeUnavailable("no answer"))

    def _sell_by_hand(self, part: Decimal, *, rests: bool) -> None:
        """Sell a part of what is held: by the time of the row it may be sold already."""
        volume = whole_steps(self.ours * part)
        if not volume:
            return
        kind = OrderType.LIMIT if rests else OrderType.MARKET
        price = 2 * PRICE if rests else None
        sale = an_intent(side=Side.SELL, type=kind, volume=volume, price=price, funds=None)
        execute = self.house.executor.execute
        self.spawn(partial(execute, sale, decision_id=None, source=OrderSource.HAND))

    async def _sweep(self) -> None:
        for listed in (await self.exchange.closed_orders(T0, self.house.clock.now())).ours:
            await self.house.reconciler.take_in(listed)

    # --- what has to hold -----------------------------------------------------------------

    @property
    def ours(self) -> Decimal:
        """Return the coins that the exchange has bought for us and not sold yet."""
        return sum(
            (
                order.executed_volume if order.side is Side.BUY else -order.executed_volume
                for order in self.exchange.orders.values()
            ),
            ZERO,
        )

    def check(self) -> None:
        """No sale of ours has a coin of the owner's, sold or locked."""
        assert self.exchange.available["BTC"] >= OWNERS

    async def heal(self) -> None:
        """Let everything answer again and the price stay below the stop, until all is sold."""
        self.orders.away = self.orders.fail = self.orders.lose = self.orders.lose_fills = None
        self.exchange.depth = None
        self.exchange._failures.clear()
        for second in range(600):
            self.guard.hear(LOWEST)
            await self.loops()
            if second % 5 == 0:
                self.spawn(self.house.reconciler.reconcile)
            if second % 60 == 30:
                self.spawn(self._sweep)
            await self.quiet()
            self.check()
            if second > 60 and self.is_sold:
                return

    @property
    def is_sold(self) -> bool:
        watched = self.guard.positions.get(KRW_BTC)
        is_over = watched is None or watched.is_dust
        return is_over and self.ours * LOWEST < SMALLEST and not self.house.open_sales.names()


H = History
ACTS: Final = (
    *(H.buy, H.fall, H.recover, H.sell, H.rest, H.fill),
    *(H.reconcile, H.look, H.sweep, H.pass_some, H.pass_some, H.wait, H.restart),
    *(H.lose_fills, H.lose, H.fail, H.go_away, H.come_back),
    *(H.be_shallow, H.be_deep, H.refuse, H.lose_request, H.answer_no_look),
)
Act = Callable[[History, int], Awaitable[None]]


async def lived(acts: list[tuple[Act, int]], chance: Random) -> None:
    history = History(chance)
    await history.house.allow(trading_enabled=True)
    await history.begin()
    await history.buy(3)
    await history.quiet()
    for act, size in acts:
        await act(history, size)
        await history.let_others_run()
        history.check()
    await history.quiet()
    history.check()
    await history.heal()

    stored = await history.orders.position(KRW_BTC)
    watched = history.guard.positions.get(KRW_BTC)
    assert history.is_sold
    assert stored.volume == history.ours == (watched.position.volume if watched else ZERO)


@contextmanager
def without_log_lines() -> Iterator[None]:
    logger.disable("service")
    try:
        yield
    finally:
        logger.enable("service")


@settings(max_examples=150)
@given(
    acts=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 10)), max_size=40),
    seed=st.integers(0, 2**32),
)
def test_our_coins_are_sold_once_and_the_owners_never(
    acts: list[tuple[Act, int]], seed: int
) -> None:
    with without_log_lines():
        asyncio.run(lived(acts, Random(seed)))
