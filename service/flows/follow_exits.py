"""Carries out the exits that protection has begun: until the coins are sold, or are stopped."""

import asyncio
from decimal import Decimal
from typing import Final

from loguru import logger

from service.crashpoints import crashpoint
from service.domain.errors import BoundaryError, DomainError, NotLeader, ServiceError
from service.domain.markets import Market, whole_steps
from service.domain.orders import ZERO, Order, OrderStatus
from service.domain.trading_states import OrderAct, OrderSource, permits
from service.flows.exits import Exits
from service.flows.live_prices import LivePrices
from service.flows.open_sales import OpenSales
from service.flows.order_cancels import OrderCancels
from service.flows.sale_looks import SaleLooks
from service.flows.trading_switch import TradingSwitch
from service.flows.watched_positions import OngoingExit, WatchedPosition, WatchedPositions
from service.ports.clock import RealClock
from service.ports.exchange import Exchange

ACTOR: Final = "system:protection"
FIRST_WAIT_S: Final = 0.5  #: real, after an order that sold nothing; doubled up to the longest
LONGEST_WAIT_S: Final = 30.0
LOOK_AGAIN_S: Final = 1.0  #: real, while another sale of ours has the coins
FREE_AGAIN_S: Final = 5.0  #: real, until a resting sale is asked to end once more
_TOLD_EVERY: Final = 30  #: attempts without the lease


class ExitFollower:
    """One exit at a time in each market; of all markets side by side.

    An order of unknown outcome keeps its coins in `OpenSales`, so nothing sells them again before
    it is settled, or the exchange says how it ended. An open purchase holds no exit up and is left
    alone: it locks money and no coins. A resting sale by hand has coins locked: the others are sold
    at once, and it is asked to end.
    """

    def __init__(
        self,
        *,
        positions: WatchedPositions,
        exits: Exits,
        open_sales: OpenSales,
        cancels: OrderCancels,
        exchange: Exchange,
        prices: LivePrices,
        switch: TradingSwitch,
        real_clock: RealClock,
    ) -> None:
        self._positions = positions
        self._exits = exits
        self._open_sales = open_sales
        self._cancels = cancels
        self._exchange = exchange
        self._prices = prices
        self._switch = switch
        self._real_clock = real_clock
        self._sale_looks = SaleLooks(
            exchange=exchange, open_sales=open_sales, real_clock=real_clock
        )
        self._freed_at: dict[Market, float] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Sell what is due, each time that `WatchedPositions.wake` is set, until `stopping`."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while not stopping.is_set():
                self._positions.wake.clear()
                for watched, one in self.due():
                    one.is_busy = True
                    task = asyncio.create_task(self.attempt(watched, one))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await self._real_clock.sleep_real(LOOK_AGAIN_S / 2, wake=self._positions.wake)
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()

    def due(self) -> list[tuple[WatchedPosition, OngoingExit]]:
        now = self._real_clock.monotonic()
        return [
            (watched, watched.exit)
            for watched in self._positions.values()
            if watched.exit is not None
            and not watched.exit.is_busy
            and watched.exit.not_before <= now
        ]

    async def attempt(self, watched: WatchedPosition, one: OngoingExit) -> None:
        """Bring one exit one order further. Whatever goes wrong, it is tried again later."""
        one.is_busy = True
        try:
            await self._attempt(watched, one)
        except NotLeader as exc:
            # Soon over in the process that trades, and told elsewhere in any other.
            if one.failures % _TOLD_EVERY == 0:
                _not_now(watched, exc)
            one.failures += 1
            self._wait(one, LOOK_AGAIN_S)
        except (BoundaryError, DomainError) as exc:
            asked = exc.retry_after_s if isinstance(exc, BoundaryError) else None
            self._later(one, at_least_s=asked or 0.0)
            _not_now(watched, exc)
        except Exception:  # noqa: BLE001 - a bug about one market is that market's
            self._later(one)
            logger.bind(event="risk", market=str(watched.market)).exception(
                "the sale of a position met a bug, it is tried again"
            )
        finally:
            one.is_busy = False
            self._positions.wake.set()

    async def _attempt(self, watched: WatchedPosition, one: OngoingExit) -> None:
        if not permits(self._switch.known_status(watched.market), OrderSource.RULE, OrderAct.SELL):
            _stop(watched, one)
            return
        try:
            await self._sell(watched, one)
        except NotLeader:
            raise  # another process may trade by now: nothing leaves this one
        except ServiceError:
            await self._look_after_others(watched, one)
            raise
        await self._look_after_others(watched, one)

    async def _sell(self, watched: WatchedPosition, one: OngoingExit) -> None:
        """Sell what is free of the position now, in one order. Raises: as Exits.sell."""
        market, breach = watched.market, one.breach
        # All that is waited for comes first. From the size to the sale nothing else runs, so no
        # other sale of ours can begin in between, and no fill can be heard.
        account = await self._available(market) if one.reads_account else None
        await self._rules(watched)
        if not self._is_current(watched, one):
            return  # sold by something else meanwhile
        volume = self._volume(watched, one, account=account)
        if volume is not None:
            crashpoint("exit.decided")
            order = await self._exits.sell(
                market, volume, rule=breach.rule, price=breach.price, limit=breach.limit
            )
            self._judge(one, order)

    def _is_current(self, watched: WatchedPosition, one: OngoingExit) -> bool:
        return self._positions.get(watched.market) is watched and watched.exit is one

    async def _look_after_others(self, watched: WatchedPosition, one: OngoingExit) -> None:
        """Free coins that other sales of ours have: also where the exit itself cannot leave."""
        if not self._is_current(watched, one):
            return
        await self._free(watched.market)
        if await self._sale_looks.look(watched.market):
            one.not_before = 0.0  # what it left is sold at once

    def _volume(
        self, watched: WatchedPosition, one: OngoingExit, *, account: Decimal | None
    ) -> Decimal | None:
        """Return the coins to sell now; None, with the exit ended or put off, for no order.

        Args: account: the coins that are free in the account; None: they were not asked for.
        """
        market, rules = watched.market, watched.rules
        in_sales = self._open_sales.volume(market)
        left = whole_steps(watched.position.volume) - in_sales
        if account is not None:
            left = min(left, account)
        price = self._price(watched, one)
        if left > 0 and rules is None:
            return left
        if left > 0 and rules is not None and left * price >= rules.min_funds:
            return min(left, whole_steps(rules.max_funds / price))
        if in_sales:
            self._wait(one, LOOK_AGAIN_S)  # what the open one leaves is sold with the rest
        elif watched.is_below(rules, price=price):
            _leave(watched)
        else:
            # Another order may have the coins locked: the position is no smaller for that.
            self._wait(one, LONGEST_WAIT_S)
            logger.bind(event="risk", market=str(market)).warning(
                "the account has too few of the coins that are to be sold, it is asked again"
            )
        return None

    async def _available(self, market: Market) -> Decimal:
        balance = (await self._exchange.balances()).get(market.base)
        return ZERO if balance is None else whole_steps(balance.available)

    async def _rules(self, watched: WatchedPosition) -> None:
        """Read the market's rules where there are none yet: an exit waits for no newer ones."""
        if watched.rules is None:
            try:
                watched.rules = await self._exchange.rules(watched.market)
                watched.rules_at = self._real_clock.monotonic()
            except ServiceError as exc:
                logger.bind(
                    event="risk", market=str(watched.market), error=type(exc).__name__
                ).warning("a position is sold without the market's order sizes being known")

    def _price(self, watched: WatchedPosition, one: OngoingExit) -> Decimal:
        latest = self._prices.latest(watched.market)
        return one.breach.price if latest is None else latest.price

    def _judge(self, one: OngoingExit, order: Order) -> None:
        if order.is_open:
            self._wait(one, LOOK_AGAIN_S)
        elif order.status is OrderStatus.EXECUTED:  # in part or whole: its fills are booked
            one.failures, one.reads_account, one.not_before = 0, False, 0.0
        else:
            # Too few coins, too small, refused for another reason: the account and the rules tell.
            one.reads_account = order.status is OrderStatus.FAILED
            self._later(one)

    async def _free(self, market: Market) -> None:
        """Ask for the end of limit orders of ours that have coins of the position locked."""
        resting, now = self._open_sales.resting(market), self._real_clock.monotonic()
        if resting and now - self._freed_at.get(market, -FREE_AGAIN_S) >= FREE_AGAIN_S:
            self._freed_at[market] = now
            await self._cancels.take_off(resting, by=ACTOR)

    def _wait(self, one: OngoingExit, seconds: float) -> None:
        one.not_before = self._real_clock.monotonic() + seconds

    def _later(self, one: OngoingExit, *, at_least_s: float = 0.0) -> None:
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(one.failures, 10), LONGEST_WAIT_S)
        one.failures += 1
        self._wait(one, max(wait_s, at_least_s))


def _not_now(watched: WatchedPosition, error: ServiceError) -> None:
    logger.bind(
        event="risk", market=str(watched.market), error=type(error).__name__, cause=str(error)
    ).warning("a position cannot be sold right now, it is tried again")


def _stop(watched: WatchedPosition, one: OngoingExit) -> None:
    if watched.exit is one:
        watched.exit = None
    logger.bind(event="risk", market=str(watched.market), rule=one.breach.rule.value).warning(
        "an exit is stopped: trading is halted"
    )


def _leave(watched: WatchedPosition) -> None:
    watched.exit, watched.is_dust = None, True
    logger.bind(event="risk", market=str(watched.market)).warning(
        "what is left of a position is below the exchange's smallest order, it is left"
    )
