"""What is written down is counted, under labels from closed sets."""

from decimal import Decimal

import pytest

from service.app.counted_signals import CountedSignals
from service.domain.errors import ExchangeRefused, StoreDown
from service.domain.risk.verdicts import Allowed, Held, Refused, Verdict
from service.loops.loop import Loop, every
from service.loops.runner import Runner
from service.ops.metrics.counters import Counters
from service.ports.store import ModelCall
from tests.builders import T0, an_answer, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.signals import FakeSignals
from tests.unit.app.house import House


def a_call() -> ModelCall:
    return ModelCall(
        model="m",
        purpose="signal",
        started_at=T0,
        duration_ms=1.0,
        outcome="ok",
        why=None,
        answer=an_answer(),
        cost_usd=Decimal("0.5"),
    )


@pytest.mark.parametrize(
    ("verdict", "labels"),
    [
        (Allowed(intent=an_intent(), checks=()), ("ALLOWED", "")),
        (Held(), ("HELD", "")),
        (
            Refused(reason="confidence", detail="0.5 is below 0.6", checks=()),
            ("REFUSED", "confidence"),
        ),
    ],
)
async def test_a_verdict_is_counted_by_its_rule_and_never_by_its_detail(
    verdict: Verdict, labels: tuple[str, str]
) -> None:
    inner, meters = FakeSignals(), Counters(FakeClock())
    signals = CountedSignals(inner, meters)

    await signals.add_decision(signal_id=1, verdict=verdict, at=T0)

    assert dict(meters.decisions) == {labels: 1}
    assert len(inner.decisions) == 1


async def test_a_call_is_paid_for_whether_its_row_can_be_written_or_not() -> None:
    inner, meters = FakeSignals(), Counters(FakeClock())
    inner.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await CountedSignals(inner, meters).add_call(a_call())

    assert meters.calls["m", "ok"] == 1
    assert meters.cost_usd == {"m": Decimal("0.5")}


async def test_a_decision_that_was_not_stored_is_not_counted() -> None:
    inner, meters = FakeSignals(), Counters(FakeClock())
    inner.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await CountedSignals(inner, meters).add_decision(signal_id=1, verdict=Held(), at=T0)

    assert not meters.decisions


@pytest.mark.proves("S4.3")
@pytest.mark.parametrize("name", ["jobs", "maintenance"])
async def test_a_job_that_is_given_up_is_counted_on_record_and_told(name: str) -> None:
    """S4.3: from the composed runner to the alert."""
    house = House()
    async with house.running(with_loops=False) as services:
        await services.leadership.renew()
        await services.leadership.settle()
        runner: Runner = getattr(services, name)

        async def fail() -> None:
            runner.stop()
            raise ExchangeRefused("no")

        await runner.run(Loop(name="collect_market_data", every=every(hours=1), step=fail))
        counted = services.process.counters.job_runs["collect_market_data", "failure"]
        await services.alert_sender.step()

    (run,) = house.metrics.runs
    assert counted == 1
    assert (run.job, run.attempts, run.error) == ("collect_market_data", 1, "ExchangeRefused")
    assert [notice.title for notice in house.outbox.notices] == ["Job collect_market_data fails"]
