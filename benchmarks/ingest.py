"""Prices as they are stored, against a bare `json_to_recordset` through aiopg.

Rows a second of passes of 20 prices, as the collector makes one every ten seconds, and of 1,000.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import timedelta
from decimal import Decimal
from typing import Final, TypeVar

import aiopg
import orjson

from benchmarks.databases import Databases
from benchmarks.growth import UNTIL
from benchmarks.rounds import Result, rounds_of
from service.domain.markets import Market, Ticker
from service.store.database.pool import open_pool
from service.store.tables.market_data import ADD_TICKERS, PgMarketData
from service.store.tables.partitions import PgHistory

AT: Final = UNTIL - timedelta(days=1)
#: Rows a pass, and passes a round.
PASSES: Final = {20: 100, 1_000: 10}

#: A commit waits for the disk, whose mood changes more than a processor's.
ROUNDS: Final = 15

T = TypeVar("T")
Write = Callable[[], Coroutine[object, object, None]]


def measure(databases: Databases) -> list[Result]:
    dsn = databases.empty("ingest")
    return [_compared(dsn, rows, passes) for rows, passes in PASSES.items()]


def _compared(dsn: str, rows: int, passes: int) -> Result:
    tickers = [_ticker(n) for n in range(rows)]
    plain = [_row(ticker) for ticker in tickers]
    with asyncio.Runner() as runner, ExitStack() as stack:

        def entered(opened: AbstractAsyncContextManager[T]) -> T:
            stack.callback(lambda: runner.run(opened.__aexit__(None, None, None)))
            return runner.run(opened.__aenter__())

        gate = entered(open_pool(dsn, minsize=1, maxsize=1))
        pool = entered(aiopg.create_pool(dsn, minsize=1, maxsize=1, enable_hstore=False))
        runner.run(PgHistory(gate).add_months("market_data", at=[AT]))
        prices = PgMarketData(gate)

        async def ours() -> None:
            await prices.add_tickers(tickers, at=AT)

        async def bare() -> None:
            args = {"tickers": orjson.dumps(plain).decode(), "at": AT}
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(ADD_TICKERS, args)

        async def timed(write: Write) -> float:
            began = time.perf_counter()
            for _ in range(passes):
                await write()
            return rows * passes / (time.perf_counter() - began)

        seen = rounds_of(
            {"ours": lambda: runner.run(timed(ours)), "bare": lambda: runner.run(timed(bare))},
            rounds=ROUNDS,
        )
    return Result.of(
        f"ingest, {rows:,} prices a pass / bare json_to_recordset", seen["ours"], seen["bare"],
        unit="rows/s", at_least=0.8,
    )  # fmt: skip


def _ticker(n: int) -> Ticker:
    return Ticker(
        market=Market("KRW", f"C{n}"),
        price=Decimal(100_000_000),
        high=Decimal(101_000_000),
        low=Decimal(99_000_000),
        volume_24h=Decimal("1234.56789012"),
        change_since_close_ratio=Decimal("0.01234567"),
        traded_at=AT,
    )


def _row(ticker: Ticker) -> dict[str, str]:
    """What a bare insert begins with: text that is JSON at once."""
    return {
        "market": str(ticker.market),
        "price": str(ticker.price),
        "high": str(ticker.high),
        "low": str(ticker.low),
        "volume_24h": str(ticker.volume_24h),
        "change_since_close_ratio": str(ticker.change_since_close_ratio),
        "traded_at": ticker.traded_at.isoformat(),
    }
