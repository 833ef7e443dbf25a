"""`python -m benchmarks.retention`: a tenth of a year of prices, and two months of passes.

Generated in the database; needs 3 GB of disk and some five minutes. Not part of `make bench`.
`--part 0.01` is a hundredth of it, to see that it works.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from loguru import logger
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so

from benchmarks.growth import HOURS_OF_PASSES
from service.domain.markets import Market, Ticker
from service.flows.retention import SERIES, months_from
from service.ports.queries import PageKey
from service.store.database.dsn import connect, parameters
from service.store.database.pool import Pool, open_pool
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrate, migrations_folder
from service.store.queries.lists import PgLists
from service.store.queries.metrics import PgStatistics
from service.store.queries.page import INSTANT
from service.store.statistics_jobs import JOBS
from service.store.tables.market_data import PgMarketData
from service.store.tables.partitions import DROP_MONTH

UNTIL: Final = datetime(2026, 12, 1, tzinfo=UTC)
MARKETS: Final = 20
EVERY: Final = timedelta(seconds=10)
A_TENTH_OF_A_YEAR: Final = timedelta(days=36.5)
PASSES_A_DAY: Final = 56_160  #: every 2 s, every 10 s, and open orders for a quarter of the time

PRICES: Final = """
    INSERT INTO market_data (
           market, price, high, low, volume_24h, change_since_close_ratio, traded_at, collected_at)
    SELECT 'KRW-C' || market, price, round(price * 1.03), round(price * 0.97),
           round((random() * 9000)::numeric, 8), round((random() * 0.2 - 0.1)::numeric, 8),
           at - random() * interval '3 s', at
      FROM generate_series(%(since)s, %(until)s - %(every)s, %(every)s) AS at
     CROSS JOIN generate_series(1, %(markets)s) AS market
     CROSS JOIN LATERAL (
           SELECT round((100 + random() * 10 ^ (3 + market %% 6))::numeric, 2) AS price) AS drawn
"""
PASSES: Final = """
    INSERT INTO job_runs (
           run_id, job, started_at, finished_at, duration_ms, attempts, success)
    SELECT uuidv7(),
           CASE WHEN n %% 13 < 10 THEN 'send_alerts' WHEN n %% 13 < 12 THEN 'collect_market_data'
                ELSE 'sync_pending_orders' END,
           at, at, round((random() * 20)::numeric, 3), 1, true
      FROM generate_series(1, %(passes)s) AS n
     CROSS JOIN LATERAL (SELECT %(since)s + n * %(step)s AS at) AS moved
"""
CANDLES: Final = """
    INSERT INTO candles (market, timeframe, opened_at, open, high, low, close, volume, funds)
    SELECT 'KRW-C1', '1m', at, price, price + 3, price - 3, price + 1,
           round((random() * 9)::numeric, 8), round((random() * 9)::numeric * price, 8)
      FROM generate_series(%(since)s, %(until)s, interval '1 minute') AS at
     CROSS JOIN LATERAL (SELECT round((50000000 + random() * 10 ^ 8)::numeric) AS price) AS drawn
"""
ALERTS: Final = """
    INSERT INTO alerts (
           kind, key, severity, title, body, state, created_at, last_at, delivered_to, sent_at)
    SELECT 'NOTICE', 'job:' || n, 'warning', 'A job fails: collect_market_data',
           'ExchangeUnavailable after 4 attempts. The next pass is planned as usual.', 'SENT',
           at, at, ARRAY['1:slack'], at
      FROM generate_series(1, 10000) AS n
     CROSS JOIN LATERAL (SELECT %(since)s + n * interval '1 minute' AS at) AS moved
"""
ADD_MONTH: Final = "SELECT add_month(%(table)s::regclass, %(at)s)"
DELETE_MONTH: Final = "DELETE FROM market_data WHERE collected_at >= %(since)s"
PARTS: Final = "SELECT part::text FROM month_tables(%(table)s)"
# Also of what is one table only.
SIZE: Final = """
    SELECT sum(pg_table_size(part)), sum(pg_indexes_size(part))
      FROM (SELECT part FROM month_tables(%(table)s)
             UNION ALL
            SELECT %(table)s::regclass) AS parts (part)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=float, default=1.0, help="of the whole, 0..1")
    part: float = parser.parse_args().part
    logger.remove()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder)
        server.start()
        try:
            server.ensure_database("bench")
            dsn = server.dsn("bench")
            migrate(dsn, migrations_folder())
            with closing(connect(parameters(dsn))) as connection:
                _make_a_year(connection)
                _load(connection, part)
            asyncio.run(_measure(dsn))
        finally:
            server.stop()


def _make_a_year(connection: Connection) -> None:
    """Twelve months back and two ahead, as after a year of service: plans see them all."""
    for series in SERIES:
        for month in months_from(UNTIL - timedelta(days=335), 14):
            _execute(connection, ADD_MONTH, {"table": series.table, "at": month})


def _load(connection: Connection, part: float) -> None:
    day = {"since": UNTIL - timedelta(days=7), "until": UNTIL}
    prices = {
        "since": UNTIL - A_TENTH_OF_A_YEAR * part, "until": UNTIL, "every": EVERY,
        "markets": MARKETS,
    }  # fmt: skip
    passes = {
        "since": UNTIL - timedelta(days=62) * part,
        "step": timedelta(days=1) / PASSES_A_DAY,
        "passes": int(PASSES_A_DAY * 62 * part),
    }
    for table, sql, args in (
        ("market_data", PRICES, prices),
        ("job_runs", PASSES, passes),
        ("job_hours", HOURS_OF_PASSES, {}),
        ("candles", CANDLES, day),
        ("alerts", ALERTS, day),
    ):
        began = time.monotonic()
        number = _execute(connection, sql, args)
        took_s = time.monotonic() - began
        _vacuum(connection, table)
        heap, indexes = _size(connection, table)
        print(
            f"{table:12} {number:>9,} rows in {took_s:5.1f} s; {heap / number:5.0f} bytes a row"
            f" + {indexes / number:4.0f} in indexes; {(heap + indexes) / 1e6:7,.1f} MB",
            flush=True,
        )


def _vacuum(connection: Connection, table: str) -> None:
    """As autovacuum does, which never looks at the empty parent of the months."""
    with connection.cursor() as cursor:
        cursor.execute(PARTS, {"table": table})
        parts = [part for (part,) in cursor.fetchall()]
    for part in parts or [table]:
        _execute(connection, f"VACUUM ANALYZE {part}")


def _size(connection: Connection, table: str) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(SIZE, {"table": table})
        heap, indexes = cursor.fetchone() or (0, 0)
    return int(heap), int(indexes)


def _execute(connection: Connection, sql: str, args: Mapping[str, object] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.rowcount


async def _measure(dsn: str) -> None:
    async with open_pool(dsn, minsize=1, maxsize=1) as gate:
        await _read(gate)
        await _write(gate)
    with closing(connect(parameters(dsn))) as connection:
        _drop(connection)


async def _read(gate: Pool) -> None:
    lists, stats = PgLists(gate), PgStatistics(gate)
    market, markets = Market("KRW", "C1"), [Market("KRW", f"C{n}") for n in range(1, 21)]
    middle = PageKey(UNTIL - timedelta(days=20), 1)
    day, month = UNTIL - timedelta(hours=24), UNTIL - timedelta(days=31)
    for name, read in {
        "newest price of 20 markets": lambda: lists.market_latest(markets),
        "50 prices, newest first": lambda: lists.market_history(market, limit=50),
        "50 prices, from 20 days ago": lambda: lists.market_history(
            market, limit=50, before=middle
        ),
        "a day's summary of a market": lambda: lists.market_summary(market, since=day),
        "collector, a day, 20 markets": lambda: lists.collector_stats(markets, since=day),
        "jobs, a day": lambda: stats.jobs(since=day, until=UNTIL),
        "jobs, 31 days": lambda: stats.jobs(since=month, until=UNTIL),
        "the same, pass by pass": lambda: _pass_by_pass(gate, month),
    }.items():
        print(f"{name:30} {await _median_ms(read):8.2f} ms", flush=True)


async def _pass_by_pass(gate: Pool, since: datetime) -> None:
    """As windows up to two days are read."""
    async with gate.cursor() as cursor:
        await cursor.execute(JOBS, {"since": since, "until": UNTIL, "instant": INSTANT})


def _a_ticker(market: Market) -> Ticker:
    return Ticker(
        market=market,
        price=Decimal(100_000_000),
        high=Decimal(101_000_000),
        low=Decimal(99_000_000),
        volume_24h=Decimal("1234.56789012"),
        change_since_close_ratio=Decimal("0.01234567"),
        traded_at=UNTIL,
    )


async def _write(gate: Pool) -> None:
    prices = PgMarketData(gate)
    tickers = [_a_ticker(Market("KRW", f"C{n}")) for n in range(1, MARKETS + 1)]
    took = await _median_ms(lambda: prices.add_tickers(tickers, at=UNTIL), times=200)
    print(f"{'a pass of 20 prices, written':30} {took:8.2f} ms", flush=True)


def _drop(connection: Connection) -> None:
    """The month the other way, row by row, for comparison; undone again."""
    _execute(connection, "BEGIN")
    began = time.monotonic()
    deleted = _execute(connection, DELETE_MONTH, {"since": UNTIL - timedelta(days=30)})
    took_ms = (time.monotonic() - began) * 1000
    print(f"{'a month deleted by row':30} {took_ms:8.2f} ms ({deleted:,} rows)", flush=True)
    _execute(connection, "ROLLBACK")
    for table in ("market_data", "job_runs"):
        while True:
            heap, indexes = _size(connection, table)
            began = time.monotonic()
            with connection.cursor() as cursor:
                cursor.execute(DROP_MONTH, {"table": table, "before": UNTIL})
                (dropped,) = cursor.fetchone() or (None,)
            took_ms = (time.monotonic() - began) * 1000
            if dropped is None:
                break
            freed = heap + indexes - sum(_size(connection, table))
            if freed > 1e6:
                print(f"{dropped + ' dropped':30} {took_ms:8.2f} ms, {freed / 1e6:,.1f} MB freed")


async def _median_ms(work: Callable[[], Awaitable[object]], *, times: int = 20) -> float:
    took = []
    for _ in range(times):
        began = time.monotonic()
        await work()
        took.append((time.monotonic() - began) * 1000)
    return statistics.median(took)


if __name__ == "__main__":
    main()
