"""One table a month, on real PostgreSQL: room for every row, old months go, nothing else does."""

import asyncio
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import CheckViolation
from yoyo.migrations import read_migrations

from service.domain.alerts import Alert, Recovery
from service.domain.errors import StoreTimeout
from service.store.database.dsn import connect, parameters
from service.store.database.pool import Pool, open_pool
from service.store.migrations.migrate import files_in, migrate, migrations_folder
from service.store.migrations.yoyo_backend import Backend
from service.store.queries.job_metrics import JOBS, JOBS_BY_HOUR
from service.store.queries.lists import PgLists
from service.store.queries.market import HISTORY, LATEST, SUMMARY
from service.store.queries.metrics import REQUESTS, PgStatistics
from service.store.queries.page import INSTANT
from service.store.queries.portfolio import CURVE
from service.store.tables.alerts import PgAlerts
from service.store.tables.equity import PgEquities
from service.store.tables.market_data import LATEST_ID, PgMarketData
from service.store.tables.metrics import DROP_MINUTES, PgMetricRows
from service.store.tables.partitions import DROP_ALERTS, PgHistory
from tests.builders import KRW_BTC, T0, a_ticker, an_equity
from tests.integration.store.seeds import (
    a_stored_decision,
    a_stored_order,
    execute,
    filled,
    rows,
)
from tests.integration.store.test_metrics import a_run, a_slot

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KST = timezone(timedelta(hours=9))
TABLES = ("market_data", "job_runs", "job_hours", "request_stats")
MONTHS = """
    SELECT part::text, starts, ends
      FROM month_tables(%(table)s)
     ORDER BY starts
"""


async def months(pool: Pool, table: str = "market_data") -> list[str]:
    sql = "SELECT part::text FROM month_tables(%(table)s) ORDER BY starts"
    return [name for (name,) in await rows(pool, sql, {"table": table})]


async def prices_at(pool: Pool, *instants: datetime) -> None:
    for at in instants:
        await PgMarketData(pool).add_tickers([a_ticker()], at=at)


async def collected(pool: Pool) -> list[datetime]:
    found = await rows(pool, "SELECT collected_at FROM market_data ORDER BY collected_at")
    return [at for (at,) in found]


# --- room -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Asia/Seoul", "America/New_York"])
def test_months_are_utcs_whatever_the_sessions_time_zone(dsn: str, zone: str) -> None:
    """Ours are in UTC; an operator's own are not, and nor need their dates look like ours."""
    session = {"timezone": zone, "datestyle": "SQL,DMY"}
    with closing(connect(parameters(dsn), session)) as database, database.cursor() as cursor:
        for at in (
            datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2027, 1, 1, 8, 59, tzinfo=KST),
            datetime(2027, 1, 1, 9, 0, tzinfo=KST),
        ):
            cursor.execute("SELECT add_month('market_data', %s)", (at,))
        cursor.execute(MONTHS, {"table": "market_data"})
        _, *made = cursor.fetchall()

    turns = [datetime(2026, 12, 1, tzinfo=UTC), *(datetime(2027, n, 1, tzinfo=UTC) for n in (1, 2))]
    assert made == [
        ("market_data_2026_12", turns[0], turns[1]),
        ("market_data_2027_01", turns[1], turns[2]),
    ]


async def test_a_row_lands_in_utcs_month(pool: Pool) -> None:
    turn = datetime(2027, 1, 1, 9, 0, tzinfo=KST)
    await prices_at(pool, turn - timedelta(microseconds=1), turn)

    assert await rows(
        pool, "SELECT tableoid::regclass::text FROM market_data ORDER BY collected_at"
    ) == [("market_data_2026_12",), ("market_data_2027_01",)]


@pytest.mark.parametrize(
    "at",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2027, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2028, 2, 29, tzinfo=UTC),
        datetime(2317, 9, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
async def test_no_instant_is_too_far_for_a_row(pool: Pool, at: datetime) -> None:
    metrics = PgMetricRows(pool)
    minute = at.replace(second=0, microsecond=0)

    await prices_at(pool, at)
    await metrics.add_job_runs([a_run(1, started_at=at)])
    await metrics.add_requests([a_slot(minute=minute)])

    assert await collected(pool) == [at]
    assert await rows(pool, "SELECT started_at FROM job_runs") == [(at,)]
    assert await rows(pool, "SELECT minutes, slot FROM request_stats ORDER BY minutes") == [
        (1, minute),
        (60, minute.replace(minute=0)),
    ]
    for table in TABLES:
        assert len(await months(pool, table)) == 2


async def test_a_batch_over_many_months_finds_room_in_one_go(pool: Pool) -> None:
    runs = [a_run(n, started_at=T0 + n * 10 * DAY) for n in range(40)]

    await PgMetricRows(pool).add_job_runs(runs)

    assert await rows(pool, "SELECT count(*) FROM job_runs") == [(40,)]
    assert len(await months(pool, "job_runs")) == len(await months(pool, "job_hours")) == 14


async def test_a_row_that_breaks_a_rule_is_not_taken_for_one_without_room(pool: Pool) -> None:
    far = T0 + 400 * DAY

    with pytest.raises(CheckViolation):
        await PgMetricRows(pool).add_job_runs([a_run(1, attempts=0)])
    with pytest.raises(CheckViolation):
        await PgMetricRows(pool).add_job_runs([a_run(1, attempts=0, started_at=far)])

    assert await rows(pool, "SELECT count(*) FROM job_runs") == [(0,)]


async def test_room_that_is_there_is_not_made_again(pool: Pool) -> None:
    history, ahead = PgHistory(pool), [T0, T0 + 31 * DAY, T0 + 62 * DAY]

    made = [await history.add_months("market_data", at=ahead) for _ in range(2)]

    assert made == [2, 0]
    assert await months(pool) == [f"market_data_2026_0{n}" for n in (1, 2, 3)]


async def test_of_many_processes_at_once_one_makes_the_room_and_all_write(dsn: str) -> None:
    far = T0 + 300 * DAY
    async with open_pool(dsn, minsize=8, maxsize=8) as pool:
        made = await asyncio.gather(
            *(PgHistory(pool).add_months("job_runs", at=[far]) for _ in range(8))
        )
        await asyncio.gather(*(prices_at(pool, far + n * HOUR) for n in range(16)))

        stored = await collected(pool)

    assert sum(made) == 1
    assert len(stored) == 16


async def test_making_room_waits_for_nobody_who_reads_or_writes(pool: Pool) -> None:
    async with pool.transaction() as busy:
        await busy.execute("SELECT count(*) FROM market_data")
        await busy.execute(
            "INSERT INTO market_data (market, price, high, low, volume_24h,"
            "                         change_since_close_ratio, traded_at, collected_at)"
            " VALUES ('KRW-X', 1, 1, 1, 0, 0, %(at)s, %(at)s)",
            {"at": T0},
        )

        made = await PgHistory(pool).add_months("market_data", at=[T0 + 40 * DAY])

    assert made == 1


async def test_a_month_that_somebody_took_out_is_left_to_him(pool: Pool) -> None:
    await prices_at(pool, T0)
    await execute(pool, "ALTER TABLE market_data DETACH PARTITION market_data_2026_01")

    await prices_at(pool, T0 + HOUR)
    await PgHistory(pool).drop_month("market_data", before=T0 + 100 * DAY)

    assert await months(pool) == []
    assert await rows(pool, "SELECT collected_at FROM market_data_2026_01") == [(T0,)]


async def test_every_months_table_has_the_whole_tables_rules_and_indexes(pool: Pool) -> None:
    await PgHistory(pool).add_months("job_runs", at=[T0 + 90 * DAY])

    indexes = await rows(
        pool,
        "SELECT tablename, count(*) FROM pg_indexes WHERE tablename LIKE 'job_runs%'"
        " GROUP BY tablename ORDER BY tablename",
    )
    checks = await rows(
        pool,
        "SELECT conrelid::regclass::text, count(*) FROM pg_constraint"
        " WHERE conrelid::regclass::text LIKE 'job_runs%' AND contype = 'c'"
        " GROUP BY 1 ORDER BY 1",
    )

    assert indexes == [("job_runs", 2), ("job_runs_2026_01", 2), ("job_runs_2026_04", 2)]
    assert checks == [("job_runs", 3), ("job_runs_2026_01", 3), ("job_runs_2026_04", 3)]


# --- keys -----------------------------------------------------------------------------------------


async def test_ids_go_on_from_month_to_month(pool: Pool) -> None:
    await PgHistory(pool).add_months("market_data", at=[T0 + 31 * DAY])

    await prices_at(pool, T0, T0 + 31 * DAY, T0 + DAY)

    found = await rows(pool, "SELECT id FROM market_data ORDER BY collected_at")
    assert found == [(1,), (3,), (2,)]
    assert await PgMarketData(pool).latest_id(KRW_BTC) == 2


async def test_a_repeated_pass_is_known_in_each_month(pool: Pool) -> None:
    store = PgMetricRows(pool)
    runs = [a_run(1), a_run(2, started_at=T0 + 31 * DAY)]

    await store.add_job_runs(runs)
    await store.add_job_runs(runs)

    assert await rows(pool, "SELECT count(*) FROM job_runs") == [(2,)]


async def test_requests_are_added_up_in_each_month(pool: Pool) -> None:
    store = PgMetricRows(pool)
    slots = [a_slot([1.0, 2.0]), a_slot([3.0], minute=T0 + 31 * DAY)]

    await store.add_requests(slots)
    await store.add_requests(slots)

    assert await rows(pool, "SELECT count FROM request_stats WHERE minutes = 1 ORDER BY slot") == [
        (4,),
        (2,),
    ]


async def test_windows_and_lists_reach_over_the_turn_of_the_year(pool: Pool) -> None:
    turn = datetime(2027, 1, 1, tzinfo=UTC)
    around = [turn - HOUR, turn - timedelta(microseconds=1), turn, turn + HOUR]
    await prices_at(pool, *around)
    await PgMetricRows(pool).add_job_runs(
        [a_run(n, started_at=at) for n, at in enumerate(around, start=1)]
    )
    await PgMetricRows(pool).add_requests(
        [a_slot(minute=turn + n * timedelta(minutes=1)) for n in (-61, -1, 0, 61)]
    )
    stats, lists = PgStatistics(pool), PgLists(pool)

    window = {"since": turn - HOUR, "until": turn + HOUR}
    (job,) = json.loads(await stats.jobs(**window))["items"]
    (route,) = json.loads(await stats.requests(**window))["items"]
    page = await lists.market_history(KRW_BTC, limit=3)
    rest = await lists.market_history(KRW_BTC, limit=3, before=page.last)
    summary = json.loads(await lists.market_summary(KRW_BTC, since=turn - HOUR))

    assert (job["count"], route["count"], summary["count"]) == (3, 2, 4)
    shown = [item["collected_at"] for body in (page, rest) for item in json.loads(body.items)]
    assert shown == [at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for at in reversed(around)]


# --- what is old goes -----------------------------------------------------------------------------


async def drop_all(pool: Pool, table: str, *, before: datetime) -> list[str]:
    dropped = []
    while name := await PgHistory(pool).drop_month(table, before=before):
        dropped.append(name)
    return dropped


async def test_a_month_goes_when_its_last_instant_is_old_and_not_before(pool: Pool) -> None:
    turn = datetime(2026, 2, 1, tzinfo=UTC)
    last = turn - timedelta(microseconds=1)
    await prices_at(pool, T0, last, turn)

    early = await drop_all(pool, "market_data", before=last)
    kept = await collected(pool)
    due = await drop_all(pool, "market_data", before=turn)

    assert early == []
    assert kept == [T0, last, turn]
    assert due == ["market_data_2026_01"]
    assert await collected(pool) == [turn]


async def test_the_oldest_go_first_and_the_newer_stay(pool: Pool) -> None:
    every = [T0 + n * 30 * DAY for n in range(6)]
    await prices_at(pool, *every)

    dropped = await drop_all(pool, "market_data", before=datetime(2026, 4, 15, tzinfo=UTC))

    assert dropped == [f"market_data_2026_0{n}" for n in (1, 2, 3)]
    assert await collected(pool) == [at for at in every if at.month >= 4]


async def test_what_is_dropped_leaves_nothing_behind(pool: Pool) -> None:
    await PgHistory(pool).add_months("market_data", at=[T0 + 40 * DAY])
    await execute(pool, "VACUUM pg_class")
    relations = "SELECT count(*) FROM pg_class WHERE relname LIKE 'market_data_2026%'"
    before = await rows(pool, relations)

    await drop_all(pool, "market_data", before=T0 + 300 * DAY)

    assert before == [(4,)]
    assert await rows(pool, relations) == [(0,)]


class Busy:
    """Reads `market_data` in a transaction that stays open."""

    def __init__(self, dsn: str) -> None:
        self._connection = connect(parameters(dsn))
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN; SELECT count(*) FROM market_data")

    def close(self) -> None:
        self._connection.close()


async def test_who_reads_on_and_on_is_waited_for_in_bounds_and_writers_go_on(
    pool: Pool, dsn: str
) -> None:
    await prices_at(pool, T0)
    with closing(Busy(dsn)):
        # The reader never ends here: that all of this ends is the proof.
        drop = asyncio.create_task(PgHistory(pool).drop_month("market_data", before=T0 + 10 * DAY))
        await asyncio.sleep(0)
        await prices_at(pool, *(T0 + 31 * DAY + n * HOUR for n in range(20)))
        with pytest.raises(StoreTimeout):
            await drop
    after = await drop_all(pool, "market_data", before=T0 + 10 * DAY)

    assert after == ["market_data_2026_01"]
    assert len(await collected(pool)) == 20


async def test_a_writer_beside_the_drops_loses_nothing(dsn: str) -> None:
    now = datetime(2026, 11, 5, tzinfo=UTC)
    async with open_pool(dsn, minsize=6, maxsize=6) as pool:
        await prices_at(pool, *(datetime(2026, n, 1, tzinfo=UTC) for n in range(1, 11)))

        async def write(worker: int) -> None:
            for n in range(40):
                await prices_at(pool, now + worker * HOUR + n * timedelta(seconds=10))

        dropping = asyncio.create_task(_patiently_dropped(pool, before=now))
        await asyncio.gather(*(write(worker) for worker in range(4)))
        dropped = await dropping
        left = await collected(pool)

    assert len(dropped) == 10
    assert len(left) == 160
    assert all(at >= now for at in left)


async def _patiently_dropped(pool: Pool, *, before: datetime) -> list[str]:
    dropped: list[str] = []
    for _ in range(200):
        try:
            name = await PgHistory(pool).drop_month("market_data", before=before)
        except StoreTimeout:
            continue
        if name is None:
            break
        dropped.append(name)
    return dropped


async def test_two_who_drop_at_once_drop_each_month_once(dsn: str) -> None:
    async with open_pool(dsn, minsize=4, maxsize=4) as pool:
        await prices_at(pool, *(datetime(2026, n, 1, tzinfo=UTC) for n in range(1, 11)))

        both = await asyncio.gather(
            *(_patiently_dropped(pool, before=datetime(2026, 9, 1, tzinfo=UTC)) for _ in range(3))
        )

        left = await months(pool)

    assert sorted(name for dropped in both for name in dropped) == [
        f"market_data_2026_{n:02}" for n in range(1, 9)
    ]
    assert left == ["market_data_2026_09", "market_data_2026_10"]


async def test_a_process_that_dies_in_the_middle_leaves_the_month_whole(
    pool: Pool, dsn: str
) -> None:
    """Taken off and dropped are one statement: there is no half of it to heal."""
    await prices_at(pool, T0)
    with closing(connect(parameters(dsn))) as dying, dying.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT drop_month('market_data', %s)", (T0 + 60 * DAY,))
        assert cursor.fetchone() == ("market_data_2026_01",)
        await execute(pool, f"SELECT pg_terminate_backend({dying.info.backend_pid})")
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("COMMIT")
    whole = await collected(pool)

    next_pass = await drop_all(pool, "market_data", before=T0 + 60 * DAY)

    assert whole == [T0]
    assert next_pass == ["market_data_2026_01"]


# --- alerts ---------------------------------------------------------------------------------------

OLD = timedelta(days=400)


async def drop_alerts(pool: Pool, *, kept: timedelta = 365 * DAY, limit: int = 500) -> int:
    now = await rows(pool, "SELECT now()")
    return await PgHistory(pool).drop_alerts(
        before=T0 - kept, queued_before=now[0][0] - kept, limit=limit
    )


async def aged(pool: Pool, where: str = "true") -> None:
    await execute(
        pool, f"UPDATE alerts SET queued_at = queued_at - interval '400 days' WHERE {where}"
    )


async def note(pool: Pool, key: str, *, at: datetime, lasts: bool = False) -> None:
    await PgAlerts(pool).put(
        Alert(key=key, severity="error", title=key, body="", at=at, lasts=lasts)
    )


async def keys_left(pool: Pool) -> set[str]:
    return {key for (key,) in await rows(pool, "SELECT key FROM alerts")}


async def test_alerts_that_are_told_and_old_go_and_all_others_stay(pool: Pool) -> None:
    alerts = PgAlerts(pool)
    await note(pool, "told", at=T0 - OLD)
    await note(pool, "goes on", at=T0 - OLD, lasts=True)
    await note(pool, "over", at=T0 - OLD, lasts=True)
    await alerts.put(Recovery(key="over", title="over", at=T0 - OLD))
    await note(pool, "over just now", at=T0 - OLD, lasts=True)
    await alerts.put(Recovery(key="over just now", title="over", at=T0))
    await note(pool, "new", at=T0)
    await alerts.suppress_all()
    await note(pool, "not told yet", at=T0 - OLD)
    await aged(pool)

    deleted = await drop_alerts(pool)

    assert deleted == 3  # told; over, and of it problem and recovery
    assert await keys_left(pool) == {"goes on", "over just now", "new", "not told yet"}


async def test_an_alert_is_old_by_both_clocks_or_not_at_all(pool: Pool) -> None:
    """In a fast sandbox a market's year is a minute: what was told then would be told again."""
    await note(pool, "told a minute ago", at=T0 - OLD)
    await PgAlerts(pool).suppress_all()

    assert await drop_alerts(pool) == 0


async def test_a_recovery_that_waits_keeps_its_problem(pool: Pool) -> None:
    alerts = PgAlerts(pool)
    await note(pool, "over", at=T0 - OLD, lasts=True)
    await alerts.suppress_all()
    await alerts.put(Recovery(key="over", title="over", at=T0 - OLD))
    await aged(pool)

    assert await drop_alerts(pool) == 0
    await alerts.suppress_all()
    assert await drop_alerts(pool) >= 1


async def test_what_is_told_again_is_kept_and_so_is_a_problem_that_is_acknowledged(
    pool: Pool,
) -> None:
    await note(pool, "no address took it", at=T0 - OLD)
    await note(pool, "acknowledged", at=T0 - OLD, lasts=True)
    await PgAlerts(pool).acknowledge(2, by="admin@127.0.0.1")
    await PgAlerts(pool).suppress_all()
    await execute(pool, "UPDATE alerts SET tell_again_at = now() WHERE id = 1")
    await aged(pool)

    assert await drop_alerts(pool) == 0
    assert await keys_left(pool) == {"no address took it", "acknowledged"}


async def test_batches_are_bounded(pool: Pool) -> None:
    for n in range(7):
        await note(pool, f"told {n}", at=T0 - OLD)
    await PgAlerts(pool).suppress_all()
    await aged(pool)

    assert [await drop_alerts(pool, limit=3) for _ in range(4)] == [3, 3, 1, 0]


async def test_old_alerts_are_found_by_the_index_of_the_list(pool: Pool) -> None:
    await execute(
        pool,
        "INSERT INTO alerts (kind, key, severity, title, body, state, created_at, last_at)"
        " SELECT 'NOTICE', 'told ' || n, 'error', 'told', '', 'SENT', at, at"
        "   FROM generate_series(1, 5000) AS n"
        "  CROSS JOIN LATERAL (SELECT %(at)s + n * interval '1 minute' AS at) AS moved",
        {"at": T0},
    )
    await execute(pool, "ANALYZE alerts")
    args = {"before": T0 + HOUR, "queued_before": T0, "limit": 500}

    plan = await rows(pool, "EXPLAIN " + DROP_ALERTS, args)

    text = "\n".join(line for (line,) in plan)
    assert "alerts_created_at" in text
    assert "Seq Scan" not in text


# --- money ----------------------------------------------------------------------------------------

EVIDENCE = (
    "orders", "fills", "positions", "trading_signals", "decisions", "ai_calls", "candles",
    "system_configs", "config_changes", "audit_log", "trading_state", "trading_halts", "leader",
    "daily_stats", "equity_snapshots", "equity_hours",
)  # fmt: skip


async def test_what_tells_of_money_is_never_touched(pool: Pool) -> None:
    decision = await a_stored_decision(pool)
    await filled(pool, await a_stored_order(pool, decision_id=decision))
    await prices_at(pool, T0)
    await PgEquities(pool).add([an_equity()], at=T0)

    async def evidence() -> dict[str, Any]:
        return {
            table: await rows(pool, f"SELECT t::text FROM {table} AS t ORDER BY 1")
            for table in EVIDENCE
        }

    before = await evidence()
    end = T0 + 10_000 * DAY
    for table in TABLES:
        await drop_all(pool, table, before=end)
    await PgHistory(pool).drop_alerts(before=end, queued_before=end, limit=500)

    assert await collected(pool) == []
    assert await evidence() == before
    assert before["fills"] != before["orders"] != before["trading_signals"] != []


# --- plans ----------------------------------------------------------------------------------------


A_YEAR_OF_PRICES = """
    INSERT INTO market_data (
           market, price, high, low, volume_24h, change_since_close_ratio, traded_at, collected_at)
    SELECT 'KRW-BTC', 1, 1, 1, 0, 0, at, at
      FROM generate_series(%(since)s, %(until)s, interval '1 hour') AS at
"""
A_YEAR_OF_PASSES = """
    INSERT INTO job_runs (run_id, job, started_at, finished_at, duration_ms, attempts, success)
    SELECT gen_random_uuid(), 'collect_market_data', at, at, 1, 1, true
      FROM generate_series(%(since)s, %(until)s, interval '1 hour') AS at
"""


async def a_year(pool: Pool) -> None:
    """Thirteen months of every table."""
    every = [T0 + n * 7 * DAY for n in range(52)]
    await PgMetricRows(pool).add_requests([a_slot(minute=at) for at in every])
    for table in TABLES:
        await PgHistory(pool).add_months(table, at=every)
    await PgHistory(pool).add_months("equity_snapshots", at=every)
    await execute(pool, A_YEAR_OF_PRICES, {"since": T0, "until": every[-1]})
    await execute(pool, A_YEAR_OF_PASSES, {"since": T0, "until": every[-1]})
    await execute(pool, "ANALYZE")


def tables_of(plan: dict[str, Any], *, ran: bool = False) -> set[str]:
    """Return the tables that a plan reads; with `ran` only those that were really looked into."""
    own = plan.get("Relation Name")
    found = {own} if own and not (ran and plan["Actual Loops"] == 0) else set()
    return found.union(*(tables_of(child, ran=ran) for child in plan.get("Plans", ())))


async def tables_read(pool: Pool, sql: str, args: dict[str, Any], *, ran: bool = False) -> set[str]:
    how = "ANALYZE, FORMAT JSON" if ran else "FORMAT JSON"
    ((plan,),) = await rows(pool, f"EXPLAIN ({how}) " + sql, {"instant": INSTANT} | args)
    return tables_of(plan[0]["Plan"], ran=ran)


async def test_a_window_reads_its_months_only(pool: Pool) -> None:
    await a_year(pool)
    until = datetime(2026, 12, 10, tzinfo=UTC)
    month = {"since": until - 31 * DAY, "until": until}
    passes = (
        "SELECT count(*) FROM job_runs WHERE job = 'collect_market_data'"
        " AND started_at >= %(since)s AND started_at < %(until)s"
    )
    hours = month | {
        "first_hour": month["since"], "last_hour": until, "gamma": 1.02, "least_ms": 0.01,
    }  # fmt: skip

    assert await tables_read(pool, passes, month) == {"job_runs_2026_11", "job_runs_2026_12"}
    assert {
        table
        for table in await tables_read(pool, JOBS_BY_HOUR, hours)
        if table.startswith("job_hours")
    } == {"job_hours_2026_11", "job_hours_2026_12"}
    assert await tables_read(pool, REQUESTS, hours) == {
        "request_stats_2026_11",
        "request_stats_2026_12",
    }
    week = {"quote": "KRW", "points": 9, "since": until - 7 * DAY, "until": until}
    minutes = week | {"first_hour": until, "last_hour": until}
    assert {
        table
        for table in await tables_read(pool, CURVE, minutes, ran=True)
        if table.startswith("equity")
    } <= {"equity_hours", "equity_snapshots_2026_12"}
    since = {"market": "KRW-BTC", "since": until - DAY}
    assert await tables_read(pool, SUMMARY, since) <= {
        "market_data_2026_12",
        "market_data_2027_01",
    }


async def test_a_page_from_the_past_plans_no_later_month(pool: Pool) -> None:
    await a_year(pool)
    at = datetime(2026, 5, 20, tzinfo=UTC)
    args = {"market": "KRW-BTC", "before_at": at, "before_id": 1, "limit": 2}

    planned = await tables_read(pool, HISTORY, args)
    read = await tables_read(pool, HISTORY, args, ran=True)

    assert planned == {f"market_data_2026_0{n}" for n in range(1, 6)}
    assert read == {"market_data_2026_05"}


async def test_the_newest_price_is_looked_for_from_the_newest_month_on(pool: Pool) -> None:
    await a_year(pool)
    await PgHistory(pool).add_months("market_data", at=[T0 + 400 * DAY])

    for sql, args in (
        (LATEST_ID, {"market": "KRW-BTC"}),
        (LATEST, {"markets": ["KRW-BTC"]}),
        (HISTORY, {"market": "KRW-BTC", "before_at": None, "before_id": None, "limit": 2}),
    ):
        # The month ahead is empty; the year behind is not touched.
        assert await tables_read(pool, sql, args, ran=True) == {
            "market_data_2027_01",
            "market_data_2027_02",
        }


async def test_a_jobs_last_pass_is_looked_for_from_the_newest_month_on(pool: Pool) -> None:
    await a_year(pool)
    newest = (
        "SELECT * FROM job_runs WHERE job = 'collect_market_data' ORDER BY started_at DESC LIMIT 1"
    )

    assert await tables_read(pool, newest, {}, ran=True) == {"job_runs_2027_01"}
    window = {"since": T0, "until": T0 + HOUR}
    assert await tables_read(pool, JOBS, window) != set()


async def test_old_minutes_are_looked_for_in_no_later_month(pool: Pool) -> None:
    await a_year(pool)
    before = {"before": datetime(2026, 3, 5, tzinfo=UTC)}

    read = await tables_read(pool, DROP_MINUTES, before)

    assert read - {"request_stats"} == {f"request_stats_2026_0{n}" for n in (1, 2, 3)}


# --- from one table to many and back --------------------------------------------------------------


def _migrated(dsn: str, *, up: bool, only: str = "0008_months") -> None:
    """Apply or undo one migration, as the migrator does."""
    given = parameters(dsn)
    with closing(Backend.connected(given, files_in(migrations_folder()))) as backend:
        (migration,) = [m for m in read_migrations(str(migrations_folder())) if m.id == only]
        (backend.apply_one if up else backend.rollback_one)(migration)


CONTENT = {
    "market_data": "SELECT t.* FROM market_data AS t ORDER BY id",
    "job_runs": "SELECT t.* FROM job_runs AS t ORDER BY id",
    "request_stats": "SELECT t.* FROM request_stats AS t ORDER BY minutes, slot",
}


async def test_rows_survive_the_way_up_down_and_up_again(pool: Pool, dsn: str) -> None:
    turn = datetime(2027, 1, 1, tzinfo=UTC)
    instants = [T0, T0 + 40 * DAY, turn - timedelta(microseconds=1), turn]
    await prices_at(pool, *instants)
    await PgMetricRows(pool).add_job_runs(
        [a_run(n, started_at=at) for n, at in enumerate(instants, start=1)]
    )
    await PgMetricRows(pool).add_requests(
        [a_slot(minute=at.replace(second=0, microsecond=0)) for at in instants]
    )
    await execute(pool, "DELETE FROM market_data WHERE collected_at = %(at)s", {"at": turn})

    async def content() -> dict[str, list[Any]]:
        return {table: await rows(pool, sql) for table, sql in CONTENT.items()}

    before = await content()
    # The newer one gave a column another name.
    await asyncio.to_thread(_migrated, dsn, up=False, only="0015_change_since_close")
    await asyncio.to_thread(_migrated, dsn, up=False)
    single = await content()
    kinds = await rows(
        pool,
        "SELECT relname, relkind FROM pg_class WHERE relname = ANY(%(t)s)",
        {"t": list(CONTENT)},
    )
    await asyncio.to_thread(_migrated, dsn, up=True)
    await asyncio.to_thread(_migrated, dsn, up=True, only="0015_change_since_close")
    again = await content()
    await prices_at(pool, turn)

    assert {relkind for _, relkind in kinds} == {"r"}
    assert before == single == again
    assert len(before["market_data"]) == 3
    # An id is never given twice, not even that of a row that is gone.
    assert await PgMarketData(pool).latest_id(KRW_BTC) > max(
        row[0] for row in before["market_data"]
    )
    assert await months(pool) == [
        "market_data_2026_01", "market_data_2026_03", "market_data_2026_12", "market_data_2027_01",
    ]  # fmt: skip


def test_the_migration_prints_nothing(empty_dsn: str, capfd: pytest.CaptureFixture[str]) -> None:
    """yoyo prints what a SELECT answers, and stdout is the log's."""
    migrate(empty_dsn, migrations_folder())
    _migrated(empty_dsn, up=False, only="0015_change_since_close")
    _migrated(empty_dsn, up=False)

    assert capfd.readouterr().out == ""
