from datetime import date
from decimal import Decimal

from service.domain.pricing import ModelPrice, cost_usd
from service.domain.signals import Usage

FLASH = ModelPrice(
    model="gemini-3.8-flash",
    effective_from=date(2026, 1, 1),
    input=Decimal("0.75"),
    cached=Decimal("0.075"),
    output=Decimal("3.75"),
)
DEARER = ModelPrice(
    model="gemini-3.8-flash",
    effective_from=date(2027, 1, 1),
    input=Decimal("1.50"),
    cached=Decimal("0.15"),
    output=Decimal("7.50"),
)
USAGE = Usage(input_tokens=4000, output_tokens=500, thinking_tokens=800)


def test_thoughts_are_billed_as_output() -> None:
    cost = cost_usd(USAGE, model="gemini-3.8-flash", day=date(2026, 11, 22), prices=[FLASH])

    assert cost == Decimal("0.007875")


def test_a_price_holds_from_its_day_on() -> None:
    prices = [DEARER, FLASH]

    before = cost_usd(USAGE, model="gemini-3.8-flash", day=date(2026, 12, 31), prices=prices)
    after = cost_usd(USAGE, model="gemini-3.8-flash", day=date(2027, 1, 1), prices=prices)

    assert before is not None
    assert after == before * 2


def test_cached_tokens_are_not_billed_twice() -> None:
    usage = Usage(input_tokens=4000, cached_tokens=4000)

    cost = cost_usd(usage, model="gemini-3.8-flash", day=date(2026, 11, 22), prices=[FLASH])

    assert cost == Decimal("0.0003")


def test_an_unknown_model_and_an_uncounted_answer_are_not_guessed() -> None:
    day = date(2026, 11, 22)

    assert cost_usd(USAGE, model="gemini-9", day=day, prices=[FLASH]) is None
    assert cost_usd(Usage(), model="gemini-3.8-flash", day=day, prices=[FLASH]) is None
