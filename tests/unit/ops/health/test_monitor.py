import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from service.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    ModelRefused,
    ModelUnavailable,
    StoreBusy,
    StoreDown,
)
from service.domain.orders import OPEN, OrderStatus
from service.ops.health.components import SHOWN
from service.ops.health.monitor import SCHEDULES, HealthMonitor
from service.ops.health.probe import ProbeSchedule
from service.ops.health.reasons import REASONS, SENTENCES
from service.ports.health import JobState, PoolState, StuckOrders, TradingBody
from service.ports.queries import Activity
from tests.builders import T0
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.unit.ops.facts import a_job_state, an_open_order, some_activity

SECRET_TEXT = "never shown: canary"


@dataclass
class Outside:
    """Everything the prober asks; a test breaks what it likes."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(at=T0))
    errors: dict[str, BaseException] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)
    pool: PoolState = field(default_factory=lambda: PoolState(size=10, free=9, max=20, waiting=0))
    wait_ms: float | None = None
    lag: float = 0.0
    rows: Activity = field(default_factory=some_activity)
    jobs: list[JobState] = field(default_factory=list)
    trade: TradingBody = field(
        default_factory=lambda: TradingBody(state="ACTIVE", reason=None, since=None, age_seconds=0)
    )

    def asking(self, name: str) -> Callable[[], Any]:
        async def ask() -> None:
            self.asked.append(name)
            if event := self.hanging.get(name):
                await event.wait()
            if error := self.errors.get(name):
                raise error

        return ask

    async def ping(self) -> None:
        await self.asking("database")()

    def state(self) -> PoolState:
        return self.pool

    def wait_p95_ms(self) -> float | None:
        return self.wait_ms

    async def activity(self) -> Activity:
        await self.asking("activity")()
        return self.rows

    async def trading(self) -> TradingBody:
        await self.asking("trading")()
        return self.trade

    def states(self) -> list[JobState]:
        return self.jobs

    def health_monitor(self, **options: Any) -> HealthMonitor:
        return HealthMonitor(
            clock=self.clock,
            real_clock=self.clock,
            mode="sandbox",
            version="0.1.0",
            database=self,
            activity=self,
            jobs=self,
            upbit=self.asking("upbit_api"),
            gemini=self.asking("gemini_api"),
            trading=self.trading,
            lag_s=lambda: self.lag,
            **options,
        )

    async def look(self, health_monitor: HealthMonitor, times: int = 1) -> None:
        """Probe with every check due each time."""
        for _ in range(times):
            self.clock.pass_time(60)
            await health_monitor.probe()


@pytest.fixture
def outside() -> Outside:
    return Outside()


def reason(health_monitor: HealthMonitor, component: str) -> tuple[str, str | None]:
    part = health_monitor.body()["components"][component]
    return part["status"], part["reason"]


# --- the body -------------------------------------------------------------------------------------


@pytest.mark.proves("FR-008", "SC-005")
async def test_the_body_has_the_contracts_shape(outside: Outside) -> None:
    outside.jobs = [a_job_state(next_run_at=None)]
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    outside.clock.pass_time(2.5)

    at = "2026-01-24T09:00:00.000Z"
    assert json.loads(json.dumps(health_monitor.body())) == {
        "status": "healthy",
        "mode": "sandbox",
        "version": "0.1.0",
        "time": "2026-01-24T09:00:02.500Z",
        "uptime_seconds": 2,
        "trading": {"state": "ACTIVE", "reason": None, "since": None, "age_seconds": 0},
        "components": {
            "database": {
                "status": "healthy",
                "reason": None,
                "message": None,
                "latency_ms": 0.0,
                "checked_at": at,
                "pool": {"size": 10, "free": 9, "max": 20, "waiting": 0},
            },
            "upbit_api": {
                "status": "healthy",
                "reason": None,
                "message": None,
                "latency_ms": 0.0,
                "checked_at": at,
            },
            "gemini_api": {
                "status": "healthy",
                "reason": None,
                "message": None,
                "latency_ms": 0.0,
                "checked_at": at,
            },
            "scheduler": {
                "status": "healthy",
                "reason": None,
                "message": None,
                "checked_at": "2026-01-24T09:00:02.500Z",
                "jobs": {
                    "collect_market_data": {
                        "last_success_at": at,
                        "consecutive_failures": 0,
                        "next_run_at": None,
                    }
                },
            },
            "recent_signal": {
                "status": "healthy",
                "reason": None,
                "message": None,
                "last_at": at,
                "age_seconds": 2,
            },
            "recent_order": {
                "status": "healthy",
                "reason": None,
                "message": None,
                "last_at": at,
                "unknown_orders": 0,
                "open_orders": {
                    "PENDING": 0,
                    "SUBMITTED": 0,
                    "PARTIALLY_FILLED": 0,
                    "UNKNOWN": 0,
                },
                "stuck_orders": 0,
                "orders_aside": 0,
                "stuck": [],
            },
        },
    }


async def test_before_the_first_look_everything_asked_is_starting(outside: Outside) -> None:
    body = outside.health_monitor().body()

    reasons = {name: part["reason"] for name, part in body["components"].items()}
    assert reasons == {
        "database": "starting",
        "upbit_api": "starting",
        "gemini_api": "starting",
        "scheduler": None,
        "recent_signal": "starting",
        "recent_order": "starting",
    }
    assert body["status"] == "degraded"
    assert body["trading"] == {
        "state": "STANDBY",
        "reason": "starting",
        "since": None,
        "age_seconds": None,
    }


async def test_answering_asks_nobody(outside: Outside) -> None:
    health_monitor = outside.health_monitor()

    health_monitor.body()
    health_monitor.is_ready()

    assert outside.asked == []


async def test_the_body_fits_into_eight_kilobytes(outside: Outside) -> None:
    outside.jobs = [a_job_state(name=f"a_job_with_a_long_name_{n}") for n in range(20)]
    health_monitor = outside.health_monitor()
    outside.errors = dict.fromkeys(SCHEDULES, StoreDown())
    await outside.look(health_monitor, times=2)

    assert len(json.dumps(health_monitor.body())) <= 8192


# --- failures -------------------------------------------------------------------------------------


async def test_one_failure_may_be_chance_and_two_are_not(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    outside.errors["database"] = StoreDown(SECRET_TEXT)

    await outside.look(health_monitor)
    after_one = reason(health_monitor, "database")
    await outside.look(health_monitor)

    assert after_one == ("healthy", None)
    assert reason(health_monitor, "database") == ("unhealthy", "connection_refused")
    assert health_monitor.body()["status"] == "unhealthy"


async def test_one_success_heals(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    outside.errors["database"] = StoreDown()
    await outside.look(health_monitor, times=3)

    outside.errors.clear()
    await outside.look(health_monitor)

    assert reason(health_monitor, "database") == ("healthy", None)


async def test_a_first_look_that_fails_leaves_it_starting(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    outside.errors["upbit_api"] = ExchangeUnavailable(code="unreachable")

    await health_monitor.probe()

    assert reason(health_monitor, "upbit_api") == ("warning", "starting")


@pytest.mark.parametrize(
    ("component", "error", "expected"),
    [
        ("upbit_api", ExchangeUnavailable(code="banned"), "banned_until"),
        ("gemini_api", ModelRefused(code="auth_rejected"), "auth_rejected"),
        ("gemini_api", ModelRefused(code="quota_exhausted"), "quota_exhausted"),
    ],
)
async def test_a_definite_no_needs_no_second_one(
    outside: Outside, component: str, error: BaseException, expected: str
) -> None:
    health_monitor = outside.health_monitor()
    outside.errors[component] = error

    await health_monitor.probe()

    assert reason(health_monitor, component) == ("unhealthy", expected)
    assert health_monitor.body()["status"] == "degraded"


@pytest.mark.parametrize("component", ["upbit_api", "gemini_api"])
@pytest.mark.parametrize("expected", REASONS)
async def test_every_reason_can_be_shown_with_its_own_sentence(
    outside: Outside, component: str, expected: Any
) -> None:
    health_monitor = outside.health_monitor()
    outside.errors[component] = ExchangeUnavailable(SECRET_TEXT, code=expected)

    await outside.look(health_monitor, times=2)

    part = health_monitor.body()["components"][component]
    assert (part["reason"], part["message"]) == (expected, SENTENCES[expected])
    assert part["status"] != "healthy"
    assert "canary" not in json.dumps(health_monitor.body())


@pytest.mark.parametrize("component", ["database", "upbit_api", "gemini_api"])
async def test_a_question_that_hangs_is_given_up(outside: Outside, component: str) -> None:
    health_monitor = outside.health_monitor(
        schedules=dict.fromkeys(SCHEDULES, ProbeSchedule(5, 0.001)), patience_s=5
    )
    outside.hanging[component] = asyncio.Event()

    await outside.look(health_monitor, times=2)

    assert reason(health_monitor, component) == ("unhealthy", "timeout")
    assert health_monitor.body()["components"][component]["latency_ms"] is None


async def test_a_slow_answer_holds_up_no_other_question(outside: Outside) -> None:
    health_monitor = outside.health_monitor(patience_s=0.001)
    slow = outside.hanging["gemini_api"] = asyncio.Event()

    await outside.look(health_monitor, times=3)

    assert outside.asked.count("database") == 3
    assert outside.asked.count("gemini_api") == 1, "one question at a time"
    assert reason(health_monitor, "database") == ("healthy", None)
    slow.set()
    await outside.look(health_monitor)
    assert reason(health_monitor, "gemini_api") == ("healthy", None)


async def test_a_statement_the_server_cancelled_is_a_failure_and_not_our_end(
    outside: Outside,
) -> None:
    # aiopg raises CancelledError for it; nobody has cancelled us.
    health_monitor = outside.health_monitor()
    outside.errors["database"] = asyncio.CancelledError()

    await outside.look(health_monitor, times=2)

    assert reason(health_monitor, "database") == ("unhealthy", "timeout")


async def test_each_thing_is_asked_in_its_own_schedule(outside: Outside) -> None:
    health_monitor = outside.health_monitor()

    for _ in range(61):
        await health_monitor.probe()
        outside.clock.pass_time(1)

    counts = {name: outside.asked.count(name) for name in SCHEDULES}
    assert counts == {
        "database": 13, "upbit_api": 5, "gemini_api": 2, "activity": 7, "trading": 31,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("chance", "early_s", "due_s"), [(0.0, 13.4, 13.6), (1.0, 16.4, 16.6), (0.75, 15.6, 15.8)]
)
async def test_the_period_varies_by_a_tenth_at_most(
    outside: Outside, chance: float, early_s: float, due_s: float
) -> None:
    health_monitor = outside.health_monitor(chance=lambda: chance)
    counts = []
    for wait_s in (0.0, early_s, due_s - early_s):
        outside.clock.pass_time(wait_s)
        await health_monitor.probe()
        counts.append(outside.asked.count("upbit_api"))

    assert counts == [1, 1, 2]


async def test_each_period_varies_anew(outside: Outside) -> None:
    chances = itertools.cycle([0.0, 1.0])
    health_monitor = outside.health_monitor(
        chance=lambda: next(chances), schedules=dict.fromkeys(SCHEDULES, ProbeSchedule(10, 1))
    )
    asked_at = []
    for second in range(60):
        before = outside.asked.count("database")
        await health_monitor.probe()
        if outside.asked.count("database") > before:
            asked_at.append(second)
        outside.clock.pass_time(1)

    # Five questions take turns at the chances: the same one never has the same period twice.
    assert {b - a for a, b in itertools.pairwise(asked_at)} == {9, 11}


async def test_a_prober_that_stands_still_is_noticed(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()

    outside.clock.pass_time(3 * 5 + 1)
    still_fine = reason(health_monitor, "database")
    outside.clock.pass_time(1)

    assert still_fine == ("healthy", None)
    assert reason(health_monitor, "database") == ("unhealthy", "prober_stalled")
    outside.clock.pass_time(600)
    stalled = {name: part["reason"] for name, part in health_monitor.body()["components"].items()}
    assert stalled == {
        "database": "prober_stalled",
        "upbit_api": "prober_stalled",
        "gemini_api": "prober_stalled",
        "scheduler": None,
        "recent_signal": "prober_stalled",
        "recent_order": "prober_stalled",
    }


async def test_a_bug_in_a_check_is_a_failure_and_is_logged_once(
    outside: Outside, logs: Logs
) -> None:
    health_monitor = outside.health_monitor()
    outside.errors["upbit_api"] = KeyError("trade_price")

    await outside.look(health_monitor, times=4)

    assert reason(health_monitor, "upbit_api") == ("unhealthy", "bad_response")
    assert [line["error_type"] for line in logs.lines if "error_type" in line] == ["KeyError"]


# --- the pool -------------------------------------------------------------------------------------


async def test_a_pool_without_a_free_connection_is_a_warning(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    health_monitor.mark_reconciled()
    outside.pool = PoolState(size=20, free=0, max=20, waiting=3)

    await outside.look(health_monitor)
    once = reason(health_monitor, "database")
    await outside.look(health_monitor)

    assert once == ("healthy", None)
    assert reason(health_monitor, "database") == ("warning", "pool_exhausted")
    assert health_monitor.body()["components"]["database"]["pool"]["waiting"] == 3
    assert health_monitor.is_ready(), "busy is no reason to be taken out of service"


async def test_a_pool_that_can_still_grow_is_not_exhausted(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    outside.pool = PoolState(size=10, free=0, max=20, waiting=0)

    await outside.look(health_monitor, times=3)

    assert reason(health_monitor, "database") == ("healthy", None)


async def test_a_database_that_is_slow_because_the_pool_is_empty_says_so(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    outside.pool = PoolState(size=20, free=0, max=20, waiting=3)
    outside.errors["database"] = TimeoutError()

    await outside.look(health_monitor, times=2)

    assert reason(health_monitor, "database") == ("unhealthy", "pool_exhausted")


async def test_a_full_queue_for_the_pool_says_so(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    outside.errors["database"] = StoreBusy(retry_after_s=1)

    await outside.look(health_monitor, times=2)

    assert reason(health_monitor, "database") == ("unhealthy", "pool_exhausted")


async def test_callers_that_wait_long_for_a_connection_are_a_warning_at_the_second_look(
    outside: Outside,
) -> None:
    health_monitor = outside.health_monitor()
    seen = []
    for outside.wait_ms in (100.1, 100.0, 100.1, 100.1, None):
        await outside.look(health_monitor)
        seen.append(reason(health_monitor, "database"))

    fine, warned = ("healthy", None), ("warning", "pool_exhausted")
    assert seen == [fine, fine, fine, warned, fine]


# --- signals and orders ---------------------------------------------------------------------------


async def test_a_signals_age_grows_without_a_new_look(outside: Outside) -> None:
    outside.rows = some_activity(last_signal_at=T0 - timedelta(seconds=3590))
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    before = reason(health_monitor, "recent_signal")

    outside.clock.pass_time(11)

    assert before == ("healthy", None)
    part = health_monitor.body()["components"]["recent_signal"]
    assert (part["status"], part["reason"]) == ("warning", "signal_older_than_1h")
    assert part["age_seconds"] == 3601


async def test_the_hour_without_a_signal_counts_from_the_start(outside: Outside) -> None:
    outside.rows = some_activity(last_signal_at=None)
    health_monitor = outside.health_monitor(started_at=T0 - timedelta(hours=1))

    await health_monitor.probe()

    assert reason(health_monitor, "recent_signal") == ("warning", "no_signal_yet")


async def test_stuck_orders_are_counted_and_shown_with_what_to_do(outside: Outside) -> None:
    long_ago = T0 - timedelta(minutes=10)
    outside.rows = some_activity(
        open_orders={OrderStatus.UNKNOWN: 7, OrderStatus.SUBMITTED: 2},
        bounded=tuple(an_open_order(id=n, since=long_ago) for n in range(7)),
    )
    health_monitor = outside.health_monitor()
    await health_monitor.probe()

    part = health_monitor.body()["components"]["recent_order"]
    assert (part["status"], part["unknown_orders"]) == ("unhealthy", 7)
    assert part["open_orders"] == {
        "PENDING": 0, "SUBMITTED": 2, "PARTIALLY_FILLED": 0, "UNKNOWN": 7,
    }  # fmt: skip
    assert (part["stuck_orders"], len(part["stuck"])) == (7, SHOWN)
    assert part["stuck"][0] == {
        "id": 0,
        "identifier": "uat-1",
        "market": "KRW-BTC",
        "status": "UNKNOWN",
        "age_seconds": 600,
        "what_to_do": "Search the exchange's list of orders for its identifier;"
        " POST /api/v1/trading/orders/sync looks it up now. If it is not there after ten minutes,"
        " `trader order not-placed ID` ends it (POST /api/v1/trading/orders/ID/not-placed).",
    }
    assert health_monitor.body()["status"] == "degraded"


async def test_the_longest_body_stays_below_eight_kibibytes(outside: Outside) -> None:
    stuck = an_open_order(
        id=2**63 - 1, identifier="uat-" + "x" * 60, since=T0 - timedelta(days=999)
    )
    outside.rows = some_activity(
        open_orders=dict.fromkeys(OPEN, 2**31), bounded=(stuck,) * 100, bounded_total=2**31
    )
    health_monitor = outside.health_monitor()
    await health_monitor.probe()

    part = health_monitor.body()["components"]["recent_order"]

    assert len(json.dumps(part)) < 2500  # the jobs take most of the rest


async def test_stuck_orders_are_told_with_the_number_of_their_reading(outside: Outside) -> None:
    stuck, young = an_open_order(since=T0 - timedelta(minutes=2)), an_open_order(id=2)
    outside.rows = some_activity(bounded=(stuck, young))
    health_monitor = outside.health_monitor()
    before = health_monitor.stuck_orders()
    await health_monitor.probe()
    found = health_monitor.stuck_orders()
    outside.errors["activity"] = StoreDown()
    await outside.look(health_monitor, times=2)

    assert before is None
    assert found == StuckOrders((stuck,), is_whole=True, reading=1)
    assert health_monitor.stuck_orders() is None, "what was read before says nothing of now"


async def test_books_that_differ_are_shown_until_they_agree(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()

    health_monitor.note("recent_order", "reconcile_mismatch", holds=True)
    told, whole = reason(health_monitor, "recent_order"), health_monitor.body()["status"]
    health_monitor.note("recent_order", "reconcile_mismatch", holds=False)

    assert told == ("unhealthy", "reconcile_mismatch")
    assert whole == "degraded", "starting again would not help"
    assert reason(health_monitor, "recent_order") == ("healthy", None)


async def test_lost_notifications_are_a_warning_of_the_database_until_they_are_back(
    outside: Outside,
) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()

    health_monitor.note("database", "notifications_lost", holds=True)
    told, whole = reason(health_monitor, "database"), health_monitor.body()["status"]
    health_monitor.note("database", "notifications_lost", holds=False)

    assert (told, whole) == (("warning", "notifications_lost"), "degraded")
    assert reason(health_monitor, "database") == ("healthy", None)


async def test_a_process_too_busy_to_keep_time_is_unhealthy_as_a_whole(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    outside.lag = 5.5

    assert reason(health_monitor, "scheduler") == ("unhealthy", "event_loop_lag")
    assert health_monitor.body()["status"] == "unhealthy"


async def test_what_cannot_be_read_is_a_warning_with_the_last_known_facts(
    outside: Outside,
) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    outside.errors["activity"] = StoreDown()

    await outside.look(health_monitor, times=2)

    part = health_monitor.body()["components"]["recent_order"]
    assert (part["status"], part["reason"]) == ("warning", "connection_refused")
    assert part["last_at"] == "2026-01-24T09:00:00.000Z"


async def test_bad_news_that_is_known_is_not_hidden_by_failing_to_read_more(
    outside: Outside,
) -> None:
    outside.rows = some_activity(last_order_status=OrderStatus.FAILED)
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    outside.errors["activity"] = StoreDown()

    await outside.look(health_monitor, times=2)

    assert reason(health_monitor, "recent_order") == ("warning", "last_order_failed")


async def test_the_trading_state_stays_as_last_read(outside: Outside) -> None:
    outside.trade = {"state": "HALTED", "reason": "daily_loss", "since": None, "age_seconds": 0}
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    outside.errors["trading"] = StoreDown()

    await outside.look(health_monitor, times=2)

    assert health_monitor.body()["trading"]["state"] == "HALTED"


# --- real calls ---------------------------------------------------------------------------------


async def test_a_real_answer_saves_a_question(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    outside.asked.clear()

    outside.clock.pass_time(14)
    health_monitor.heard_from("upbit_api")
    outside.clock.pass_time(14)
    await health_monitor.probe()

    assert "upbit_api" not in outside.asked
    assert reason(health_monitor, "upbit_api") == ("healthy", None)


async def test_real_failures_count(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()

    health_monitor.heard_from("upbit_api", error=ExchangeUnavailable(code="timeout"))
    health_monitor.heard_from("upbit_api", error=ExchangeUnavailable(code="timeout"))

    assert reason(health_monitor, "upbit_api") == ("unhealthy", "timeout")


async def test_only_a_real_answer_tells_that_the_quota_is_back(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    health_monitor.heard_from("gemini_api", error=ModelRefused(code="quota_exhausted"))

    await outside.look(health_monitor, times=2)
    asked_for_its_name = reason(health_monitor, "gemini_api")
    health_monitor.heard_from("gemini_api")

    assert asked_for_its_name == ("unhealthy", "quota_exhausted")
    assert reason(health_monitor, "gemini_api") == ("healthy", None)


async def test_other_real_failures_are_healed_by_a_question(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    health_monitor.heard_from("gemini_api", error=ModelUnavailable(code="timeout"))
    health_monitor.heard_from("gemini_api", error=ModelUnavailable(code="timeout"))

    await outside.look(health_monitor)

    assert reason(health_monitor, "gemini_api") == ("healthy", None)


def called(health_monitor: HealthMonitor, *, well: int, errors: int = 0, unusable: int = 0) -> None:
    for _ in range(errors):
        health_monitor.heard_from("gemini_api", error=ModelUnavailable(code="timeout"))
        health_monitor.heard_from("gemini_api")  # one between two failures: no outage
        well -= 1
    for _ in range(unusable):
        health_monitor.heard_from("gemini_api", usable=False)
    for _ in range(well):
        health_monitor.heard_from("gemini_api")


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ({"well": 8, "errors": 2}, ("warning", "timeout")),
        ({"well": 8, "unusable": 2}, ("warning", "bad_response")),
        ({"well": 16, "errors": 1, "unusable": 3}, ("warning", "bad_response")),
        ({"well": 9, "errors": 1}, ("healthy", None)),
        ({"well": 17, "errors": 4}, ("healthy", None)),
        ({"well": 5, "errors": 4}, ("healthy", None)),
    ],
)
async def test_a_fifth_of_ten_calls_in_vain_is_a_warning(
    outside: Outside, calls: dict[str, int], expected: tuple[str, str | None]
) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()

    called(health_monitor, **calls)

    assert reason(health_monitor, "gemini_api") == expected


async def test_calls_of_long_ago_and_probes_do_not_count(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    await health_monitor.probe()
    called(health_monitor, well=0, unusable=10)
    warned = reason(health_monitor, "gemini_api")

    outside.clock.pass_time(6 * 3600 + 1)
    await outside.look(health_monitor, times=2)
    called(health_monitor, well=9)

    assert warned == ("warning", "bad_response")
    assert reason(health_monitor, "gemini_api") == ("healthy", None)


async def test_an_outage_says_more_than_a_rate(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    called(health_monitor, well=0, unusable=10)
    outside.errors["gemini_api"] = ModelUnavailable(code="unreachable")

    await outside.look(health_monitor, times=2)

    assert reason(health_monitor, "gemini_api") == ("unhealthy", "connection_refused")


# --- what is left alone -----------------------------------------------------------------------


@pytest.mark.parametrize("component", ["upbit_api", "gemini_api"])
async def test_what_is_left_alone_says_so_while_it_is(outside: Outside, component: str) -> None:
    is_open = True
    health_monitor = outside.health_monitor(circuits={component: lambda: is_open})
    await health_monitor.probe()
    told = {name: reason(health_monitor, name) for name in ("upbit_api", "gemini_api")}

    is_open = False

    other = {"upbit_api": "gemini_api", "gemini_api": "upbit_api"}[component]
    assert told == {component: ("unhealthy", "circuit_open"), other: ("healthy", None)}
    assert reason(health_monitor, component) == ("healthy", None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("timeout", "circuit_open"), ("auth_rejected", "auth_rejected"), ("banned", "banned_until")],
)
async def test_a_cause_that_is_certain_is_told_rather_than_that_nobody_asks(
    outside: Outside, code: str, expected: str
) -> None:
    health_monitor = outside.health_monitor(circuits={"upbit_api": lambda: True})
    outside.errors["upbit_api"] = ExchangeUnavailable(code=code)

    await outside.look(health_monitor, times=2)

    assert reason(health_monitor, "upbit_api") == ("unhealthy", expected)


# --- ready, and what is told ---------------------------------------------------------------------


async def test_ready_needs_the_database_and_the_reconciliation_and_no_end(
    outside: Outside,
) -> None:
    health_monitor = outside.health_monitor()
    answers = [health_monitor.is_ready()]
    health_monitor.mark_reconciled()
    answers.append(health_monitor.is_ready())
    await health_monitor.probe()
    answers.append(health_monitor.is_ready())
    health_monitor.mark_draining()
    answers.append(health_monitor.is_ready())

    assert answers == [False, False, True, False]


async def test_ready_ends_with_the_database_and_comes_back_with_it(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    health_monitor.mark_reconciled()
    outside.errors["database"] = StoreDown()
    await outside.look(health_monitor, times=2)
    down = health_monitor.is_ready()

    outside.errors.clear()
    await outside.look(health_monitor)

    assert not down
    assert health_monitor.is_ready()


async def test_an_outage_of_upbit_and_gemini_leaves_it_ready(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    health_monitor.mark_reconciled()
    outside.errors = {"upbit_api": OSError(), "gemini_api": OSError()}

    await outside.look(health_monitor, times=2)

    assert health_monitor.is_ready()
    assert health_monitor.body()["status"] == "degraded"


async def test_the_end_leaves_no_question_behind(outside: Outside) -> None:
    health_monitor = outside.health_monitor(patience_s=0.001)
    outside.hanging["gemini_api"] = asyncio.Event()
    await health_monitor.probe()
    before = len(outside.asked)

    health_monitor.mark_draining()
    await outside.look(health_monitor)

    assert len(outside.asked) == before
    assert not [t for t in asyncio.all_tasks() if "Probe" in repr(t.get_coro())]


async def test_a_change_of_status_is_told_once(outside: Outside, logs: Logs) -> None:
    health_monitor = outside.health_monitor()
    await outside.look(health_monitor, times=3)
    outside.errors["database"] = StoreDown(SECRET_TEXT)
    await outside.look(health_monitor, times=5)
    outside.errors.clear()
    await outside.look(health_monitor, times=3)

    told = [
        (line["level"], line["component"], line["status"], line["reason"]) for line in logs.lines
    ]
    assert told == [
        ("ERROR", "database", "unhealthy", "connection_refused"),
        ("INFO", "database", "healthy", None),
    ]
    assert {line["event"] for line in logs.lines} == {"app"}


# --- real calls that are no probes ----------------------------------------------------------------


async def test_a_database_that_only_reads_is_told_by_its_writes_and_healed_by_one(
    outside: Outside,
) -> None:
    health_monitor = outside.health_monitor()
    await outside.look(health_monitor)

    health_monitor.heard_from("database", error=StoreDown("read-only", code="25006"))
    await outside.look(health_monitor, times=3)
    told = reason(health_monitor, "database")
    health_monitor.proved("database")

    assert told == ("unhealthy", "disk_full")
    assert reason(health_monitor, "database") == ("healthy", None)


async def test_a_call_that_proves_the_database_well_does_not_keep_us_from_measuring_it(
    outside: Outside,
) -> None:
    health_monitor = outside.health_monitor()
    for _ in range(10):
        health_monitor.proved("database")
        outside.clock.pass_time(3)
        await health_monitor.probe()

    assert outside.asked.count("database") >= 5


async def test_prices_that_come_again_have_the_exchange_looked_at_at_once(
    outside: Outside,
) -> None:
    health_monitor = outside.health_monitor()
    outside.errors["upbit_api"] = ExchangeUnavailable("Upbit answered 503", code="http_503")
    await outside.look(health_monitor, times=2)
    told = reason(health_monitor, "upbit_api")
    outside.errors.clear()

    health_monitor.seems_well("upbit_api")
    outside.clock.pass_time(1)
    await health_monitor.probe()

    assert told == ("unhealthy", "bad_response")
    assert reason(health_monitor, "upbit_api") == ("healthy", None)


async def test_prices_do_not_heal_a_rejected_key(outside: Outside) -> None:
    health_monitor = outside.health_monitor()
    outside.errors["upbit_api"] = ExchangeRefused("no", code="no_authorization_ip")
    await outside.look(health_monitor)

    health_monitor.seems_well("upbit_api")
    outside.clock.pass_time(1)
    await health_monitor.probe()

    assert reason(health_monitor, "upbit_api") == ("unhealthy", "auth_rejected")
