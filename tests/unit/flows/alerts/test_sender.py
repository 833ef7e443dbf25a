"""One pass of `send_alerts` on fakes."""

import asyncio
from collections import Counter

import pytest

from service.domain.alerts import MAX_ATTEMPTS, Alert, Severity
from service.domain.errors import StoreDown
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.alerts.sender import TARGET_S, AlertSender
from service.settings.settings import Settings
from tests.builders import T0
from tests.fakes.alerts import FakeOutbox, FakeTarget
from tests.fakes.clock import FakeClock
from tests.fakes.health import FakeHealth
from tests.fakes.logs import Logs
from tests.fakes.setting_rows import FakeSettingRows


class Office:
    """A courier on fakes."""

    def __init__(self, *targets: FakeTarget, alone: bool = True) -> None:
        self.clock = FakeClock()
        self.outbox = FakeOutbox()
        self.alert_buffer = AlertBuffer()
        self.health = FakeHealth()
        self.alert_monitor = AlertMonitor(alert_buffer=self.alert_buffer, clock=self.clock)
        self.rows = FakeSettingRows()
        self.settings = Settings(self.rows, self.clock)
        self.counted: Counter[tuple[str, str]] = Counter()
        self.alert_sender = AlertSender(
            outbox=self.outbox,
            targets=targets,
            alert_buffer=self.alert_buffer,
            alert_monitor=self.alert_monitor,
            health=self.health,
            settings=self.settings,
            real_clock=self.clock,
            alone=lambda: alone,
            counted=self.counted,
        )

    def see(self, number: int = 1, *, severity: Severity = "error") -> None:
        self.alert_buffer.add(
            Alert(key=f"k{number}", severity=severity, title=f"t{number}", body="b", at=T0)
        )

    async def fail_to_step(self) -> None:
        with pytest.raises(StoreDown):
            await self.alert_sender.step()


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def office(target: FakeTarget) -> Office:
    return Office(target)


async def test_what_was_seen_is_written_down_and_sent_in_one_pass(
    office: Office, target: FakeTarget
) -> None:
    office.see(1)
    office.see(2)

    await office.alert_sender.step()

    assert target.got == ["t1", "t2"]
    assert office.outbox.states == {"t1": "SENT", "t2": "SENT"}
    assert office.counted == {("error", "sent"): 2}


async def test_a_target_that_fails_is_tried_again_and_the_other_gets_nothing_twice() -> None:
    good, bad = FakeTarget("1:json"), FakeTarget("2:slack")
    office = Office(good, bad)
    bad.error = "refused"
    office.see()

    await office.alert_sender.step()
    waiting = office.outbox.states["t1"]
    bad.error = None
    await office.alert_sender.step()

    assert waiting == "PENDING"
    assert office.outbox.states["t1"] == "SENT"
    assert (good.got, bad.got) == (["t1"], ["t1"])


async def test_a_target_that_hangs_keeps_no_other_from_its_messages() -> None:
    slow, fast = FakeTarget("1:json"), FakeTarget("2:json")
    office = Office(slow, fast)
    slow.open.clear()
    office.see(1)
    office.see(2)

    step = asyncio.create_task(office.alert_sender.step())
    async with asyncio.timeout(10):
        await fast.has(2)
    still_hanging = not step.done()
    slow.open.set()
    await step

    assert still_hanging
    assert slow.got == ["t1", "t2"]


async def test_a_target_is_not_tried_again_in_the_pass_it_has_failed_in(
    office: Office, target: FakeTarget
) -> None:
    target.error = "timeout"
    for number in range(5):
        office.see(number)

    await office.alert_sender.step()

    assert target.asked == 1
    assert set(office.outbox.states.values()) == {"PENDING"}


async def test_a_target_that_takes_its_time_gets_the_rest_in_another_pass(
    office: Office, target: FakeTarget
) -> None:
    target.before = lambda: office.clock.pass_time(TARGET_S * 0.6)
    for number in range(4):
        office.see(number)

    await office.alert_sender.step()
    first = list(target.got)
    await office.alert_sender.step()

    assert first == ["t0", "t1"]
    assert sorted(target.got) == ["t0", "t1", "t2", "t3"]


async def test_a_target_that_stays_down_is_given_up_with_one_warning_at_each_end(
    office: Office, target: FakeTarget, logs: Logs
) -> None:
    target.error = "refused"
    office.see()

    for _ in range(MAX_ATTEMPTS + 3):
        await office.alert_sender.step()

    assert office.outbox.states["t1"] == "FAILED"
    assert target.asked == MAX_ATTEMPTS
    warned = [line for line in logs.of("alert") if line["level"] == "WARNING"]
    assert [line["message"] for line in warned] == [
        "alert not taken by every target, will be tried again",
        "alert given up, not every target took it",
    ]
    assert warned[-1]["error"] == "1:json://127.0.0.1:1: refused"
    assert office.counted == {("error", "failed"): 1}


async def test_what_is_too_mild_is_not_sent_and_the_setting_says_what_is(
    office: Office, target: FakeTarget
) -> None:
    office.see(1, severity="info")
    await office.alert_sender.step()
    await office.settings.change({"alert_min_severity": "info"}, by="test")
    office.see(2, severity="info")
    await office.alert_sender.step()

    assert target.got == ["t2"]
    assert office.outbox.states == {"t1": "SUPPRESSED", "t2": "SENT"}


async def test_with_nobody_to_send_to_an_alert_is_a_line_of_its_own_level(logs: Logs) -> None:
    office = Office()
    office.see(1, severity="critical")

    await office.alert_sender.step()
    await office.alert_sender.step()

    (line,) = logs.of("alert")
    assert (line["level"], line["title"], line["body"]) == ("CRITICAL", "t1", "b")
    assert office.outbox.states == {"t1": "SUPPRESSED"}
    assert office.counted == {("critical", "suppressed"): 1}


async def test_a_standby_without_targets_withdraws_nothing_another_process_can_send() -> None:
    office = Office(alone=False)
    office.see()

    await office.alert_sender.step()

    assert office.outbox.states == {"t1": "PENDING"}


async def test_a_pass_is_idle_when_it_neither_writes_nor_sends(office: Office) -> None:
    office.see()
    seen: list[bool] = []

    for _ in range(2):
        await office.alert_sender.step()
        seen.append(office.alert_sender.is_idle)

    assert seen == [False, True]


async def test_a_pass_that_only_sends_is_not_idle() -> None:
    target = FakeTarget("1:json")
    office = Office(target)
    target.error = "HTTP 500"
    office.see()
    await office.alert_sender.step()
    target.error = None

    await office.alert_sender.step()

    assert not office.alert_sender.is_idle


async def test_a_pass_that_withdraws_what_nothing_can_send_is_not_idle() -> None:
    office = Office()
    await office.outbox.put(Alert(key="k", severity="error", title="t", body="b", at=T0))

    await office.alert_sender.step()

    assert office.outbox.states == {"t": "SUPPRESSED"}
    assert not office.alert_sender.is_idle


# --- without a database ------------------------------------------------------------------------


async def test_without_a_database_an_alert_is_sent_once_and_written_down_as_sent_later(
    office: Office, target: FakeTarget
) -> None:
    office.outbox.fail = StoreDown()
    office.see(severity="critical")

    await office.fail_to_step()
    await office.fail_to_step()
    while_down = list(target.got)
    office.outbox.fail = None
    await office.alert_sender.step()

    assert while_down == ["t1"]
    assert target.got == ["t1"]
    assert office.outbox.states == {"t1": "SENT"}
    assert [row.told for row in office.outbox.rows.values()] == [True]


async def test_without_a_database_a_target_that_fails_is_given_time(
    office: Office, target: FakeTarget
) -> None:
    office.outbox.fail = StoreDown()
    target.error = "refused"
    office.see(severity="critical")

    await office.fail_to_step()
    await office.fail_to_step()
    too_soon = target.asked
    office.clock.pass_time(1)
    target.error = None
    await office.fail_to_step()

    assert too_soon == 1
    assert target.got == ["t1"]


async def test_without_a_database_what_is_mild_waits(office: Office, target: FakeTarget) -> None:
    office.outbox.fail = StoreDown()
    office.see(severity="info")

    await office.fail_to_step()

    assert target.got == []


async def test_the_end_of_an_outage_of_the_database_is_told_after_it(
    office: Office, target: FakeTarget
) -> None:
    office.outbox.fail = StoreDown()
    office.health.snapshot["components"]["database"]["status"] = "unhealthy"
    await office.fail_to_step()

    office.outbox.fail = None
    office.health.snapshot["components"]["database"]["status"] = "healthy"
    await office.alert_sender.step()

    assert target.got == ["database is unhealthy", "database is healthy again"]


async def test_a_problem_left_open_by_the_process_before_ends_here(
    office: Office, target: FakeTarget
) -> None:
    await office.outbox.put(
        Alert(key="component:upbit_api", severity="error", title="sick", body="", at=T0)
    )

    await office.alert_sender.step()
    await office.alert_sender.step()

    assert target.got == ["sick", "upbit_api is healthy again"]


async def test_what_was_delivered_and_could_not_be_noted_fails_the_pass(
    office: Office, target: FakeTarget
) -> None:
    office.see()
    target.before = lambda: setattr(office.outbox, "fail", StoreDown())

    await office.fail_to_step()

    assert office.outbox.states == {"t1": "SENDING"}
