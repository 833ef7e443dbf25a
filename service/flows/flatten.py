"""Sells everything that this service holds, when an operator asks for it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError, DomainError, ExchangeRefused, StoreDown
from service.domain.flattening import FlattenedMarket, FlattenStatus
from service.domain.markets import Market, whole_steps
from service.domain.orders import ZERO, Intent, Order, OrderStatus, OrderType, Side
from service.domain.trading_states import OrderSource, TradingStatus
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.order_cancels import OrderCancels
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.flattenings import Flattenings
from service.ports.store import Audit, Orders

REASON: Final = "flatten"
STEP_EVERY_S: Final = 1.0
MOST_FAILURES: Final = 5  #: orders refused in one market until an operator must look
MOST_REFUSALS: Final = 30  #: steps in a row that were refused before an order, likewise


class Flattener:
    """Halts, cancels our open orders, sells our positions by market orders, and stays halted.

    What was accepted is stored. The next process that trades carries it on, after a restart or
    under another lease. It ends early only when an operator resumes trading.
    """

    def __init__(
        self,
        *,
        switch: TradingSwitch,
        exchange: Exchange,
        orders: Orders,
        rows: Flattenings,
        executor: Executor,
        cancels: OrderCancels,
        leadership: Leadership,
        audit: Audit,
        clock: MarketClock,
    ) -> None:
        self._switch = switch
        self._exchange = exchange
        self._orders = orders
        self._rows = rows
        self._executor = executor
        self._cancels = cancels
        self._leadership = leadership
        self._audit = audit
        self._clock = clock
        self._markets: dict[Market, FlattenedMarket] = {}
        self._stored: dict[Market, FlattenedMarket] = {}
        self._read_in: int | None = None  #: the epoch in which the rows were read
        self._cancelled: set[int] = set()  #: orders whose end this process has asked for

    def is_running(self) -> bool:
        return any(not one.is_finished for one in self._markets.values())

    def progress(self) -> Sequence[FlattenedMarket]:
        return tuple(self._markets[market] for market in sorted(self._markets))

    async def begin(
        self, markets: Sequence[Market] | None, *, actor: str, request_id: str | None
    ) -> None:
        """Halt, and have `step` do the rest. While it runs, the same markets are not begun anew.

        Args: markets: None for everything, which halts every market.
        Raises: NotLeader, before anything is done; BoundaryError, with the halt in force.
        """
        self._leadership.check()
        await self._halt(markets, actor=actor, request_id=request_id)
        await self._audit.add(
            actor=actor,
            action="risk.flatten",
            subject="all" if markets is None else ",".join(map(str, markets)),
            detail={},
            request_id=request_id,
            at=self._clock.now(),
        )
        wanted = await self._held() if markets is None else markets
        self._read_in = None  # whatever becomes of the answer, the next step reads what is stored
        await self._rows.begin(wanted, by=actor, at=self._clock.now())
        await self._read()

    async def step(self) -> None:
        """Bring each market one step further; a failure in one leaves the others alone.

        Raises: BoundaryError, when the rows cannot be read or written.
        """
        if not self._leadership.may_trade:
            await self._look_on()
            return
        await self._take_over(self._leadership.epoch())
        was_running = self.is_running()
        for one in self.progress():
            if one.is_finished:
                continue
            self._markets[one.market] = await self._tried(one)
        await self._store()
        if was_running and not self.is_running():
            logger.bind(event="risk").warning("flattening has ended")

    async def _tried(self, one: FlattenedMarket) -> FlattenedMarket:
        try:
            return replace(await self._advance(one), refusals=0)
        except ExchangeRefused as exc:
            _not_now(one, exc)
            # Refused for the account's sake, every market is: that ends when the operator mends it.
            return one if exc.of_account else _refused(one, exc.code or "no reason given")
        except (BoundaryError, DomainError) as exc:
            _not_now(one, exc)
        except Exception:  # noqa: BLE001 - an odd number stops its own market only
            logger.bind(event="risk", market=str(one.market)).exception(
                "flattening a market met a bug, the others go on"
            )
            return _refused(one, "an answer of the exchange cannot be understood, see the log")
        return one

    async def _halt(
        self, markets: Sequence[Market] | None, *, actor: str, request_id: str | None
    ) -> None:
        """Raises: StoreDown, when a halt is in force and not in the database."""
        for market in [None] if markets is None else markets:
            receipt = await self._switch.halt(
                kind=TradingStatus.HALTED,
                reason=REASON,
                actor=actor,
                market=market,
                request_id=request_id,
            )
            if not receipt.in_database:
                # Another process would find the rows without the halt, and take that for a resume.
                raise StoreDown(
                    "trading is halted and nothing is sold yet: the database does not have the"
                    " halt, ask again"
                )

    async def _take_over(self, epoch: int) -> None:
        """Read once under each lease what an earlier owner has accepted and not ended."""
        if self._read_in == epoch:
            return
        # First: rows without their halt are a flattening that an operator has ended.
        await self._switch.refresh()
        await self._read()
        self._read_in = epoch
        if self.is_running():
            logger.bind(event="risk").warning(
                "a flattening that was accepted earlier is carried on"
            )

    async def _look_on(self) -> None:
        """Know what the process that trades has stored, to show it."""
        self._read_in = None
        if any(halt.reason == REASON for halt in self._switch.halts()):
            await self._read()

    async def _read(self) -> None:
        self._stored = {one.market: one for one in await self._rows.last()}
        self._markets = dict(self._stored)

    async def _store(self) -> None:
        for one in self.progress():
            if self._stored.get(one.market) != one:
                await self._rows.save(one, at=self._clock.now())
                self._stored[one.market] = one

    async def _held(self) -> Sequence[Market]:
        """Return the markets with a position or an open order of ours."""
        positions = {one.market for one in await self._orders.positions() if one.volume}
        return sorted(positions | {order.intent.market for order in await self._orders.open()})

    async def _advance(self, one: FlattenedMarket) -> FlattenedMarket:
        """Return how far the market is after one step more."""
        if not self._is_halted(one.market):
            return _ended(one, FlattenStatus.STOPPED, "an operator resumed trading before its end")
        open_orders = await self._orders.open(one.market)
        if open_orders:
            return await self._cancel(one, open_orders)
        position = await self._orders.position(one.market)
        if not position.volume:
            return _ended(one, FlattenStatus.FLAT, None)
        balance = (await self._exchange.balances()).get(one.market.base)
        volume = min(position.volume, balance.available if balance else ZERO)
        if volume <= 0:
            detail = "the account has none of these coins available"
            return _ended(one, FlattenStatus.STUCK, detail)
        rules = await self._exchange.rules(one.market)
        (ticker,) = await self._exchange.tickers([one.market])
        if volume * ticker.price < rules.min_funds:
            detail = "what is left is below the exchange's smallest order"
            return _ended(one, FlattenStatus.DUST, detail)
        volume = min(volume, whole_steps(rules.max_funds / ticker.price))
        sale = Intent(market=one.market, side=Side.SELL, type=OrderType.MARKET, volume=volume)
        return await self._sell(one, sale)

    def _is_halted(self, market: Market) -> bool:
        return any(
            halt.reason == REASON and halt.market in {None, market} for halt in self._switch.halts()
        )

    async def _cancel(self, one: FlattenedMarket, open_orders: Sequence[Order]) -> FlattenedMarket:
        """Ask for the end of what waits on the book, once: `OrderCancels` follows each order."""
        waiting = [order for order in open_orders if order.intent.type.rests]
        for order in waiting:
            if order.id in self._cancelled:
                continue
            try:
                await self._cancels.request(order.id, by=one.requested_by)
            except DomainError as exc:
                logger.bind(event="order", order_id=order.id, cause=str(exc)).warning(
                    "an open order is not cancelled for the flattening, it is looked at again"
                )
            else:
                self._cancelled.add(order.id)
        return replace(one, status=FlattenStatus.CANCELLING if waiting else FlattenStatus.SELLING)

    async def _sell(self, one: FlattenedMarket, sale: Intent) -> FlattenedMarket:
        order = await self._executor.execute(sale, decision_id=None, source=OrderSource.FLATTEN)
        selling = replace(one, status=FlattenStatus.SELLING)
        if order.status is not OrderStatus.FAILED:
            return selling
        failures = one.failures + 1
        if failures >= MOST_FAILURES:
            detail = f"{failures} sales failed: {order.reason or 'no reason given'}"
            return _ended(replace(one, failures=failures), FlattenStatus.STUCK, detail)
        return replace(selling, failures=failures)


def _not_now(one: FlattenedMarket, error: BoundaryError | DomainError) -> None:
    logger.bind(
        event="risk", market=str(one.market), error=type(error).__name__, cause=str(error)
    ).warning("a market cannot be flattened right now, it is tried again")


def _refused(one: FlattenedMarket, why: str) -> FlattenedMarket:
    """Count a step that the exchange refused; after many in a row an operator must look."""
    refusals = one.refusals + 1
    if refusals >= MOST_REFUSALS:
        return _ended(one, FlattenStatus.STUCK, f"refused {refusals} times: {why}")
    return replace(one, refusals=refusals)


def _ended(one: FlattenedMarket, status: FlattenStatus, detail: str | None) -> FlattenedMarket:
    log = logger.bind(event="risk", market=str(one.market), status=status.value, detail=detail)
    if status is FlattenStatus.STUCK:
        log.error("a market could not be flattened")
    else:
        log.warning("the flattening of a market has ended")
    return replace(one, status=status, detail=detail)
