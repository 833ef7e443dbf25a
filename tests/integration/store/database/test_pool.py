"""The pool before PostgreSQL: S1.1 to S1.3, the edge of S1, and aiopg's traps."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing, suppress

import psycopg2
import pytest
from loguru import logger
from psycopg2.extensions import make_dsn

from service.domain.errors import StoreBusy, StoreDown, StoreTimeout
from service.ports.health import PoolState
from service.store.database.dsn import connect, parameters
from service.store.database.pool import Cursor, Isolation, Pool, open_pool
from tests.fakes.logs import Logs

SAFETY_S = 20
HELD = "918273645.54637281"  #: coins; named, because a traceback shows its lines of source
OTHERS = """
    SELECT pid
      FROM pg_stat_activity
     WHERE datname = current_database()
       AND pid <> pg_backend_pid()
"""
KILL = "SELECT pg_terminate_backend(%(pid)s, 5000)"  # returns when it is gone
CANCEL = "SELECT pg_cancel_backend(%(pid)s)"


@pytest.fixture
async def full(dsn: str) -> AsyncIterator[Pool]:
    """The pool as the product opens it: 10 connections, up to 20."""
    async with open_pool(dsn) as opened:
        yield opened


@pytest.fixture
async def single(dsn: str) -> AsyncIterator[Pool]:
    async with open_pool(dsn, minsize=1, maxsize=1, wait_s=SAFETY_S) as opened:
        yield opened


async def pid_of(cursor: Cursor) -> int:
    await cursor.execute("SELECT pg_backend_pid()")
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def value(pool: Pool, sql: str) -> object:
    async with pool.cursor() as cursor:
        await cursor.execute(sql)
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


def strike(dsn: str, sql: str, *, pid: int | None = None) -> int:
    """Run `sql` on `pid`, or on every other session, while the event loop stands still."""
    with closing(connect(parameters(dsn))) as admin, admin.cursor() as cursor:
        cursor.execute(OTHERS)
        pids = [row[0] for row in cursor.fetchall()] if pid is None else [pid]
        for each in pids:
            cursor.execute(sql, {"pid": each})
    return len(pids)


async def begun(pool: Pool, sql: str) -> "asyncio.Task[object]":
    """Return a task that has a connection and runs `sql` on it."""
    free = pool.state().free
    task = asyncio.get_running_loop().create_task(value(pool, sql))
    async with asyncio.timeout(SAFETY_S):
        while pool.state().free == free:  # noqa: ASYNC110 - the pool has no event to wait for
            await asyncio.sleep(0)
    return task


async def hold_all(pool: Pool, number: int) -> list[int]:
    """Run `number` operations that all hold a connection at the same moment."""
    barrier = asyncio.Barrier(number)
    waiting: list[int] = []

    async def hold() -> None:
        async with pool.cursor() as cursor:
            await cursor.execute("SELECT 1")
            await barrier.wait()
            waiting.append(pool.state().waiting)

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as tasks:
        for _ in range(number):
            tasks.create_task(hold())
    return waiting


@pytest.mark.proves("S1.1", "SC-001")
async def test_twenty_operations_at_once_never_wait(full: Pool) -> None:
    waiting = await hold_all(full, 20)

    assert waiting == [0] * 20
    assert full.state() == PoolState(size=20, free=20, max=20, waiting=0)


@pytest.mark.proves("S1.2")
async def test_state_shows_how_many_are_free(full: Pool) -> None:
    async with full.cursor(), full.transaction():
        used = full.state()

    assert used == PoolState(size=10, free=8, max=20, waiting=0)
    assert full.state().free == 10


@pytest.mark.proves("S1.3")
async def test_ten_connections_are_there_before_the_first_statement(dsn: str) -> None:
    async with open_pool(dsn) as opened:
        state = opened.state()

    assert state == PoolState(size=10, free=10, max=20, waiting=0)


@pytest.mark.proves("S1.edge")
async def test_two_hundred_at_once_are_served_or_refused_and_the_pool_is_whole_after(
    full: Pool,
) -> None:
    release = asyncio.Event()
    outcomes: Counter[str] = Counter()

    async def operate() -> None:
        try:
            async with full.cursor() as cursor:
                await cursor.execute("SELECT 1")
                await release.wait()
            outcomes["served"] += 1
        except StoreBusy as exc:
            outcomes[f"refused, come back in {exc.retry_after_s} s"] += 1
            if outcomes.total() == 200 - 20 - 64:
                release.set()

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as tasks:
        for _ in range(200):
            tasks.create_task(operate())

    assert outcomes == {"served": 84, "refused, come back in 1.0 s": 116}
    state = full.state()
    assert (state.waits, state.refused) == (64, 116)
    assert state.waited_s > 0
    assert state.waiting == 0
    assert state.free == state.size
    assert await hold_all(full, 20) == [0] * 20


@pytest.mark.proves("S1.edge")
async def test_whoever_waits_too_long_is_refused_and_told_when_to_come_back(dsn: str) -> None:
    async with open_pool(dsn, minsize=1, maxsize=1, wait_s=0.01) as pool, pool.cursor():
        with pytest.raises(StoreBusy, match="came free within") as refused:
            await pool.ping()

        assert refused.value.retry_after_s == 1.0
        assert pool.state().waiting == 0


async def test_nobody_waits_when_nobody_may(dsn: str) -> None:
    async with open_pool(dsn, minsize=1, maxsize=1, max_waiting=0) as pool, pool.cursor():
        with pytest.raises(StoreBusy, match="already wait"):
            await pool.ping()


@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen by the loop"])
async def test_killed_idle_connections_heal_unnoticed(full: Pool, dsn: str, *, seen: bool) -> None:
    await hold_all(full, 20)

    killed = strike(dsn, KILL)
    if seen:
        await asyncio.sleep(0.05)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(40):
            tasks.create_task(full.ping())

    assert killed == 20
    assert full.state().waiting == 0
    assert await hold_all(full, 20) == [0] * 20


async def test_a_connection_killed_in_the_middle_is_down_and_the_pool_heals(
    single: Pool, dsn: str
) -> None:
    async with single.cursor() as cursor:
        pid = await pid_of(cursor)
        running = asyncio.ensure_future(cursor.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        strike(dsn, KILL, pid=pid)
        with pytest.raises(StoreDown):
            await running

    assert await value(single, "SELECT 1") == 1
    assert single.state() == PoolState(size=1, free=1, max=1, waiting=0)


async def test_a_statement_timeout_is_an_error_even_inside_a_task_group(single: Pool) -> None:
    async def too_long() -> None:
        async with single.transaction() as cursor:
            await cursor.execute("SET LOCAL statement_timeout = '10ms'")
            await cursor.execute("SELECT pg_sleep(60)")

    with pytest.raises(ExceptionGroup) as failed:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(too_long())

    assert isinstance(failed.value.exceptions[0], StoreTimeout)
    assert await value(single, "SELECT 1") == 1


async def test_a_statement_timeout_is_told_to_its_caller_and_not_logged_besides(
    single: Pool,
) -> None:
    with Logs.captured() as logs:
        async with single.cursor() as cursor:
            await cursor.execute("SET statement_timeout = '10ms'")
            with pytest.raises(StoreTimeout):
                await cursor.execute("SELECT pg_sleep(60)")

    assert logs.lines == []


async def test_a_cancelled_backend_is_a_timeout_and_keeps_its_connection(
    single: Pool, dsn: str
) -> None:
    async with single.cursor() as cursor:
        pid = await pid_of(cursor)
        running = asyncio.ensure_future(cursor.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        strike(dsn, CANCEL, pid=pid)
        with pytest.raises(StoreTimeout):
            await running

        assert await pid_of(cursor) == pid


async def test_a_statement_timeout_is_not_reported_a_second_time_by_the_event_loop(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def too_long(pool: Pool) -> None:
        async with pool.transaction() as cursor:
            await cursor.execute("SET LOCAL statement_timeout = '10ms'")
            await cursor.execute("SELECT pg_sleep(60)")

    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        with pytest.raises(StoreTimeout):
            await too_long(pool)

        asyncio.get_running_loop().call_exception_handler({"message": "somebody else's"})

    assert [record.getMessage() for record in caplog.records] == ["somebody else's"]


async def test_a_real_cancellation_stays_one(single: Pool) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), single.cursor() as cursor:
            await cursor.execute("SELECT pg_sleep(60)")

    assert await value(single, "SELECT 1") == 1


async def test_a_waiter_is_served_after_the_holder_was_cancelled(single: Pool) -> None:
    async def hold() -> None:
        async with single.cursor() as cursor:
            await cursor.execute("SELECT pg_sleep(60)")

    for steps in range(30):
        holder = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        waiter = asyncio.ensure_future(single.ping())
        for _ in range(steps):
            await asyncio.sleep(0)
        holder.cancel()
        async with asyncio.timeout(SAFETY_S):
            await asyncio.gather(holder, waiter, return_exceptions=True)

        assert holder.cancelled()
        assert waiter.exception() is None


async def test_a_lock_that_is_not_given_is_a_timeout(pool: Pool) -> None:
    async with pool.transaction() as holder, pool.transaction() as cursor:
        await holder.execute("LOCK TABLE leader")
        await cursor.execute("SET LOCAL lock_timeout = '10ms'")
        with pytest.raises(StoreTimeout, match="lock"):
            await cursor.execute("LOCK TABLE leader")
        await cursor.execute("ROLLBACK")


async def test_a_lost_race_between_transactions_may_be_tried_again(pool: Pool) -> None:
    change = "UPDATE trading_state SET reason = %(reason)s"

    async def lose() -> None:
        async with pool.transaction(isolation=Isolation.REPEATABLE_READ) as slow:
            await slow.execute("SELECT * FROM trading_state")
            async with pool.transaction() as fast:
                await fast.execute(change, {"reason": "fast"})
            await slow.execute(change, {"reason": "slow"})

    with pytest.raises(StoreBusy) as lost:
        await lose()

    assert lost.value.retryable
    assert lost.value.code == "40001"
    assert await value(pool, "SELECT reason FROM trading_state") == "fast"


async def fail(pool: Pool) -> None:
    """Store a reason, then break a constraint."""
    async with pool.transaction() as cursor:
        await cursor.execute("UPDATE trading_state SET reason = 'stored'")
        await cursor.execute("UPDATE trading_state SET state = 'ON FIRE'")


async def test_a_violated_constraint_passes_and_the_transaction_is_rolled_back(
    single: Pool,
) -> None:
    pid = await value(single, "SELECT pg_backend_pid()")

    with pytest.raises(psycopg2.IntegrityError):
        await fail(single)

    assert await value(single, "SELECT reason FROM trading_state") is None
    assert await value(single, "SELECT pg_backend_pid()") == pid


@pytest.mark.parametrize(
    "sql",
    [
        """
        INSERT INTO positions (market, volume, cost, realised_pnl, fees_paid, updated_at)
        VALUES ('KRW-BTC', %(held)s::numeric, -1, 0, 0, now())
        """,
        "SELECT %(held)s, volumes FROM positions",
        "SELECT (%(held)s || 'x')::numeric",
        "SELECT ('{\"volume\":' || %(held)s || ',,')::json",
    ],
    ids=["refused row", "misspelt column", "no number", "no JSON"],
)
async def test_what_postgresql_refuses_shows_nobodys_position_in_the_log(
    single: Pool, sql: str
) -> None:
    with Logs.captured() as logs:
        try:
            async with single.cursor() as cursor:
                await cursor.execute(sql, {"held": HELD})
        except psycopg2.Error as exc:
            logger.opt(exception=exc).error("a pass has a bug")
            plain = str(exc)

    assert HELD in plain
    assert logs.levels == ["ERROR"]
    assert HELD.encode() not in logs.raw


async def test_a_transaction_is_kept_when_it_ends_well(single: Pool) -> None:
    async with single.transaction() as cursor:
        await cursor.execute("UPDATE trading_state SET reason = 'stored'")
        changed = cursor.rowcount

    assert changed == 1
    assert await value(single, "SELECT reason FROM trading_state") == "stored"


async def test_a_swallowed_failure_does_not_look_like_a_commit(single: Pool) -> None:
    async def swallow() -> None:
        async with single.transaction() as cursor:
            await cursor.execute("UPDATE trading_state SET reason = 'stored'")
            with suppress(psycopg2.IntegrityError):
                await cursor.execute("UPDATE trading_state SET state = 'ON FIRE'")

    with pytest.raises(psycopg2.errors.InFailedSqlTransaction, match="swallowed"):
        await swallow()

    assert await value(single, "SELECT reason FROM trading_state") is None


async def test_a_cancelled_transaction_is_rolled_back(single: Pool) -> None:
    written = asyncio.Event()

    async def write() -> None:
        async with single.transaction() as cursor:
            await cursor.execute("UPDATE trading_state SET reason = 'stored'")
            written.set()
            await asyncio.Event().wait()

    writing = asyncio.get_running_loop().create_task(write())
    await written.wait()
    writing.cancel()
    await asyncio.wait({writing})

    assert writing.cancelled()
    assert await value(single, "SELECT reason FROM trading_state") is None


async def test_a_transaction_left_open_does_not_reach_the_next_user(single: Pool) -> None:
    async with single.cursor() as cursor:
        await cursor.execute("BEGIN")
        await cursor.execute("UPDATE trading_state SET reason = 'stored'")

    assert await value(single, "SELECT reason FROM trading_state") is None


async def test_a_cursor_kept_too_long_does_nothing(single: Pool) -> None:
    async with single.cursor() as cursor:
        kept = cursor

    with pytest.raises(psycopg2.InterfaceError):
        await kept.execute("UPDATE trading_state SET reason = 'stored'")

    assert await value(single, "SELECT reason FROM trading_state") is None


async def test_an_answer_lost_with_its_connection_is_an_outage_and_no_bug(
    single: Pool, dsn: str
) -> None:
    async with single.cursor() as cursor:
        pid = await pid_of(cursor)
        await cursor.execute("SELECT 1")
        strike(dsn, KILL, pid=pid)
        async with asyncio.timeout(SAFETY_S):
            while not cursor._connection.closed:  # type: ignore[attr-defined]  # noqa: ASYNC110 - aiopg tells nobody
                await asyncio.sleep(0)

        with pytest.raises(StoreDown, match="dropped the connection"):
            await cursor.fetchone()

    assert await value(single, "SELECT 1") == 1


async def test_a_commit_that_is_cut_off_says_so(single: Pool) -> None:
    async with single.cursor() as cursor:
        await cursor.execute(
            """
            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
            CREATE CONSTRAINT TRIGGER dies AFTER UPDATE ON trading_state
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()
            """
        )

    with pytest.raises(StoreDown):
        async with single.transaction() as cursor:
            await cursor.execute("UPDATE trading_state SET reason = 'stored'")

    assert await value(single, "SELECT 1") == 1


async def test_a_session_is_set_up(pool: Pool) -> None:
    expected = {
        "timezone": "UTC",
        "default_transaction_isolation": "read committed",
        "synchronous_commit": "on",
        "statement_timeout": "10s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "client_connection_check_interval": "2s",
        "application_name": "upbit-ai-trader",
        "client_encoding": "UTF8",
    }

    found = {name: await value(pool, f"SHOW {name}") for name in expected}

    assert found == expected


async def test_a_commit_waits_for_the_disk_whatever_the_server_and_the_address_say(
    dsn: str,
) -> None:
    """The tests' server says `off`, and so does this address; an order's row must not be lost."""
    lazy = make_dsn(dsn, options="-c synchronous_commit=off")

    async with open_pool(lazy, minsize=1, maxsize=1) as pool:
        pooled = await value(pool, "SHOW synchronous_commit")
    with closing(psycopg2.connect(dsn)) as bare, bare.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        default = cursor.fetchone()

    assert (pooled, default) == ("on", ("off",))


@pytest.mark.proves("FR-003")
async def test_a_transaction_has_the_isolation_it_asked_for(pool: Pool) -> None:
    found = []
    for isolation in Isolation:
        async with pool.transaction(isolation=isolation) as cursor:
            await cursor.execute("SHOW transaction_isolation")
            found.append(await cursor.fetchone())

    assert found == [("read committed",), ("repeatable read",), ("serializable",)]


@pytest.mark.proves("FR-003")
async def test_a_transaction_names_its_isolation_and_leaves_nothing_to_the_session(
    single: Pool,
) -> None:
    """FR-003."""
    async with single.cursor() as cursor:
        await cursor.execute("SET default_transaction_isolation TO serializable")

    async with single.transaction() as cursor:
        await cursor.execute("SHOW transaction_isolation")
        found = await cursor.fetchone()

    assert await value(single, "SHOW default_transaction_isolation") == "serializable"
    assert found == ("read committed",)


@pytest.mark.proves("FR-003")
async def test_isolation_is_ours_whatever_the_server_and_the_address_have_for_a_default(
    dsn: str,
) -> None:
    name = parameters(dsn)["dbname"]
    with closing(connect(parameters(dsn))) as admin, admin.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_isolation TO serializable")
    with closing(psycopg2.connect(dsn)) as stranger, stranger.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        default = cursor.fetchone()
    with closing(connect(parameters(dsn))) as blocking, blocking.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        in_threads = cursor.fetchone()
    address = f"{dsn}&options=-c%20default_transaction_isolation%3Dserializable"

    found = []
    for each in (dsn, address):
        async with open_pool(each, minsize=1, maxsize=1) as pool:
            found.append(await value(pool, "SHOW transaction_isolation"))
            async with pool.transaction() as inner:
                await inner.execute("SHOW transaction_isolation")
                found.append((await inner.fetchone() or (None,))[0])

    assert default == ("serializable",)
    assert in_threads == ("read committed",)
    assert found == ["read committed"] * 4


async def test_what_the_operator_sets_in_the_address_wins(dsn: str) -> None:
    async with open_pool(f"{dsn}&options=-c%20statement_timeout%3D1234", minsize=1) as pool:
        assert await value(pool, "SHOW statement_timeout") == "1234ms"
        assert await value(pool, "SHOW lock_timeout") == "5s"


async def test_closing_cuts_off_what_does_not_end(dsn: str) -> None:
    async with open_pool(dsn, minsize=2, close_s=0.01) as pool:
        running = await begun(pool, "SELECT pg_sleep(60)")

    with pytest.raises(StoreDown):
        await running
    with pytest.raises(StoreDown, match="being closed"):
        await pool.ping()


async def test_closing_waits_for_what_ends(dsn: str) -> None:
    async with open_pool(dsn, minsize=2) as pool:
        running = await begun(pool, "SELECT pg_sleep(0.05)")

    assert await running == ""
