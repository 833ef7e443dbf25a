"""No call to the model is made that the day's budget does not cover at its worst."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from service.domain.errors import (
    BoundaryError,
    ModelBudgetUsedUp,
    ModelRefused,
    ModelUnavailable,
    ModelUnpriced,
    StoreDown,
)
from service.domain.markets import Market
from service.domain.model_budget import DaySpending
from service.domain.pricing import cost_usd
from service.domain.signals import Answer, Usage
from service.flows.all_markets import AllMarkets
from service.ports.model import Prompt
from service.settings.table import AI_MODEL, PRICE_TABLE
from tests.builders import KRW_BTC, an_answer
from tests.fakes.alerts import FakeOutbox
from tests.fakes.logs import Logs
from tests.fakes.model import MOST, FakeModel
from tests.unit.flows.conftest import KRW_ETH, House

TODAY = date(2026, 1, 24)
WORST = Decimal("0.0225")  #: of a call with `MOST` at the default model's price
PROMPT = Prompt(system="be careful", facts="market: KRW-BTC")
UNTIL_MIDNIGHT_S = 6 * 3600  #: from T0, 18:00 in Korea


async def spent(house: House) -> DaySpending:
    return await house.spending.of(TODAY)


async def told(house: House) -> list[str]:
    outbox = FakeOutbox()
    await house.alert_buffer.store(outbox)
    return [notice.key for notice in outbox.notices]


def test_the_worst_case_is_what_the_tests_below_take_it_for() -> None:
    worst = cost_usd(MOST, model=AI_MODEL.default, day=TODAY, prices=PRICE_TABLE.default)

    assert worst == WORST


@pytest.mark.proves("FR-006")
async def test_the_worst_case_is_stored_before_the_call_and_the_cost_after_it() -> None:
    during: list[DaySpending] = []

    class Watched(FakeModel):
        async def ask(self, prompt: Prompt, *, model: str) -> Answer:
            during.append(await spent(house))
            return await super().ask(prompt, model=model)

    house = House(model=Watched())
    await house.proposer.propose(KRW_BTC, trigger="schedule")

    (call,) = house.signals.calls
    assert during == [DaySpending(used_usd=Decimal(0), reserved_usd=WORST)]
    assert call.cost_usd is not None
    assert await spent(house) == DaySpending(used_usd=call.cost_usd, reserved_usd=Decimal(0))


@pytest.mark.proves("FR-006")
async def test_a_call_that_the_budget_does_not_cover_at_its_worst_is_not_made(
    house: House, logs: Logs
) -> None:
    house.rows.stored["ai_daily_budget_usd"] = str(WORST - Decimal("0.0001"))

    with pytest.raises(ModelBudgetUsedUp) as caught:
        await house.proposer.propose(KRW_BTC, trigger="schedule")

    error = caught.value
    assert (house.model.asked, house.signals.calls) == ([], [])
    assert (error.sent, error.retry_after_s) == (False, UNTIL_MIDNIGHT_S)
    assert await spent(house) == DaySpending(used_usd=Decimal(0), reserved_usd=Decimal(0))
    assert await told(house) == ["model:budget:2026-01-24:used_up"]


async def test_a_budget_that_covers_exactly_the_worst_case_allows_the_call(house: House) -> None:
    house.rows.stored["ai_daily_budget_usd"] = str(WORST)

    assert await house.proposer.propose(KRW_BTC, trigger="schedule") is not None


async def test_a_used_up_budget_is_told_once_a_day_and_is_over_with_the_korean_day(
    house: House, logs: Logs
) -> None:
    house.rows.stored["ai_daily_budget_usd"] = "0"
    shown = []
    for seconds in (0, UNTIL_MIDNIGHT_S - 1, 1):
        house.clock.pass_time(seconds)
        with pytest.raises(ModelBudgetUsedUp):
            await house.models.ask(PROMPT)
        shown.append(house.budget.is_used_up())
    house.clock.pass_time(86_400)

    assert [line["day"] for line in logs.of("ai") if "budget" in line["message"]] == [
        "2026-01-24",
        "2026-01-25",
    ]
    assert await told(house) == [
        "model:budget:2026-01-24:used_up",
        "model:budget:2026-01-25:used_up",
    ]
    assert (shown, house.budget.is_used_up()) == ([True, True, True], False)


async def test_a_raised_budget_holds_at_the_next_call(house: House) -> None:
    house.rows.stored["ai_daily_budget_usd"] = "0"
    with pytest.raises(ModelBudgetUsedUp):
        await house.proposer.propose(KRW_BTC, trigger="schedule")
    house.rows.stored["ai_daily_budget_usd"] = "1"
    await house.settings.invalidate("ai_daily_budget_usd")

    made = await house.proposer.propose(KRW_BTC, trigger="schedule")

    assert (made is not None, house.budget.is_used_up()) == (True, False)


async def test_four_fifths_of_the_budget_are_told_once(house: House, logs: Logs) -> None:
    house.rows.stored["ai_daily_budget_usd"] = "0.0281"

    await house.proposer.propose(KRW_BTC, trigger="schedule")
    await house.proposer.propose(KRW_BTC, trigger="schedule")

    near = [line for line in logs.of("ai") if "four fifths" in line["message"]]
    assert [line["level"] for line in near] == ["WARNING"]
    assert await told(house) == ["model:budget:2026-01-24:near"]


async def test_a_model_without_a_price_is_refused_while_a_budget_is_set(house: House) -> None:
    house.rows.stored["ai_model"] = "gemini-99"
    with pytest.raises(ModelUnpriced, match="price_table"):
        await house.proposer.propose(KRW_BTC, trigger="schedule")
    assert house.model.asked == []

    house.rows.stored["ai_daily_budget_usd"] = None
    await house.settings.invalidate("ai_daily_budget_usd")

    assert await house.proposer.propose(KRW_BTC, trigger="schedule") is not None


async def test_without_a_budget_the_spending_is_counted_all_the_same(house: House) -> None:
    house.rows.stored["ai_daily_budget_usd"] = None

    await house.proposer.propose(KRW_BTC, trigger="schedule")

    assert (await spent(house)).used_usd == house.signals.calls[0].cost_usd


async def test_a_database_that_cannot_reserve_keeps_the_model_from_being_asked(
    house: House,
) -> None:
    house.spending.fail = StoreDown("away")

    with pytest.raises(StoreDown):
        await house.proposer.propose(KRW_BTC, trigger="schedule")

    assert house.model.asked == []


async def test_a_process_that_dies_between_call_and_row_leaves_the_worst_case_standing(
    house: House,
) -> None:
    house.rows.stored["ai_daily_budget_usd"] = str(WORST)
    house.model.then(SystemExit("killed"))
    with pytest.raises(SystemExit):
        await house.models.ask(PROMPT)

    with pytest.raises(ModelBudgetUsedUp):
        await House(model=house.model, orders=house.orders, rows=house.rows).models.ask(PROMPT)


@pytest.mark.parametrize(
    ("error", "booked"),
    [
        (ModelUnavailable("no answer", code="timeout"), WORST),
        (ModelUnavailable("broke", code="disconnected"), WORST),
        (ModelUnavailable("unreadable", code="bad_answer"), WORST),
        (ModelUnavailable("odd", code=None), WORST),
        (ModelUnavailable("never there", code="unreachable"), Decimal(0)),
        (ModelUnavailable("busy", code="unavailable"), Decimal(0)),
        (ModelUnavailable("busy", code="http_502"), Decimal(0)),
        (ModelRefused("no", code="invalid_argument"), Decimal(0)),
    ],
)
async def test_a_failed_call_is_charged_where_it_may_have_been_billed(
    house: House, error: BoundaryError, booked: Decimal
) -> None:
    house.model.then(error)

    with pytest.raises(type(error)):
        await house.models.ask(PROMPT)

    assert await spent(house) == DaySpending(used_usd=booked, reserved_usd=Decimal(0))


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(input_tokens=10), Usage(output_tokens=10), Usage(thinking_tokens=1)]
)
async def test_an_answer_without_its_token_counts_is_charged_with_the_worst_case(
    house: House, usage: Usage
) -> None:
    house.model.then(an_answer(usage=usage))

    await house.models.ask(PROMPT)

    assert (await spent(house)).used_usd == WORST


async def test_a_call_that_was_not_sent_after_all_is_charged_with_nothing(house: House) -> None:
    house.model.then(ModelUnavailable("wait", code="rate_limited", retry_after_s=9, sent=False))

    with pytest.raises(ModelUnavailable):
        await house.models.ask(PROMPT)

    assert await spent(house) == DaySpending(used_usd=Decimal(0), reserved_usd=Decimal(0))


async def test_a_call_dearer_than_its_worst_case_is_charged_whole_and_warned_of(
    house: House, logs: Logs
) -> None:
    house.model.then(an_answer(usage=Usage(input_tokens=10_000, output_tokens=40_000)))

    await house.models.ask(PROMPT)

    assert (await spent(house)).used_usd > WORST
    assert [line for line in logs.of("ai") if "worst case" in line["message"]]


async def test_a_pass_beyond_the_budget_is_no_failure_of_the_job(house: House) -> None:
    house.rows.stored["ai_daily_budget_usd"] = "0"

    async def markets() -> Sequence[Market]:
        return (KRW_BTC, KRW_ETH)

    house.exchange.set_price(1000, KRW_ETH)
    all_markets = AllMarkets(trade=house.pipeline.trade, markets=markets)
    all_markets.begin("schedule")
    await all_markets.step()

    assert house.model.asked == []


async def test_a_signal_by_hand_beyond_the_budget_says_when_it_ends(house: House) -> None:
    house.rows.stored["ai_daily_budget_usd"] = "0"

    with pytest.raises(ModelBudgetUsedUp, match="2026-01-25T00:00:00"):
        await house.pipeline.generate(KRW_BTC)


def test_more_cached_tokens_than_tokens_never_make_a_cost_negative() -> None:
    odd = Usage(input_tokens=10, cached_tokens=10_000, output_tokens=0)

    cost = cost_usd(odd, model=AI_MODEL.default, day=TODAY, prices=PRICE_TABLE.default)

    assert cost is not None
    assert cost >= 0
