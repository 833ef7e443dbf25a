"""Two processes at once on one database: no update is lost, and the loser of a race gets an error.

Each test holds a lock until all others wait for it: so none is first by chance.
docs/database.md lists every write; bookings, orders, snapshots, settings and the lease have tests
of their own, beside what else is told of them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from service.domain.alerts import Alert, Recovery
from service.domain.errors import DomainError, StoreBusy
from service.domain.latency import Sketch
from service.domain.markets import Market
from service.domain.risk.verdicts import Held, Verdict
from service.domain.trading_states import TradingStatus
from service.flows.alerts.rules import risk_notices
from service.loops.loop import Loop, every
from service.loops.runner import Runner
from service.ops.metrics.recorder import Recorder
from service.ops.metrics.requests import RequestMeter
from service.store.database.pool import Pool, open_pool
from service.store.tables.alerts import PgAlerts
from service.store.tables.lease import PgLease
from service.store.tables.metrics import PgMetricRows
from service.store.tables.signals import PgSignals
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC, T0
from tests.fakes.clock import FakeClock
from tests.integration.store.seeds import (
    a_stored_signal,
    an_allowed,
    rows,
    until_locked_out,
)

SAFETY_S = 20
STATE, LEASE = "SELECT FROM trading_state FOR UPDATE", "SELECT FROM leader FOR UPDATE"


@pytest.fixture
async def processes(dsn: str) -> AsyncIterator[Sequence[Pool]]:
    """What two processes have each: a pool of their own, whose waiters outlive a busy machine."""
    patient = f"{dsn}&options=-c%20lock_timeout%3D60s%20-c%20statement_timeout%3D60s"
    async with open_pool(patient, minsize=1) as one, open_pool(patient, minsize=1) as other:
        yield (one, other)


# --- read, changed, written back ------------------------------------------------------------------


async def test_halts_and_their_ends_at_once_are_one_story(
    processes: Sequence[Pool], pool: Pool
) -> None:
    states = [PgTradingState(each, notices=risk_notices) for each in processes]
    who: dict[str, Any] = {"reason": "clock_skew", "actor": "system:clock", "at": T0, "detail": {}}
    halt = partial(PgTradingState.halt, kind=TradingStatus.REDUCING, ends="condition")

    done: list[bool] = []
    for change in (halt, PgTradingState.resume, halt):
        async with asyncio.TaskGroup() as group, pool.transaction() as holder:
            await holder.execute(STATE)
            tasks = [group.create_task(change(state, **who)) for state in states for _ in range(4)]
            await until_locked_out(pool, len(tasks))
        done.extend(task.result() for task in tasks)
    # And crosswise, as it comes.
    for _ in range(10):
        crossing = (
            change(state, **who) for state in states for change in (PgTradingState.resume, halt)
        )
        done.extend(await asyncio.gather(*crossing))

    events = [event for (event,) in await rows(pool, "SELECT event FROM risk_events ORDER BY id")]
    assert events[0] == "HALTED"
    assert all(before != after for before, after in pairwise(events))
    assert len(events) == sum(done)
    assert (await states[0].trading_state()).state == ("REDUCING" if len(events) % 2 else "ACTIVE")
    told = await rows(pool, "SELECT kind FROM alerts ORDER BY id")
    assert [kind for (kind,) in told] == [
        {"HALTED": "PROBLEM", "RESUMED": "RECOVERY"}[event] for event in events
    ]


async def test_halts_of_two_markets_at_once_are_both_in_the_sum(
    processes: Sequence[Pool], pool: Pool
) -> None:
    states, markets = [PgTradingState(each) for each in processes], [KRW_BTC, Market("KRW", "ETH")]
    what: dict[str, Any] = {"kind": TradingStatus.REDUCING, "actor": "system:books", "at": T0}

    async with asyncio.TaskGroup() as group, pool.transaction() as holder:
        await holder.execute(STATE)
        for state, market in zip(states, markets, strict=True):
            group.create_task(state.halt(**what, reason="books", detail={}, market=market))
        await until_locked_out(pool, len(markets))

    assert (await states[0].trading_state()).reducing_markets == frozenset(markets)


async def test_two_recorders_that_merge_into_the_same_minute_lose_no_request(
    processes: Sequence[Pool], pool: Pool
) -> None:
    clock, all_of_it = FakeClock(), Sketch()
    meters = [RequestMeter(clock) for _ in processes]
    recorders = [
        Recorder(requests=meter, rows=PgMetricRows(each), real_clock=clock)
        for meter, each in zip(meters, processes, strict=True)
    ]

    def answer(*seconds: float) -> None:
        for n, took_s in enumerate(seconds):
            began = meters[n % 2].began()
            clock.pass_time(took_s)
            meters[n % 2].answered(began, route="/x", method="GET", status=200)
            all_of_it.add(took_s * 1000)

    answer(0.001, 0.002)
    await recorders[0].flush()
    async with asyncio.TaskGroup() as group, pool.transaction() as holder:
        await holder.execute("SELECT FROM request_stats FOR UPDATE")
        answer(0.001, 0.004, 0.008, 0.008)
        for recorder in recorders:
            group.create_task(recorder.flush())
        await until_locked_out(pool, 2)

    kept = await rows(
        pool, "SELECT minutes, count, sum_ms, max_ms, buckets, counts FROM request_stats"
    )
    assert {minutes for minutes, *_ in kept} == {1, 60}
    for _, count, sum_ms, max_ms, buckets, counts in kept:
        assert count == all_of_it.count == 6
        assert sum_ms == pytest.approx(all_of_it.sum_ms)
        assert max_ms == pytest.approx(all_of_it.max_ms)
        assert dict(zip(buckets, counts, strict=True)) == all_of_it.buckets


async def test_a_problem_that_two_processes_see_and_see_end_at_once_is_counted_to_the_last(
    processes: Sequence[Pool], pool: Pool
) -> None:
    outboxes = [PgAlerts(each) for each in processes]
    seen = Alert(key="k", severity="error", title="t", body="b", at=T0)
    over = Recovery(key="k", title="over", at=T0 + timedelta(minutes=1))
    await outboxes[0].put(seen)

    async with asyncio.TaskGroup() as group, pool.transaction() as holder:
        await holder.execute("SELECT FROM alerts FOR UPDATE")
        for n in range(8):
            for outbox in outboxes:
                group.create_task(outbox.put(over if n % 4 == 3 else seen))
        await until_locked_out(pool, 16)

    problems = await rows(
        pool,
        "SELECT id, occurrences, recovered_at IS NULL FROM alerts WHERE kind = 'PROBLEM'"
        " ORDER BY id",
    )
    ends = await rows(pool, "SELECT about FROM alerts WHERE kind = 'RECOVERY' ORDER BY about")
    assert sum(occurrences for _, occurrences, _ in problems) == 13
    assert [number for number, _, is_open in problems if not is_open] == [a for (a,) in ends]
    assert sum(is_open for *_, is_open in problems) <= 1


async def test_news_that_two_processes_have_at_once_is_told_once(
    processes: Sequence[Pool], pool: Pool
) -> None:
    news = Alert(key="k", severity="warning", title="t", body="b", at=T0, lasts=False)
    await PgAlerts(pool).put(news)

    async with asyncio.TaskGroup() as group, pool.transaction() as holder:
        # What was told becomes too old to be counted on, while both look at it.
        await holder.execute("UPDATE alerts SET queued_at = queued_at - interval '1 day'")
        for each in processes:
            group.create_task(PgAlerts(each).put(news))
        await until_locked_out(pool, 2)

    assert await rows(pool, "SELECT occurrences FROM alerts ORDER BY id") == [(1,), (2,)]


async def test_of_two_verdicts_at_once_one_stands_and_the_other_is_told(
    processes: Sequence[Pool], pool: Pool
) -> None:
    signal = await a_stored_signal(pool)
    verdicts: tuple[Verdict, ...] = (Held(), an_allowed())

    async with asyncio.TaskGroup() as group, pool.transaction() as holder:
        await holder.execute("SELECT FROM trading_signals FOR UPDATE")
        deciding = [
            group.create_task(decided(PgSignals(each), signal.id, verdict))
            for each, verdict in zip(processes, verdicts, strict=True)
        ]
        await until_locked_out(pool, 2)

    told = [task.result() for task in deciding]
    stood = await rows(pool, "SELECT verdict FROM decisions")
    assert sorted(told) == ["decided otherwise", "stored"]
    assert stood == [(("HELD", "ALLOWED")[told.index("stored")],)]


async def decided(signals: PgSignals, signal_id: int, verdict: Verdict) -> str:
    try:
        await signals.add_decision(signal_id=signal_id, verdict=verdict, at=T0)
    except DomainError:
        return "decided otherwise"
    return "stored"


async def test_of_two_processes_that_wait_for_a_lapsed_lease_one_takes_it(
    processes: Sequence[Pool], pool: Pool
) -> None:
    await PgLease(pool, owner="gone", ttl_s=0).acquire()
    leases = [PgLease(each, owner=f"p{n}", ttl_s=60) for n, each in enumerate(processes)]

    async with asyncio.TaskGroup() as group, pool.transaction() as holder:
        await holder.execute(LEASE)
        takeovers = [group.create_task(lease.acquire()) for lease in leases]
        await until_locked_out(pool, 2)

    assert sorted((task.result() for task in takeovers), key=bool) == [None, 2]


# --- locked crosswise -----------------------------------------------------------------------------


@pytest.fixture
async def with_a_lease(pool: Pool) -> None:
    await PgLease(pool, owner="one", ttl_s=60).acquire()


@pytest.mark.usefixtures("with_a_lease")
async def test_of_two_transactions_that_lock_crosswise_one_is_told_to_try_again(
    processes: Sequence[Pool], pool: Pool
) -> None:
    """A real deadlock: PostgreSQL ends one of the two, and the other one's work is kept."""
    both = asyncio.Barrier(2)

    async def transaction(each: Pool, first: str, then: str) -> None:
        async with each.transaction() as cursor:
            await cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
            await cursor.execute(first)
            await both.wait()
            await cursor.execute(then)
            await cursor.execute("UPDATE leader SET epoch = epoch + 1")

    async with asyncio.timeout(SAFETY_S):
        ended = await asyncio.gather(
            transaction(processes[0], STATE, LEASE),
            transaction(processes[1], LEASE, STATE),
            return_exceptions=True,
        )

    (lost,) = [exc for exc in ended if exc is not None]
    assert isinstance(lost, StoreBusy)
    assert (lost.retryable, lost.retry_after_s, lost.code) == (True, 1.0, "40P01")
    assert await rows(pool, "SELECT epoch FROM leader") == [(2,)]
    assert all(each.state().free == each.state().size for each in processes)


@pytest.mark.usefixtures("with_a_lease")
async def test_a_jobs_pass_that_loses_to_a_deadlock_is_made_again_as_a_whole(
    processes: Sequence[Pool], pool: Pool
) -> None:
    ours, theirs = processes
    runner = Runner(clock=FakeClock(), real_clock=FakeClock(), new_id=lambda: "run-1")
    attempts = 0
    crossed = asyncio.Event()

    async def step() -> None:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            # A retry at once may lock `leader` before the other one wakes up, and lose again.
            await crossed.wait()
        async with ours.transaction() as cursor:
            # The first process to look is ended.
            await cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
            await cursor.execute("UPDATE leader SET epoch = epoch + 1")
            if attempts == 1:
                await stand_in_the_way()
            await cursor.execute("UPDATE trading_state SET reason = 'ours'")
        runner.stop()

    async def stand_in_the_way() -> None:
        holds = asyncio.Event()

        async def cross() -> None:
            async with theirs.transaction() as cursor:
                await cursor.execute("SET LOCAL deadlock_timeout = '1min'")
                await cursor.execute(STATE)
                holds.set()
                await cursor.execute(LEASE)
            crossed.set()

        group.create_task(cross())
        await holds.wait()
        await until_locked_out(pool, 1)

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as group:
        await runner.run(Loop(name="job", every=every(seconds=10), step=step))

    (state,) = runner.states()
    assert (attempts, state.runs, state.last_error) == (2, 1, None)
    assert await rows(pool, "SELECT epoch FROM leader") == [(2,)]
    assert await rows(pool, "SELECT reason FROM trading_state") == [("ours",)]
