"""The way of an order as the service wires it, on a real PostgreSQL and an exchange on loopback."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from service.adapters.clock import SystemClock
from service.adapters.halt_journal import FileHaltJournal
from service.adapters.upbit.rest import UpbitRest
from service.bus import Bus, OrderFilled, OrderMoved
from service.domain.errors import ExchangeUnavailable
from service.flows.circuit_breaker import Circuit
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.reconcile import Reconciler
from service.flows.trading_switch import TradingSwitch
from service.ports.clock import MarketClock
from service.settings.settings import Settings
from service.store.database.pool import Pool
from service.store.tables.audit import PgAudit
from service.store.tables.lease import PgLease
from service.store.tables.orders import PgOrders
from service.store.tables.settings import PgSettingRows
from service.store.tables.trading_state import PgTradingState


@dataclass(frozen=True, kw_only=True)
class WiredTrading:
    """What an order passes; this process holds the lease, and trading is on."""

    pool: Pool
    exchange: UpbitRest
    orders: PgOrders
    executor: Executor
    reconciler: Reconciler
    leadership: Leadership
    switch: TradingSwitch
    settings: Settings
    bus: Bus
    clock: MarketClock
    real_clock: SystemClock


def _new_id() -> str:
    return str(uuid4())


@asynccontextmanager
async def wired_trading(
    pool: Pool, exchange: UpbitRest, clock: MarketClock
) -> AsyncIterator[WiredTrading]:
    real_clock, bus, orders = SystemClock(), Bus(), PgOrders(pool)
    settings = Settings(PgSettingRows(pool), clock)
    await settings.change({"trading_enabled": True}, by="benchmark")
    with tempfile.TemporaryDirectory() as folder:
        switch = TradingSwitch(
            states=PgTradingState(pool), settings=settings, audit=PgAudit(pool),
            journal=FileHaltJournal(Path(folder) / "halts"), clock=clock,
            real_clock=real_clock, new_id=_new_id,
        )  # fmt: skip
        await switch.load()
        reconciler = Reconciler(
            orders=orders, exchange=exchange, states=PgTradingState(pool), bus=bus, clock=clock,
            real_clock=real_clock)  # fmt: skip
        leadership = Leadership(
            lease=PgLease(pool, owner="benchmark", ttl_s=3600), real_clock=real_clock,
            on_gain=reconciler.reconcile,
        )  # fmt: skip
        executor = Executor(
            orders=orders, exchange=exchange, reconciler=reconciler, leadership=leadership,
            trading_switch=switch, settings=settings, clock=clock, real_clock=real_clock,
            new_id=_new_id,
            circuit=Circuit("orders", error=ExchangeUnavailable, seconds=real_clock.monotonic),
        )  # fmt: skip
        bus.subscribe(OrderFilled, executor.open_sales.filled)
        bus.subscribe(OrderMoved, executor.open_sales.moved)
        await leadership.renew()
        await leadership.settle()
        yield WiredTrading(
            pool=pool, exchange=exchange, orders=orders, executor=executor, reconciler=reconciler,
            leadership=leadership, switch=switch, settings=settings, bus=bus, clock=clock,
            real_clock=real_clock,
        )  # fmt: skip
