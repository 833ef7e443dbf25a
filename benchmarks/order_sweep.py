"""A sweep of seven days: python -m benchmarks.order_sweep [orders]."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


def exchange_of(sandbox: Sandbox, session: aiohttp.ClientSession) -> UpbitRest:
    return UpbitRest(
        session,
        quotation_url=sandbox.upbit_url,
        exchange_url=sandbox.upbit_url,
        access_key=sandbox.access_key,
        secret_key=sandbox.secret_key,
        paced=False,
    )


def reconciler_of(pool: Pool, sandbox: Sandbox, exchange: UpbitRest) -> Reconciler:
    return Reconciler(
        orders=PgOrders(pool),
        exchange=exchange,
        states=PgTradingState(pool),
        bus=Bus(),
        clock=sandbox.clock,
        real_clock=SystemClock(),
    )


def swept_by(pool: Pool, sandbox: Sandbox, session: aiohttp.ClientSession) -> OrderSweep:
    exchange = exchange_of(sandbox, session)
    orders, clock = PgOrders(pool), sandbox.clock
    reconciler = reconciler_of(pool, sandbox, exchange)
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


@contextmanager
def empty_database(name: str) -> Iterator[str]:
    """Start a server with an empty database; give its address."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # The server may run as another account, which must be able to enter.
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            server.ensure_database(name)
            migrate(server.dsn(name), migrations_folder())
            yield server.dsn(name)
        finally:
            server.stop()


def main(orders: int = ORDERS) -> None:
    logger.remove()
    with empty_database("sweep") as dsn:
        asyncio.run(measure(dsn, orders))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
