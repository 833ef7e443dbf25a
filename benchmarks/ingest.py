"""Storing prices, against the same `json_to_recordset` statement through bare aiopg.

The collector stores 20 prices every ten seconds. Passes of 1,000 show the cost of a row.
"""

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import aiopg
import orjson

from benchmarks.comparison import Result, interleaved
from benchmarks.concurrency import LoopRunner, Operation
from benchmarks.databases import Databases
from benchmarks.seeding import UNTIL
from service.domain.markets import Market, Ticker
from service.store.database.pool import open_pool
from service.store.tables.market_data import ADD_TICKERS, PgMarketData
from service.store.tables.partitions import PgHistory

AT: Final = UNTIL - timedelta(days=1)
#: Rows a pass, and passes a round.
PASSES: Final = {20: 100, 1_000: 10}

#: A commit waits for the disk, whose speed varies more than a processor's.
ROUNDS: Final = 15


def measure(databases: Databases) -> list[Result]:
    dsn = databases.empty("ingest")
    return [_compared(dsn, rows, passes) for rows, passes in PASSES.items()]


def _compared(dsn: str, rows: int, passes: int) -> Result:
    tickers = [_ticker(n) for n in range(rows)]
    plain = [_row(ticker) for ticker in tickers]
    with LoopRunner() as loop:
        pool = loop.enter(open_pool(dsn, minsize=1, maxsize=1))
        bare_pool = loop.enter(aiopg.create_pool(dsn, minsize=1, maxsize=1, enable_hstore=False))
        loop.run(PgHistory(pool).add_months("market_data", at=[AT]))
        prices = PgMarketData(pool)

        async def ours() -> None:
            await prices.add_tickers(tickers, at=AT)

        async def bare() -> None:
            args = {"tickers": orjson.dumps(plain).decode(), "at": AT}
            async with bare_pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(ADD_TICKERS, args)

        def rows_a_second(write: Operation) -> float:
            return rows * loop.rate(write, passes, at_once=1)

        seen = interleaved(
            {"ours": partial(rows_a_second, ours), "bare": partial(rows_a_second, bare)},
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
    """Return the input of the bare insert: text that needs no conversion to JSON."""
    return {
        "market": str(ticker.market),
        "price": str(ticker.price),
        "high": str(ticker.high),
        "low": str(ticker.low),
        "volume_24h": str(ticker.volume_24h),
        "change_since_close_ratio": str(ticker.change_since_close_ratio),
        "traded_at": ticker.traded_at.isoformat(),
    }
