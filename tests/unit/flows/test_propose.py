"""What the model is asked with, and the one line that each question leaves."""

from datetime import timedelta
from decimal import Decimal

import pytest

from service.domain.errors import ModelUnavailable
from service.domain.markets import Timeframe
from service.domain.signals import Usage
from tests.builders import KRW_BTC, T0, a_candle, an_answer
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import House

#: What docs say the model sees: candles of each timeframe. More than that are there.
SEEN = {"prices_1h": 14 * 24, "prices_15m": 24 * 4, "prices_5m": 12}
FRAMES = {"prices_1h": Timeframe.H1, "prices_15m": Timeframe.M15, "prices_5m": Timeframe.M5}
MINUTES = {"prices_1h": 60, "prices_15m": 15, "prices_5m": 5}


def with_history(house: House) -> None:
    """Give the market twenty days of each timeframe, each close another price."""
    for name, frame in FRAMES.items():
        step = timedelta(minutes=MINUTES[name])
        count = timedelta(days=20) // step
        house.exchange.history[KRW_BTC, frame] = [
            a_candle(timeframe=frame, opened_at=T0 - step * (count - n), close=Decimal(1_000 + n))
            for n in range(count)
        ]


def shown(house: House) -> dict[str, list[str]]:
    (prompt,) = house.model.prompts
    lines = dict(line.split(": ", 1) for line in prompt.facts.splitlines())
    return {name: lines[name].split(",") for name in SEEN}


async def test_the_prompt_has_fourteen_days_one_day_and_one_hour_of_prices(house: House) -> None:
    with_history(house)

    await house.proposer.propose(KRW_BTC, trigger="schedule")

    prices = shown(house)
    assert {name: len(closes) for name, closes in prices.items()} == SEEN
    for name, closes in prices.items():
        newest = house.exchange.history[KRW_BTC, FRAMES[name]][-SEEN[name] :]
        assert closes == [str(candle.close) for candle in newest], "the newest, oldest first"


async def test_a_candle_of_the_future_is_not_shown_to_the_model(house: House) -> None:
    with_history(house)
    for frame in FRAMES.values():
        absurd = a_candle(timeframe=frame, opened_at=T0.replace(year=2099), close=Decimal(7))
        house.exchange.history[KRW_BTC, frame].append(absurd)

    await house.proposer.propose(KRW_BTC, trigger="schedule")

    for name, closes in shown(house).items():
        newest = house.exchange.history[KRW_BTC, FRAMES[name]][-2]
        assert (len(closes), closes[-1]) == (SEEN[name], str(newest.close))


async def test_a_young_market_is_asked_about_with_what_there_is(house: House) -> None:
    step = timedelta(hours=1)
    house.exchange.history[KRW_BTC, Timeframe.H1] = [
        a_candle(timeframe=Timeframe.H1, opened_at=T0 - step * n) for n in (3, 2, 1)
    ]

    await house.proposer.propose(KRW_BTC, trigger="schedule")

    assert len(shown(house)["prices_1h"]) == 3


@pytest.mark.proves("FR-012")
async def test_a_question_leaves_one_line_with_its_tokens_and_its_cost(
    house: House, logs: Logs
) -> None:
    """FR-012: what a model call has used and what it costs stand in its line."""
    usage = Usage(input_tokens=1200, output_tokens=85, thinking_tokens=300, cached_tokens=7)
    house.model.then(an_answer(usage=usage))

    await house.proposer.propose(KRW_BTC, trigger="schedule")

    (line,) = logs.of("ai")
    (call,) = house.signals.calls
    tokens = {name: line[f"{name}_tokens"] for name in ("input", "output", "thinking", "cached")}
    assert tokens == {"input": 1200, "output": 85, "thinking": 300, "cached": 7}
    assert Decimal(line["cost_usd"]) == call.cost_usd
    assert (line["level"], line["outcome"], line["purpose"]) == ("INFO", "ok", "signal")
    assert line["model"] == call.model


async def test_a_question_without_an_answer_leaves_its_line_too(house: House, logs: Logs) -> None:
    house.model.then(ModelUnavailable("overloaded", code="overloaded"))

    with pytest.raises(ModelUnavailable):
        await house.proposer.propose(KRW_BTC, trigger="schedule")

    (line,) = logs.of("ai")
    assert (line["level"], line["outcome"], line["why"]) == ("WARNING", "error", "overloaded")
    assert (line["input_tokens"], line["cost_usd"]) == (None, None)


async def test_an_unusable_answer_is_a_warning_about_its_market_with_the_reason(
    house: House, logs: Logs
) -> None:
    house.model.then(an_answer(proposal=None, why="finish:MAX_TOKENS"))

    await house.proposer.propose(KRW_BTC, trigger="schedule")

    (line,) = logs.of("signal")
    assert (line["level"], line["market"]) == ("WARNING", "KRW-BTC")
    assert line["why"] == "finish:MAX_TOKENS"
    assert [row["level"] for row in logs.of("ai")] == ["WARNING"], "paid for, and of no use"
