"""`python -m benchmarks.retention`: the size of a history, and the removal of a month from it.

A tenth of a year of prices and two months of passes, generated in the database. This needs 3 GB
of disk and about five minutes, and is not part of `make bench`. `--part 0.01` loads a hundredth
of the rows, for a trial.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from loguru import logger
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so

from benchmarks import retention_sql as sql
from benchmarks.databases import Databases
from benchmarks.job_windows import print_reads
from benchmarks.seed_sql import HOURS_OF_PASSES
from service.flows.retention import SERIES, months_from
from service.store.database.dsn import connect, parameters
from service.store.tables.partitions import DROP_MONTH

UNTIL: Final = datetime(2026, 12, 1, tzinfo=UTC)
MARKETS: Final = 20
EVERY: Final = timedelta(seconds=10)
A_TENTH_OF_A_YEAR: Final = timedelta(days=36.5)
PASSES_A_DAY: Final = 56_160  #: every 2 s, every 10 s, and open orders for a quarter of the time

ADD_MONTH: Final = "SELECT add_month(%(table)s::regclass, %(at)s)"
DELETE_MONTH: Final = "DELETE FROM market_data WHERE collected_at >= %(since)s"
PARTS: Final = "SELECT part::text FROM month_tables(%(table)s)"
# The UNION serves tables that have no months.
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
    with Databases.open() as databases:
        dsn = databases.empty("retention")
        with closing(connect(parameters(dsn))) as connection:
            _add_months(connection)
            _load(connection, part)
            asyncio.run(print_reads(dsn, until=UNTIL))
            _remove(connection)


def _add_months(connection: Connection) -> None:
    """Add twelve months back and two ahead, as after a year of service: plans see them all."""
    for series in SERIES:
        for month in months_from(UNTIL - timedelta(days=335), 14):
            _execute(connection, ADD_MONTH, {"table": series.table, "at": month})


def _load(connection: Connection, part: float) -> None:
    week = {"since": UNTIL - timedelta(days=7), "until": UNTIL}
    prices = {
        "since": UNTIL - A_TENTH_OF_A_YEAR * part, "until": UNTIL, "every": EVERY,
        "markets": MARKETS,
    }  # fmt: skip
    passes = {
        "since": UNTIL - timedelta(days=62) * part,
        "step": timedelta(days=1) / PASSES_A_DAY,
        "passes": int(PASSES_A_DAY * 62 * part),
    }
    for table, statement, args in (
        ("market_data", sql.PRICES, prices),
        ("job_runs", sql.PASSES, passes),
        ("job_hours", HOURS_OF_PASSES, {}),
        ("candles", sql.CANDLES, week),
        ("alerts", sql.ALERTS, week),
    ):
        number = _execute(connection, statement, args)
        _vacuum(connection, table)
        heap, indexes = _size(connection, table)
        print(
            f"{table:12} {number:>9,} rows; {heap / number:5.0f} bytes a row"
            f" + {indexes / number:4.0f} in indexes; {(heap + indexes) / 1e6:7,.1f} MB",
            flush=True,
        )


def _vacuum(connection: Connection, table: str) -> None:
    """Vacuum the months one by one, as autovacuum does, which skips their empty parent."""
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


def _remove(connection: Connection) -> None:
    """Delete a month row by row, roll that back, and then drop every month."""
    _execute(connection, "BEGIN")
    began = time.monotonic()
    deleted = _execute(connection, DELETE_MONTH, {"since": UNTIL - timedelta(days=30)})
    took_ms = (time.monotonic() - began) * 1000
    print(f"{'a month deleted by row':30} {took_ms:8.2f} ms ({deleted:,} rows)", flush=True)
    _execute(connection, "ROLLBACK")
    for table in ("market_data", "job_runs"):
        while True:
            before = sum(_size(connection, table))
            began = time.monotonic()
            with connection.cursor() as cursor:
                cursor.execute(DROP_MONTH, {"table": table, "before": UNTIL})
                (dropped,) = cursor.fetchone() or (None,)
            took_ms = (time.monotonic() - began) * 1000
            if dropped is None:
                break
            freed = before - sum(_size(connection, table))
            if freed > 1e6:
                print(f"{dropped + ' dropped':30} {took_ms:8.2f} ms, {freed / 1e6:,.1f} MB freed")


if __name__ == "__main__":
    main()
