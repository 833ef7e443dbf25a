"""The model's real calls are health's best probes; a call that was not sent is none."""

from typing import Any, cast

import pytest

from service.app.observed_model import ObservedModel
from service.domain.errors import ModelUnavailable
from service.ports.model import Prompt
from tests.fakes.model import FakeModel

PROMPT = Prompt(system="be careful", facts="market: KRW-BTC")


class Heard:
    """What health and the alerts were told."""

    def __init__(self) -> None:
        self.told: list[BaseException | None] = []

    def heard_from(
        self, _: str, *, error: BaseException | None = None, usable: bool = True
    ) -> None:
        self.told.append(error)

    def model_answered(self, *, usable: bool, why: str | None) -> None:
        return


@pytest.fixture
def heard() -> Heard:
    return Heard()


def observed(model: FakeModel, heard: Heard) -> ObservedModel:
    told = cast("Any", heard)
    return ObservedModel(model, health=told, alert_monitor=told)


async def test_health_hears_of_an_answer_and_of_a_failure(heard: Heard) -> None:
    model = FakeModel()
    lost = ModelUnavailable("no answer", code="timeout")
    model.then(lost)

    with pytest.raises(ModelUnavailable):
        await observed(model, heard).ask(PROMPT, model="m")
    await observed(model, heard).ask(PROMPT, model="m")

    assert heard.told == [lost, None]


async def test_a_call_that_a_hold_keeps_back_tells_health_nothing(heard: Heard) -> None:
    model = FakeModel()
    model.held = ModelUnavailable("wait", code="rate_limited", retry_after_s=25, sent=False)

    with pytest.raises(ModelUnavailable):
        observed(model, heard).check("m")
    with pytest.raises(ModelUnavailable):
        await observed(model, heard).ask(PROMPT, model="m")

    assert heard.told == []
