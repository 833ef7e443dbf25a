"""What is written down is counted, under labels from closed sets."""

from decimal import Decimal

import pytest

from service.app.measures import MeteredJournal
from service.domain.errors import StoreDown
from service.domain.risk import Allowed, Held, Refused, Verdict
from service.ops.meters import Meters
from service.ports import ModelCall
from tests.builders import T0, an_answer, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal


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
    inner, meters = FakeJournal(), Meters(FakeClock())
    journal = MeteredJournal(inner, meters)

    await journal.add_decision(signal_id=1, verdict=verdict, at=T0)

    assert dict(meters.decisions) == {labels: 1}
    assert len(inner.decisions) == 1


async def test_a_call_is_paid_for_whether_its_row_can_be_written_or_not() -> None:
    inner, meters = FakeJournal(), Meters(FakeClock())
    inner.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await MeteredJournal(inner, meters).add_call(a_call())

    assert meters.calls["m", "ok"] == 1
    assert meters.cost_usd == {"m": Decimal("0.5")}


async def test_a_decision_that_was_not_stored_is_not_counted() -> None:
    inner, meters = FakeJournal(), Meters(FakeClock())
    inner.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await MeteredJournal(inner, meters).add_decision(signal_id=1, verdict=Held(), at=T0)

    assert not meters.decisions
