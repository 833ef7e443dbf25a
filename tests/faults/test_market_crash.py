"""The market loses a third: what is held is sold within the stop's bound, or an alert says why not.

The model, the exchange's REST and PostgreSQL are away meanwhile, in turn and together.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from tests.builders import KRW_BTC
from tests.faults.holding import (
    SLIPPAGE,
    average,
    held,
    opened,
    trades,
    until_bought,
    until_sold,
)
from tests.faults.injections import Injection, network_refuses, planned, together, upbit
from tests.faults.stack import Stack
from tests.faults.waits import until
from tests.simulation.crash import CRASH, candles, prints, rows

LEVEL_PRINTS: Final = 6  #: each level of a crash lasts two seconds
MODEL_AWAY: Final = planned({"path": "*:generateContent", "status": 503})
REST_AWAY: Final = upbit(status=503)
UNPROTECTED: Final = ("not all is sold", "not watched", "unprotected")
CALM_MINUTES: Final = 30

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


def bound(levels: Sequence[Decimal], stop: Decimal) -> Decimal:
    """Return the least price of a sale: one level below the first at or below the stop."""
    first = next(place for place, level in enumerate(levels) if level <= stop)
    return levels[first + 1] * SLIPPAGE


async def test_a_crash_replayed_from_candles_ends_within_the_bound_of_the_stop(
    tmp_path: Path,
) -> None:
    file = candles(CRASH, calm_minutes=CALM_MINUTES)
    path = tmp_path / "crash.json"
    path.write_text(json.dumps(list(rows(file, KRW_BTC))))
    lows = [Decimal(candle.low).scaleb(-8) for candle in file]

    async with opened(candles=path) as stack:
        stop = await until_bought(stack)
        await until_sold(stack)
        sold = await average(stack, "ask")
        exits = (await stack.service.get("/api/v1/risk/events", event="EXIT"))["items"]
        await stack.until_balanced()

    assert sold >= bound(lows, stop)
    assert sold <= stop * Decimal("1.001")
    assert len(exits) == 1
    assert Decimal(prints(file, KRW_BTC)[-1]).scaleb(-8) < sold * Decimal("1.1")


@pytest.mark.parametrize(
    ("away", "told"),
    [
        pytest.param(MODEL_AWAY, (), id="model"),
        pytest.param(REST_AWAY, UNPROTECTED, id="REST"),
        pytest.param(network_refuses, UNPROTECTED, id="PostgreSQL"),
        pytest.param(together(MODEL_AWAY, REST_AWAY, network_refuses), UNPROTECTED, id="all"),
    ],
)
async def test_a_crash_is_sold_within_the_bound_or_told_whatever_is_away(
    away: Injection, told: Sequence[str]
) -> None:
    """Args: told: parts of titles, one of which must be heard if nothing can be sold."""
    async with opened() as stack:
        stop = await until_bought(stack)
        heard = len(stack.hook.titles)
        async with away(stack):
            levels = await fall(stack)
            outcome = await until_sold_or_told(stack, told, heard=heard)
        await until_sold(stack)
        sold = await average(stack, "ask")
        await stack.until_balanced()

    assert outcome == "told" or sold >= bound(levels, stop)
    assert outcome == "sold" or told


async def fall(stack: Stack) -> Sequence[Decimal]:
    """Write a crash of a third into the market, from its next print on; return its levels."""
    before = Decimal((await trades(stack))[-1]["price"])
    levels = [before * (100 - 3 * number) / 100 // 1000 * 1000 for number in range(12)]
    script = [str(level) for level in levels for _ in range(LEVEL_PRINTS)]
    body = {"market": str(KRW_BTC), "prices": script, "then": "hold"}
    await stack.sandbox.ask("POST", "/__sandbox__/prices", body)
    return levels


async def until_sold_or_told(stack: Stack, told: Sequence[str], *, heard: int) -> str:
    async def look() -> str | None:
        if await held(stack) == 0:
            return "sold"
        titles = stack.hook.titles[heard:]
        return "told" if any(part in title for part in told for title in titles) else None

    return await until(look, what="all is sold, or an alert says that it is not")
