"""Send an allowed intent to the exchange as an order, at most once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Final

from loguru import logger

from service.crashpoints import crashpoint
from service.domain.errors import (
    BoundaryError,
    ExchangeRefused,
    ExchangeUnavailable,
    OrderUnwritten,
    OutcomeUnknown,
    SendRefused,
    TradingStopped,
)
from service.domain.orders import IDENTIFIER_PREFIX, Breach, Intent, Order, Side
from service.domain.trading_states import OrderSource
from service.flows.circuit_breaker import Circuit
from service.flows.leadership import Leadership
from service.flows.open_sales import OpenSales
from service.flows.reconcile import Reconciler
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.store import Orders
from service.settings.settings import Settings
from service.settings.table import MAX_ORDERS_PER_HOUR

#: Real seconds between look-ups of a new order; the first finds nearly every market order done.
FOLLOW_UP_S: Final = (0.2, 0.5, 1.0)
#: Real seconds from the start of the insert to the first byte of the request, time asleep included.
#: A halt that the insert did not see was committed later, so no order leaves later than this after
#: it. After a longer standstill (a stopped machine, a busy disk) another process may also have
#: searched for this order and stored it as never placed.
SEND_WITHIN_S: Final = 1.0
#: Real seconds that a rule's sale waits for its row. Then another way is tried: a database that
#: hangs must not hold up a stop.
WRITE_EXIT_WITHIN_S: Final = 1.0
#: A protective sale and a flattening are as many as positions need.
_NOT_LIMITED: Final = frozenset({OrderSource.RULE, OrderSource.FLATTEN})


class Executor:
    """Attributes: open_sales: the coins that it is selling."""

    def __init__(
        self,
        *,
        orders: Orders,
        exchange: Exchange,
        reconciler: Reconciler,
        leadership: Leadership,
        trading_switch: TradingSwitch,
        settings: Settings,
        clock: MarketClock,
        real_clock: RealClock,
        new_id: Callable[[], str],
        circuit: Circuit,
        open_sales: OpenSales | None = None,
    ) -> None:
        """Args: circuit: for purchases only. A sale reduces the risk and is never refused."""
        self._orders = orders
        self._exchange = exchange
        self._reconciler = reconciler
        self._leadership = leadership
        self._switch = trading_switch
        self._settings = settings
        self._clock = clock
        self._real_clock = real_clock
        self._new_id = new_id
        self._circuit = circuit
        self.open_sales = open_sales or OpenSales()
        # One order is written at a time, so that each sees the hour's orders before it. Other
        # processes write none, for they have no lease.
        self._writing = asyncio.Lock()

    def new_identifier(self) -> str:
        return IDENTIFIER_PREFIX + self._new_id()

    async def execute(
        self,
        intent: Intent,
        *,
        decision_id: int | None,
        source: OrderSource = OrderSource.SIGNAL,
        idempotency_key: str | None = None,
        actor: str | None = None,
        breach: Breach | None = None,
        identifier: str | None = None,
    ) -> Order:
        """Send the order, look it up a few times, and return it as it is then.

        Args: idempotency_key, actor: of the caller that asked for it; the key is stored with the
            order, the name with its refusal.  breach: of a rule's sale, stored with it.
            identifier: never used before; None: a new one.
        Raises: OrderUnwritten, when a rule's sale gets no row within WRITE_EXIT_WITHIN_S; then
            nothing was sent.
            OrderRefused, when the rules refuse it as it is written; NotLeader, or
            ExchangeUnavailable while the circuit is open, a wait that the exchange asked for lasts,
            a rule sells the same coins, or has sold them since the verdict, before anything is
            written; StoreDown and kin, before anything is sent.
        """
        epoch = self._leadership.epoch()
        # A row would end FAILED, and the sale would be lost. Without a row the caller tries again.
        self._exchange.check_orders()
        if intent.side is Side.BUY:
            self._circuit.check()
        identifier = identifier or self.new_identifier()
        # Before anything is waited for: an exit that begins meanwhile leaves these coins alone.
        self.open_sales.begin(identifier, intent, source=source)
        # Taken before the row is visible. Otherwise the reconciler could look the order up before
        # the request arrives and store it as lost. It could also race us for the fills.
        self._reconciler.take(identifier)
        if source is OrderSource.RULE:
            crashpoint("exit.reserved")
        order: Order | None = None
        try:
            await self._check_coins(intent, source=source)
            # Stored before it is sent: after a crash every order on the book has a row to look up.
            order, written_from = await self._write(
                intent,
                identifier=identifier,
                decision_id=decision_id,
                epoch=epoch,
                source=source,
                idempotency_key=idempotency_key,
                actor=actor,
                breach=breach,
            )
            order = await self._send(
                order,
                before_send=partial(
                    self._check_send, intent, source=source, epoch=epoch, written_from=written_from
                ),
            )
            order = await self._follow(order)
        except BoundaryError:
            # Sent, perhaps, and what came of it is not stored: nothing else tells that it is open.
            if order is not None:
                await self._reconciler.left_open(order)
            raise
        finally:
            self._reconciler.let_go(identifier)
            self.open_sales.let_go(identifier, order)
        return order

    async def _check_coins(self, intent: Intent, *, source: OrderSource) -> None:
        """Raises: ExchangeUnavailable, when the coins were sold since the verdict, or are now.

        What is beyond our position is the owner's. An exit that begins from here on leaves these
        coins alone, and the fills of a sale that has ended are booked. A rule knows its coins by
        itself and asks no query.
        """
        if intent.volume is None or intent.side is Side.BUY or source is OrderSource.RULE:
            return
        position = await self._orders.position(intent.market)
        in_other_sales = self.open_sales.volume(intent.market) - intent.volume
        if intent.volume > position.volume - in_other_sales:
            raise ExchangeUnavailable(
                f"coins of {intent.market} were sold since the verdict", code="exit", sent=False
            )

    async def _write(
        self,
        intent: Intent,
        *,
        identifier: str,
        decision_id: int | None,
        epoch: int,
        source: OrderSource,
        idempotency_key: str | None,
        actor: str | None,
        breach: Breach | None,
    ) -> tuple[Order, float]:
        """Return the stored order, and the real seconds at which its insert began."""
        most_per_hour: int | None = None
        if source not in _NOT_LIMITED:
            most_per_hour = await self._settings.get(MAX_ORDERS_PER_HOUR)
        async with _in_time(source), self._writing:
            began = self._real_clock.monotonic()
            order = await self._orders.add(
                intent,
                identifier=identifier,
                decision_id=decision_id,
                at=self._clock.now(),
                epoch=epoch,
                source=source,
                most_per_hour=most_per_hour,
                idempotency_key=idempotency_key,
                actor=actor,
                breach=breach,
            )
        return order, began

    def _check_send(
        self, intent: Intent, *, source: OrderSource, epoch: int, written_from: float
    ) -> None:
        """Raises: SendRefused, unless the stored order may leave at this moment."""
        if self._real_clock.monotonic() - written_from > SEND_WITHIN_S:
            raise SendRefused("too long after it was written", reason="too_late")
        if not self._leadership.holds(epoch):
            raise SendRefused("the trading lease is not ours any more", reason="lease_lost")
        try:
            self._switch.check(source=source, side=intent.side, market=intent.market)
        except TradingStopped as exc:
            raise SendRefused(str(exc), reason="trading_stopped") from exc

    async def _send(self, order: Order, *, before_send: Callable[[], None]) -> Order:
        """Send once. Without a certain refusal the order is looked up later, never sent again."""
        try:
            with self._circuit.call() if order.intent.side is Side.BUY else nullcontext():
                seen = await self._exchange.submit(
                    order.intent, identifier=order.identifier, before_send=before_send
                )
        except (SendRefused, ExchangeRefused, ExchangeUnavailable) as exc:
            # It sells nothing, whether that can be stored or not.
            self.open_sales.let_go(order.identifier, None)
            return await self._not_on_the_book(order, exc)
        except OutcomeUnknown as exc:
            logger.bind(event="order", identifier=order.identifier, cause=str(exc)).warning(
                "the order may be on the book, it will be looked up and never sent again"
            )
            return await self._reconciler.unknown(order)
        return await self._reconciler.accepted(order, seen)

    async def _not_on_the_book(
        self, order: Order, error: SendRefused | ExchangeRefused | ExchangeUnavailable
    ) -> Order:
        match error:
            case SendRefused():
                return await self._reconciler.unsent(order, reason=error.reason)
            case ExchangeRefused():
                return await self._reconciler.refused(order, error)
            case ExchangeUnavailable():
                return await self._reconciler.unsent(order)

    async def _follow(self, order: Order) -> Order:
        for wait_s in FOLLOW_UP_S:
            if not order.is_open:
                break
            await self._real_clock.sleep_real(wait_s)
            try:
                order = await self._reconciler.settle(order)
            except BoundaryError as exc:
                # The order is stored; sync_pending_orders follows it from here.
                logger.bind(
                    event="order", identifier=order.identifier, error=type(exc).__name__
                ).warning("the order cannot be looked up right now")
        return order


@asynccontextmanager
async def _in_time(source: OrderSource) -> AsyncIterator[None]:
    """Bound the wait for the row of a rule's sale. Raises: OrderUnwritten, for any failure."""
    if source is not OrderSource.RULE:
        yield
        return
    try:
        async with asyncio.timeout(WRITE_EXIT_WITHIN_S):
            yield
    except (BoundaryError, TimeoutError) as exc:
        raise OrderUnwritten("the database takes no order right now") from exc
