"""What the running service finds wrong with itself: told once, and shown in health."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.app.checks.finding import fail, ok, warn
from service.app.self_check import SelfCheck, tell
from service.config import Config, Mode
from service.domain.errors import ExchangeRefused, ExchangeUnavailable, StoreDown
from service.domain.key_answers import KeyAnswer
from service.flows.clock_guard import ClockGuard
from service.flows.key_guard import KeyGuard
from service.ops.health.monitor import HealthMonitor
from service.ports.health import ComponentBody
from tests.fakes.account import FakeAccount
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.fakes.state import FakeTradingState
from tests.unit.ops.health.test_monitor import Outside

FOUND = "the self-check has found something"
WELL = "the self-check finds it well again"


@pytest.fixture
def account() -> FakeAccount:
    account = FakeAccount()
    account.ends_at = datetime.now(UTC) + timedelta(days=200)
    return account


@pytest.fixture
async def health_monitor() -> HealthMonitor:
    health_monitor = Outside().health_monitor()
    await health_monitor.probe()
    return health_monitor


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def state() -> FakeTradingState:
    return FakeTradingState()


@pytest.fixture
def clock_guard(clock: FakeClock, state: FakeTradingState) -> ClockGuard:
    return ClockGuard(state=state, clock=clock, real_clock=clock, leads=lambda: True)


@pytest.fixture
def key_guard(clock: FakeClock, state: FakeTradingState) -> KeyGuard:
    return KeyGuard(state=state, clock=clock, real_clock=clock, leads=lambda: True)


@pytest.fixture
def check(
    account: FakeAccount,
    health_monitor: HealthMonitor,
    clock_guard: ClockGuard,
    key_guard: KeyGuard,
    tmp_path: Path,
) -> SelfCheck:
    config = Config(
        mode=Mode.SANDBOX,
        data_dir=tmp_path,
        upbit_base_url="http://127.0.0.1:1",
        upbit_access_key="a-key",
        upbit_secret_key="a-secret",
        gemini_base_url="http://127.0.0.1:1",
    )
    return SelfCheck(
        config=config,
        account=account,
        health_monitor=health_monitor,
        clock_guard=clock_guard,
        key_guard=key_guard,
    )


def upbit(health_monitor: HealthMonitor) -> ComponentBody:
    return health_monitor.body()["components"]["upbit_api"]


def test_what_is_ok_is_not_told_and_the_rest_is_a_line_each(logs: Logs) -> None:
    tell([ok("port", "free"), warn("disk", "little room", "make some"), fail("upbit", "away")])

    assert logs.levels == ["WARNING", "ERROR"]
    assert logs.messages == [FOUND, FOUND]
    assert [(line["check"], line["found"], line["remedy"]) for line in logs.lines] == [
        ("disk", "little room", "make some"),
        ("upbit", "away", None),
    ]
    assert {line["event"] for line in logs.lines} == {"app"}


async def test_one_odd_date_is_no_skew_and_two_in_a_row_are(
    check: SelfCheck, account: FakeAccount, health_monitor: HealthMonitor, logs: Logs
) -> None:
    account.clock_skew_s = 9.0
    await check.clock()
    once = upbit(health_monitor)
    await check.clock()
    twice = upbit(health_monitor)
    await check.clock()

    assert (once["status"], once["reason"]) == ("healthy", None)
    assert (twice["status"], twice["reason"]) == ("warning", "clock_skew")
    assert logs.messages == [FOUND]


async def test_a_clock_that_was_set_right_heals_at_once(
    check: SelfCheck, account: FakeAccount, health_monitor: HealthMonitor, logs: Logs
) -> None:
    account.clock_skew_s = -40.0
    await check.clock()
    await check.clock()
    account.clock_skew_s = 0.0
    await check.clock()
    account.clock_skew_s = -40.0
    await check.clock()

    assert upbit(health_monitor)["status"] == "healthy"
    assert logs.messages == [FOUND, WELL]
    assert logs.levels == ["ERROR", "INFO"]


async def test_an_exchange_that_has_not_told_the_time_is_no_news(
    check: SelfCheck, account: FakeAccount, health_monitor: HealthMonitor, logs: Logs
) -> None:
    account.clock_skew_s = None

    await check.clock()
    await check.clock()

    assert upbit(health_monitor)["status"] == "healthy"
    assert logs.lines == []


async def test_a_clock_that_is_far_off_halts_trading_and_a_store_that_is_away_is_asked_again(
    check: SelfCheck, account: FakeAccount, clock: FakeClock, state: FakeTradingState
) -> None:
    account.clock_skew_s = 40.0
    for _ in range(4):
        await check.clock()
        clock.pass_time(5)
    before = state.now.state
    state.fail = StoreDown("away")
    with pytest.raises(StoreDown):
        await check.clock()
    state.fail, account.clock_skew_s = None, None
    await check.clock()

    assert before == "ACTIVE"
    assert (state.now.state, state.now.reason) == ("REDUCING", "clock_skew")


@pytest.mark.parametrize(
    ("days", "shown", "told"),
    [
        (29, ("warning", "key_expiring"), ["WARNING"]),
        (-1, ("unhealthy", "key_expired"), ["ERROR"]),
        (40, ("healthy", None), []),
    ],
)
async def test_a_key_that_ends_soon_is_shown_and_told_once(
    check: SelfCheck, account: FakeAccount, health_monitor: HealthMonitor, *, logs: Logs,
    days: int, shown: tuple[str, str | None], told: list[str],
) -> None:  # fmt: skip
    account.ends_at = datetime.now(UTC) + timedelta(days=days)

    await check.key()
    await check.key()

    assert (upbit(health_monitor)["status"], upbit(health_monitor)["reason"]) == shown
    assert logs.levels == told


async def test_a_new_key_heals(
    check: SelfCheck, account: FakeAccount, health_monitor: HealthMonitor
) -> None:
    renewed, account.ends_at = account.ends_at, datetime.now(UTC) + timedelta(days=3)
    await check.key()
    account.ends_at = renewed
    await check.key()

    assert upbit(health_monitor)["status"] == "healthy"


@pytest.mark.parametrize(
    "error", [ExchangeRefused("Upbit refused: x"), ExchangeUnavailable("Upbit did not answer")]
)
async def test_an_end_that_cannot_be_asked_for_keeps_what_was_known(
    check: SelfCheck,
    account: FakeAccount,
    health_monitor: HealthMonitor,
    error: ExchangeRefused | ExchangeUnavailable,
) -> None:
    account.ends_at = datetime.now(UTC) + timedelta(days=3)
    await check.key()
    account.error = error
    await check.key()

    assert upbit(health_monitor)["reason"] == "key_expiring"


async def test_a_real_failure_says_more_than_a_noted_one(
    check: SelfCheck, account: FakeAccount, health_monitor: HealthMonitor
) -> None:
    account.ends_at = datetime.now(UTC) + timedelta(days=3)
    await check.key()
    health_monitor.heard_from("upbit_api", error=ExchangeRefused("no", code="jwt_verification"))

    assert upbit(health_monitor)["reason"] == "auth_rejected"


async def test_answers_that_reject_the_key_halt_purchases_without_a_request(
    check: SelfCheck, account: FakeAccount, state: FakeTradingState
) -> None:
    rejected = KeyAnswer(endpoint="GET /v1/accounts", refusal="expired_access_key")
    account.key_answers = [rejected, rejected]

    await check.rejections()

    assert [(halt.reason, halt.ends) for halt in state.halts] == [("key_rejected", "condition")]
    assert account.asked == 0


async def test_our_own_sandbox_is_not_asked(
    account: FakeAccount,
    health_monitor: HealthMonitor,
    clock_guard: ClockGuard,
    key_guard: KeyGuard,
    tmp_path: Path,
) -> None:
    check = SelfCheck(
        config=Config(data_dir=tmp_path),
        account=account,
        health_monitor=health_monitor,
        clock_guard=clock_guard,
        key_guard=key_guard,
    )

    await check.key()

    assert account.asked == 0


async def test_the_machine_was_told_before_the_start_and_only_changes_are_news(
    check: SelfCheck, tmp_path: Path, logs: Logs
) -> None:
    await check.machine()
    same = list(logs.messages)
    os.chmod(tmp_path, 0o777)  # noqa: PTH101 - in a coroutine, where Path is told off
    await check.machine()
    await check.machine()
    os.chmod(tmp_path, 0o700)  # noqa: PTH101 - as above
    await check.machine()

    assert same == []
    assert logs.messages == [FOUND, WELL]


def test_every_look_repeats_without_being_a_job(check: SelfCheck) -> None:
    loops = check.loops()

    assert {loop.name for loop in loops} == {
        "check.clock",
        "check.machine",
        "check.key",
        "check.rejections",
    }
    assert not any(loop.is_job for loop in loops)
