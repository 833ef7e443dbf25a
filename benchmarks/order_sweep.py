"""A sweep of seven days: python -m benchmarks.order_sweep [orders]."""

import asyncio
import sys
import time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp
from loguru import logger

from service.adapters.clock import SystemClock
from service.adapters.upbit.rest import UpbitRest
from service.bus import Bus
from service.flows.account_book import AccountBook
from service.flows.order_sweep import OrderSweep
from service.flows.reconcile import Reconciler
from service.sandbox.clock import DiscreteMarketClock
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from service.store.database.pool import Pool, open_pool
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrate, migrations_folder
from service.store.tables.account import PgAccountBooks
from service.store.tables.order_sweep import PgSweptOrders
from service.store.tables.orders import PgOrders
from service.store.tables.trading_state import PgTradingState

ORDERS: Final = 2_016  #: a week at the default limit of twelve an hour
SECONDS: Final = 7 * 86_400 - 7_200


def trade(sandbox: Sandbox, orders: int) -> None:
    """Have the account buy and sell in turn, spread over a week."""
    assert isinstance(sandbox.clock, DiscreteMarketClock)
    engine = sandbox.engine
    for number in range(orders):
        sandbox.clock.advance(SECONDS / orders)
        coins = engine.account("BTC").balance
        fields = {"market": "KRW-BTC", "identifier": f"uat-{number}"}
        if coins:
            fields |= {"side": "ask", "ord_type": "market", "volume": f"{coins:f}"}
        else:
            fields |= {"side": "bid", "ord_type": "price", "price": "100000"}
        engine.place(fields, sandbox.clock.now())


def swept_by(pool: Pool, sandbox: Sandbox, session: aiohttp.ClientSession) -> OrderSweep:
    exchange = UpbitRest(
        session,
        quotation_url=sandbox.upbit_url,
        exchange_url=sandbox.upbit_url,
        access_key=sandbox.access_key,
        secret_key=sandbox.secret_key,
        paced=False,
    )
    orders, clock = PgOrders(pool), sandbox.clock
    reconciler = Reconciler(
        orders=orders,
        exchange=exchange,
        states=PgTradingState(pool),
        bus=Bus(),
        clock=clock,
        real_clock=SystemClock(),
    )
    book = AccountBook(books=PgAccountBooks(pool), orders=orders, exchange=exchange, clock=clock)
    rows = PgSweptOrders(pool)
    return OrderSweep(account_book=book, rows=rows, take_in=reconciler.take_in, clock=clock)


async def measure(dsn: str, orders: int) -> None:
    async with (
        open_sandbox(SandboxOptions(speed=Decimal(0))) as sandbox,
        aiohttp.ClientSession() as session,
        open_pool(dsn, minsize=2, maxsize=5) as pool,
    ):
        trade(sandbox, orders)
        sweep = swept_by(pool, sandbox, session)
        for what in ("none has a row", "all have their rows"):
            began = time.perf_counter()
            taken = await sweep.begin()
            took = time.perf_counter() - began
            print(f"{orders} orders of seven days, {what}: {taken} taken in, {took:.2f} s")


def main(orders: int = ORDERS) -> None:
    logger.remove()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # The server may run as another account, which must be able to enter.
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            server.ensure_database("sweep")
            migrate(server.dsn("sweep"), migrations_folder())
            asyncio.run(measure(server.dsn("sweep"), orders))
        finally:
            server.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
