"""A database with a long history: so many rows in every large table.

Twenty markets have a price every ten seconds each. A signal comes every three seconds, so that a
million of them span five weeks. A third of the signals buy or sell, and nearly all orders are done.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so

from benchmarks import seed_account_sql as account_sql
from benchmarks import seed_sql as sql

UNTIL: Final = datetime(2026, 12, 1, tzinfo=UTC)
MARKETS: Final = 20
BUSY: Final = "KRW-C1"  #: has prices, candles, signals, orders and fills, as each of the twenty

# The statements refer to rows by number. To check each reference again takes most of the time.
_WITHOUT_CHECKS: Final = "SET session_replication_role = replica"
_WITH_CHECKS: Final = "SET session_replication_role = DEFAULT"
_MONTHS: Final = """
    SELECT add_month(%(table)s::regclass, month)
      FROM generate_series(date_trunc('month', %(since)s, 'UTC'), %(until)s, '1 month') AS month
"""
#: The tables by month, and the time between two rows.
_SERIES: Final = {
    "market_data": timedelta(seconds=0.5),
    "job_runs": timedelta(seconds=1.5),
    "job_hours": timedelta(seconds=1.5),
    "equity_snapshots": timedelta(minutes=1),
}
_ROWS: Final = (
    sql.PRICES, sql.CANDLES, sql.CALLS, sql.SIGNALS, sql.DECISIONS, sql.ORDERS, sql.FILLS,
    sql.PASSES, sql.HOURS_OF_PASSES, sql.OLDER_HOURS_OF_PASSES, sql.CHANGES, sql.POSITIONS,
    sql.DAYS, account_sql.EQUITIES, account_sql.HOURS, account_sql.DEPOSITS, account_sql.HALTS,
)  # fmt: skip


def seed_history(connection: Connection, rows: int) -> None:
    """Fill the empty tables of a migrated database with `rows` rows each. Needs a superuser."""
    with connection.cursor() as cursor:
        for table, step in _SERIES.items():
            since = UNTIL - rows * step
            cursor.execute(_MONTHS, {"table": table, "since": since, "until": UNTIL})
        window = {"table": "job_hours", "since": UNTIL - timedelta(days=32), "until": UNTIL}
        cursor.execute(_MONTHS, window)
        cursor.execute(_WITHOUT_CHECKS)
        for statement in _ROWS:
            cursor.execute(statement, {"first": 1, "last": rows, "until": UNTIL})
        cursor.execute(_WITH_CHECKS)
        # Like autovacuum: statistics for the planner, and the visibility map for index-only scans.
        cursor.execute("VACUUM ANALYZE")
