"""Sells everything that this service holds, when an operator asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError, DomainError
from service.domain.markets import Market, whole_steps
from service.domain.orders import ZERO, Intent, Order, OrderStatus, OrderType, Side
from service.domain.trading_states import OrderSource, TradingStatus
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import Audit, Orders

REASON: Final = "flatten"
STEP_EVERY_S: Final = 1.0
MOST_FAILURES: Final = 5  #: orders refused in one market until an operator must look

_ON_THE_BOOK: Final = frozenset({OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED})


class FlattenStatus(StrEnum):
    WAITING = "WAITING"
    CANCELLING = "CANCELLING"  #: orders of ours are open here
    SELLING = "SELLING"
    FLAT = "FLAT"
    DUST = "DUST"  #: what is left is worth less than the exchange's smallest order
    STUCK = "STUCK"  #: an operator must look; `detail` says why


FINISHED: Final = frozenset({FlattenStatus.FLAT, FlattenStatus.DUST, FlattenStatus.STUCK})


@dataclass(slots=True, kw_only=True)
class FlattenedMarket:
    """How far one market is."""

    market: Market
    status: FlattenStatus = FlattenStatus.WAITING
    detail: str | None = None  #: one sentence without amounts
    failures: int = 0


class Flattener:
    """Halts, cancels our open orders, sells our positions by market orders, and stays halted.

    It is not taken up again after a restart: the halt stands, and an operator asks again.
    """

    def __init__(
        self,
        *,
        switch: TradingSwitch,
        exchange: Exchange,
        orders: Orders,
        executor: Executor,
        leadership: Leadership,
        audit: Audit,
        clock: MarketClock,
    ) -> None:
        self._switch = switch
        self._exchange = exchange
        self._orders = orders
        self._executor = executor
        self._leadership = leadership
        self._audit = audit
        self._clock = clock
        self._markets: dict[Market, FlattenedMarket] = {}

    def is_running(self) -> bool:
        return any(one.status not in FINISHED for one in self._markets.values())

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
        for market in [None] if markets is None else markets:
            await self._switch.halt(
                kind=TradingStatus.HALTED,
                reason=REASON,
                actor=actor,
                market=market,
                request_id=request_id,
            )
        await self._audit.add(
            actor=actor,
            action="risk.flatten",
            subject="all" if markets is None else ",".join(map(str, markets)),
            detail={},
            request_id=request_id,
            at=self._clock.now(),
        )
        wanted = await self._held() if markets is None else markets
        if not self.is_running():
            self._markets.clear()
        for market in wanted:
            known = self._markets.get(market)
            if known is None or known.status in FINISHED:
                self._markets[market] = FlattenedMarket(market=market)

    async def step(self) -> None:
        """Bring each market one step further; a failure in one leaves the others alone."""
        if not self.is_running() or not self._leadership.may_trade:
            return
        for one in self.progress():
            if one.status in FINISHED:
                continue
            try:
                await self._advance(one)
            except (BoundaryError, DomainError) as exc:
                logger.bind(
                    event="risk", market=str(one.market), error=type(exc).__name__, cause=str(exc)
                ).warning("a market cannot be flattened right now, it is tried again")
        if not self.is_running():
            logger.bind(event="risk").warning("flattening has ended, trading stays halted")

    async def _held(self) -> Sequence[Market]:
        """Return the markets with a position or an open order of ours."""
        positions = {one.market for one in await self._orders.positions() if one.volume}
        return sorted(positions | {order.intent.market for order in await self._orders.open()})

    async def _advance(self, one: FlattenedMarket) -> None:
        open_orders = await self._orders.open(one.market)
        if open_orders:
            await self._cancel(one, open_orders)
            return
        position = await self._orders.position(one.market)
        if not position.volume:
            self._finish(one, FlattenStatus.FLAT, None)
            return
        balance = (await self._exchange.balances()).get(one.market.base)
        volume = min(position.volume, balance.available if balance else ZERO)
        if volume <= 0:
            self._finish(one, FlattenStatus.STUCK, "the account has none of these coins available")
            return
        rules = await self._exchange.rules(one.market)
        (ticker,) = await self._exchange.tickers([one.market])
        if volume * ticker.price < rules.min_funds:
            detail = "what is left is below the exchange's smallest order"
            self._finish(one, FlattenStatus.DUST, detail)
            return
        volume = min(volume, whole_steps(rules.max_funds / ticker.price))
        await self._sell(
            one,
            Intent(market=one.market, side=Side.SELL, type=OrderType.MARKET, volume=volume),
        )

    async def _cancel(self, one: FlattenedMarket, open_orders: Sequence[Order]) -> None:
        """Ask for cancellation of what waits on the book; the reconciler follows the orders."""
        waiting = [o for o in open_orders if o.intent.type is OrderType.LIMIT]
        one.status = FlattenStatus.CANCELLING if waiting else FlattenStatus.SELLING
        for order in waiting:
            if order.status not in _ON_THE_BOOK:
                continue
            try:
                await self._exchange.cancel(order.identifier)
            except BoundaryError as exc:
                logger.bind(
                    event="order", identifier=order.identifier, error=type(exc).__name__
                ).warning("an open order could not be cancelled, it is asked for again")

    async def _sell(self, one: FlattenedMarket, intent: Intent) -> None:
        one.status = FlattenStatus.SELLING
        order = await self._executor.execute(intent, decision_id=None, source=OrderSource.FLATTEN)
        if order.status is not OrderStatus.FAILED:
            return
        one.failures += 1
        if one.failures >= MOST_FAILURES:
            detail = f"{one.failures} sales failed: {order.reason or 'no reason given'}"
            self._finish(one, FlattenStatus.STUCK, detail)

    def _finish(self, one: FlattenedMarket, status: FlattenStatus, detail: str | None) -> None:
        one.status, one.detail = status, detail
        log = logger.bind(event="risk", market=str(one.market), status=status.value, detail=detail)
        if status is FlattenStatus.STUCK:
            log.error("a market could not be flattened")
        else:
            log.warning("a market is flattened")
