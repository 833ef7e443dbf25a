"""A reconcile of 10,000 open orders: python -m benchmarks.reconcile [orders].

Each was executed at the sandbox's exchange while nothing of it was stored: its row is SUBMITTED. So
each costs a look-up over a socket, and a transaction with its fills. The second figure is the cost
of as many orders by limit that still wait on the book: a look-up alone.
"""

import asyncio
import sys
import time
from decimal import Decimal
from typing import Final

import aiohttp
from loguru import logger

from benchmarks.order_sweep import empty_database, exchange_of, reconciler_of, trade
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from service.store.database.json_rows import recordset
from service.store.database.pool import Pool, open_pool

ORDERS: Final = 10_000
SUBMITTED: Final = """
    INSERT INTO orders (
           identifier, exchange_uuid, market, side, type, price, volume, funds, status,
           leader_epoch, created_at, sent_at, updated_at)
    SELECT identifier, exchange_uuid, market, side, type, price, volume, funds, 'SUBMITTED', 1,
           created_at, created_at, created_at
      FROM json_to_recordset(%(orders)s::json) AS given (
           identifier text, exchange_uuid text, market text, side text, type text, price numeric,
           volume numeric, funds numeric, created_at timestamptz)
"""


def wait_on_the_book(sandbox: Sandbox, orders: int) -> None:
    """Have the account bid far below the price."""
    for number in range(orders):
        fields = {
            "market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "1000000",
            "volume": "0.005", "identifier": f"uat-limit-{number}",
        }  # fmt: skip
        sandbox.engine.place(fields, sandbox.clock.now())


async def store(pool: Pool, sandbox: Sandbox, *, state: str) -> int:
    """Store a row for each of the exchange's orders that waits, or that does not."""
    rows = []
    for order in sandbox.engine.orders.values():
        request = order.request
        if (order.state == "wait") != (state == "wait"):
            continue
        is_limit = request.ord_type == "limit"
        rows.append(
            {
                "identifier": request.identifier,
                "exchange_uuid": order.uuid,
                "market": str(request.market),
                "side": "BUY" if request.side == "bid" else "SELL",
                "type": "LIMIT" if is_limit else "MARKET",
                "price": request.price if is_limit else None,
                "volume": request.volume,
                "funds": None if is_limit or request.volume else Decimal(100_000),
                "created_at": order.created_at.isoformat(),
            }
        )
    async with pool.cursor() as cur:
        await cur.execute(SUBMITTED, {"orders": recordset(rows)})
    return len(rows)


async def measure(dsn: str, orders: int) -> None:
    async with (
        open_sandbox(SandboxOptions(speed=Decimal(0))) as sandbox,
        aiohttp.ClientSession() as session,
        open_pool(dsn, minsize=2, maxsize=5) as pool,
    ):
        reconciler = reconciler_of(pool, sandbox, exchange_of(sandbox, session))
        trade(sandbox, orders)
        stored = await store(pool, sandbox, state="done")
        began = time.perf_counter()
        settled = await reconciler.reconcile()
        took = time.perf_counter() - began
        print(f"reconcile of {stored} executed orders: {settled} settled, {took:.1f} s", flush=True)
        wait_on_the_book(sandbox, orders // 10)
        stored = await store(pool, sandbox, state="wait")
        began = time.perf_counter()
        await reconciler.reconcile()
        took = time.perf_counter() - began
        print(f"reconcile of {stored} orders that wait on the book: {took:.1f} s")


def main(orders: int = ORDERS) -> None:
    logger.remove()
    with empty_database("reconcile") as dsn:
        asyncio.run(measure(dsn, orders))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
