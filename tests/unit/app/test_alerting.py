"""Alerts bound together: whose passes count, what the stop waits for, who can be told."""

import pytest
from pydantic import SecretStr

from service.app.alerting import flush
from service.app.checks.alerts import alerts
from service.app.checks.finding import CheckLevel
from service.app.pass_record import SENDER, record_pass
from service.config import Config, Mode
from service.domain.errors import StoreDown
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.leadership import Leadership
from service.loops.runner import Pass
from service.ops.metrics.counters import Counters
from service.ops.metrics.recorder import Recorder
from tests.builders import T0
from tests.fakes.alerts import FakeOutbox, FakeTarget
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.fakes.metric_rows import FakeMetricRows
from tests.fakes.state import FakeLease
from tests.unit.flows.alerts.test_sender import Office


class Recorded:
    """What a pass of a job is reported to."""

    def __init__(self, *, epoch: int | None = 1) -> None:
        self.alert_buffer, self.outbox, self.clock = AlertBuffer(), FakeOutbox(), FakeClock()
        self.alert_monitor = AlertMonitor(alert_buffer=self.alert_buffer, clock=self.clock)
        self.leadership = Leadership(
            lease=FakeLease(epoch=epoch), real_clock=self.clock, on_gain=self.settled
        )
        self.counters = Counters(self.clock)
        self.recorder = Recorder(
            requests=self.counters.requests, rows=FakeMetricRows(), real_clock=self.clock
        )

    async def settled(self) -> None:
        return

    async def over(self, result: Pass) -> None:
        await record_pass(
            result,
            counters=self.counters,
            recorder=self.recorder,
            alert_monitor=self.alert_monitor,
            leadership=self.leadership,
            real_clock=self.clock,
        )

    async def told(self) -> list[str]:
        await self.alert_buffer.store(self.outbox)
        return [notice.title for notice in self.outbox.notices]


def a_pass(job: str = "collect", error: Exception | None = None) -> Pass:
    return Pass(job=job, run_id="r", started_at=T0, duration_ms=1, attempts=4, error=error)


async def test_a_leaders_pass_ends_a_problem_and_a_standbys_does_not() -> None:
    leader, standby = Recorded(), Recorded(epoch=None)

    for each in (leader, standby):
        await each.leadership.renew()
        await each.leadership.settle()
        each.alert_monitor.inherit({"job:collect"})
        await each.over(a_pass())

    assert await leader.told() == ["Job collect works again"]
    assert await standby.told() == []


async def test_a_failed_pass_is_told_whoever_leads_but_the_sender_does_not_tell_of_itself() -> None:
    standby = Recorded(epoch=None)

    await standby.over(a_pass(error=StoreDown()))
    await standby.over(a_pass(SENDER, error=StoreDown()))

    assert await standby.told() == ["Job collect fails"]


async def test_the_stop_sends_what_is_due() -> None:
    target = FakeTarget()
    office = Office(target)
    office.see()

    await flush(office.alert_sender, within_s=10)

    assert target.got == ["t1"]


async def test_the_stop_waits_for_no_target_that_hangs(logs: Logs) -> None:
    target = FakeTarget()
    target.open.clear()
    office = Office(target)
    office.see()

    await flush(office.alert_sender, within_s=0.01)

    (line,) = logs.of("alert")
    assert line["error"] == "TimeoutError"


async def test_the_stop_without_a_database_still_tells_what_nobody_knows(logs: Logs) -> None:
    target = FakeTarget()
    office = Office(target)
    office.outbox.fail = StoreDown()
    office.see(severity="critical")

    await flush(office.alert_sender, within_s=10)

    assert target.got == ["t1"]
    assert [line["level"] for line in logs.of("alert")] == ["INFO", "WARNING"]


# --- trader check -------------------------------------------------------------------------------


def a_config(urls: str | None, *, mode: Mode = Mode.SANDBOX) -> Config:
    secret = None if urls is None else SecretStr(urls)
    keys = {name: SecretStr("k") for name in ("upbit_access_key", "upbit_secret_key")}
    live = keys | {"gemini_api_key": SecretStr("k")} if mode is Mode.LIVE else {}
    return Config(_env_file=None, mode=mode, alert_urls=secret, **live)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("urls", "mode", "level", "words"),
    [
        (None, Mode.SANDBOX, CheckLevel.OK, "only logged"),
        (None, Mode.LIVE, CheckLevel.WARN, "nobody is told of anything"),
        ("json://127.0.0.1:9/canary", Mode.LIVE, CheckLevel.OK, "1:json://127.0.0.1:9;"),
        ("foo://canary", Mode.LIVE, CheckLevel.FAIL, "number 1 cannot be used"),
    ],
)
def test_the_check_says_who_would_be_told(
    urls: str | None, mode: Mode, level: CheckLevel, words: str
) -> None:
    finding = alerts(a_config(urls, mode=mode))

    assert finding.level is level
    assert words in finding.text
    assert "canary" not in finding.line
