"""The models of the settings are asked in their order, each only when the one before cannot."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from service.domain.errors import (
    BoundaryError,
    ModelBudgetUsedUp,
    ModelQuotaUsedUp,
    ModelRefused,
    ModelUnavailable,
)
from service.flows.fallback_models import FAILURES_BEFORE_NEXT, NEXT_WITHIN_S
from service.ports.model import Prompt
from tests.builders import KRW_BTC, an_answer
from tests.fakes.logs import Logs
from tests.fakes.model import FakeModel
from tests.unit.flows.conftest import House

FIRST, SECOND, THIRD = "gemini-4-argon", "gemini-3.8-flash", "gemini-3.5-flash-lite"
PROMPT = Prompt(system="be careful", facts="market: KRW-BTC")
QUOTA = ModelQuotaUsedUp("today's quota is used up", code="quota_exhausted", retry_after_s=60)
UNKNOWN = ModelRefused("no such model", code="unknown_model")
SLOW_DOWN = ModelUnavailable("slow down", code="rate_limited", retry_after_s=30)
BUSY = ModelUnavailable("overloaded", code="unavailable")
LOST = ModelUnavailable("no answer", code="timeout")


@pytest.fixture
def house() -> House:
    house = House()
    house.rows.stored |= {"ai_model": FIRST, "ai_fallback_models": [SECOND, THIRD]}
    return house


def asked(house: House) -> Sequence[str]:
    return [model for _, model in house.model.asked]


async def test_the_first_model_is_asked_alone_while_it_answers(house: House) -> None:
    await house.models.ask(PROMPT)

    assert asked(house) == [FIRST]


@pytest.mark.proves("FR-006")
@pytest.mark.parametrize("error", [QUOTA, UNKNOWN, SLOW_DOWN])
async def test_the_next_model_is_asked_at_once_when_one_cannot_answer(
    house: House, logs: Logs, error: BoundaryError
) -> None:
    house.model.then(error, error)

    signal = await house.proposer.propose(KRW_BTC, trigger="schedule")

    assert asked(house) == [FIRST, SECOND, THIRD]
    assert signal is not None
    assert signal.model == THIRD
    assert [(call.model, call.outcome) for call in house.signals.calls] == [
        (FIRST, "error"),
        (SECOND, "error"),
        (THIRD, "ok"),
    ]
    lines = [line for line in logs.of("ai") if "cannot answer" in line["message"]]
    assert [(line["level"], line["model"]) for line in lines] == [
        ("WARNING", FIRST),
        ("WARNING", SECOND),
    ]


@pytest.mark.parametrize("error", [BUSY, LOST])
async def test_an_overloaded_model_has_its_retries_before_the_next_one_is_asked(
    house: House, error: BoundaryError
) -> None:
    house.model.then(*[error] * FAILURES_BEFORE_NEXT)
    for _ in range(FAILURES_BEFORE_NEXT - 1):
        with pytest.raises(ModelUnavailable):
            await house.models.ask(PROMPT)
        house.clock.pass_time(2)
    before = asked(house)

    await house.models.ask(PROMPT)

    assert before == [FIRST] * (FAILURES_BEFORE_NEXT - 1)
    assert asked(house) == [*before, FIRST, SECOND]


async def test_an_answer_of_the_first_model_gives_it_its_retries_back(house: House) -> None:
    house.model.then(BUSY, BUSY, an_answer(), BUSY)
    for _ in range(4):
        try:
            await house.models.ask(PROMPT)
        except ModelUnavailable:
            house.clock.pass_time(2)

    assert asked(house) == [FIRST] * 4


@pytest.mark.parametrize(
    "error",
    [
        ModelRefused("key rejected", code="auth_rejected"),
        ModelRefused("bad request", code="invalid_argument"),
        ModelRefused("redirected", code="redirected"),
    ],
)
async def test_what_every_model_would_refuse_is_asked_of_no_other(
    house: House, error: BoundaryError
) -> None:
    house.model.then(error)

    with pytest.raises(ModelRefused):
        await house.models.ask(PROMPT)

    assert asked(house) == [FIRST]


async def test_an_unusable_answer_is_an_answer_and_no_other_model_is_paid_for(
    house: House,
) -> None:
    house.model.then(an_answer(proposal=None, why="blocked:SAFETY"))

    assert await house.proposer.propose(KRW_BTC, trigger="schedule") is None
    assert asked(house) == [FIRST]


@pytest.mark.proves("FR-006")
async def test_a_cheaper_model_is_asked_where_the_budget_covers_no_dear_one(house: House) -> None:
    house.rows.stored["ai_daily_budget_usd"] = "0.03"  # the first one's worst case is 0.06

    await house.models.ask(PROMPT)

    assert (asked(house), house.budget.is_used_up()) == ([SECOND], False)


async def test_the_budget_is_used_up_when_it_covers_no_model(house: House) -> None:
    house.rows.stored["ai_daily_budget_usd"] = "0"

    with pytest.raises(ModelBudgetUsedUp):
        await house.models.ask(PROMPT)

    assert (asked(house), house.budget.is_used_up()) == ([], True)


async def test_a_model_without_a_price_gives_way_to_one_with_a_price(house: House) -> None:
    house.rows.stored["ai_model"] = "gemini-99"

    await house.models.ask(PROMPT)

    assert asked(house) == [SECOND]


async def test_of_several_refusals_the_one_that_a_retry_may_help_is_raised(house: House) -> None:
    house.model.then(QUOTA, SLOW_DOWN, UNKNOWN)

    with pytest.raises(ModelUnavailable) as caught:
        await house.models.ask(PROMPT)

    assert caught.value is SLOW_DOWN


async def test_an_open_circuit_of_one_model_does_not_keep_the_next_from_answering(
    house: House,
) -> None:
    house.rows.stored["ai_fallback_models"] = []
    house.model.then(*[BUSY] * 5)
    for _ in range(5):
        with pytest.raises(ModelUnavailable):
            await house.models.ask(PROMPT)
        house.clock.pass_time(2)
    alone = house.circuits.is_open
    house.rows.stored["ai_fallback_models"] = [SECOND]
    await house.settings.invalidate("ai_fallback_models")

    await house.models.check()
    await house.models.ask(PROMPT)

    assert asked(house) == [*[FIRST] * 5, SECOND]
    assert (alone, house.circuits.is_open) == (True, False)


class Slow(FakeModel):
    """Each call takes its whole time limit and fails."""

    house: House

    async def ask(self, prompt: Prompt, *, model: str) -> object:  # type: ignore[override]
        self.house.clock.pass_time(30)
        return await super().ask(prompt, model=model)


async def test_models_that_hang_are_not_asked_one_after_the_other_without_end() -> None:
    model = Slow(*[LOST] * 20)
    house = model.house = House(model=model)
    house.rows.stored |= {
        "ai_model": FIRST,
        "ai_fallback_models": [SECOND, THIRD, "gemini-3.6-flash", "gemini-3.7-flash"],
    }
    turns = []
    for _ in range(9):
        before = len(model.asked)
        with pytest.raises(ModelUnavailable):
            await house.models.ask(PROMPT)
        turns.append(len(model.asked) - before)

    assert max(turns) <= NEXT_WITHIN_S // 30 + 1


async def test_the_same_model_twice_is_asked_once(house: House) -> None:
    house.rows.stored["ai_fallback_models"] = [FIRST, SECOND]
    house.model.then(UNKNOWN)

    await house.models.ask(PROMPT)

    assert asked(house) == [FIRST, SECOND]


async def test_each_call_of_a_question_is_charged_by_its_own_price(house: House) -> None:
    house.model.then(LOST, LOST, LOST)
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await house.models.ask(PROMPT)
        house.clock.pass_time(2)

    await house.models.ask(PROMPT)

    (day,) = house.orders.tables.spent.values()
    answered = house.signals.calls[-1].cost_usd
    assert answered is not None
    assert day.used_usd == 3 * Decimal("0.06") + answered
    assert day.reserved_usd == 0
