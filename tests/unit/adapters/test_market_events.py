"""What the exchange warns of is known by name, or known to be unknown."""

from datetime import date
from typing import Any

import pytest

from service.adapters.upbit.errors import ErrorAnswer
from service.adapters.upbit.market_events import (
    ASKED_EVERY_S,
    LASTS_S,
    MarketEvents,
    MarketStanding,
    warnings,
)
from service.domain.markets import Market
from tests.builders import KRW_BTC
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs

KRW_ETH = Market("KRW", "ETH")
DAY = {"year": 2026, "month": 12, "day": 31}


def listed(market: str = "KRW-BTC", **event: Any) -> dict[str, Any]:
    return {"market": market, "market_event": {"warning": False, "caution": {}} | event}


class World:
    """An exchange whose list of markets a test writes, and the market events that read it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.answer: Any = [listed()]
        self.asked = 0
        self.events = MarketEvents(self._ask, seconds=self.clock.monotonic)

    async def _ask(self) -> object:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("row", "names"),
    [
        (listed(), ()),
        ({"market": "KRW-BTC"}, ()),
        ({"market": "KRW-BTC", "market_event": None}, ()),
        ({"market": "KRW-BTC", "market_warning": "NONE"}, ()),
        ({"market": "KRW-BTC", "market_warning": "CAUTION"}, ("CAUTION",)),
        (listed(warning=True), ("WARNING",)),
        (
            listed(caution={"TRADING_VOLUME_SOARING": True, "PRICE_FLUCTUATIONS": True}),
            ("PRICE_FLUCTUATIONS", "TRADING_VOLUME_SOARING"),
        ),
        (listed(caution={"PRICE_FLUCTUATIONS": False}), ()),
        (listed(caution={"A_NAME_OF_NEXT_YEAR": True}), ("A_NAME_OF_NEXT_YEAR",)),
    ],
)
def test_a_markets_warnings_are_known_by_name(row: object, names: tuple[str, ...]) -> None:
    assert warnings([row]) == {KRW_BTC: names}


@pytest.mark.parametrize(
    "row",
    [
        {"market": "KRW-BTC", "market_event": "x"},
        listed(warning="true"),
        listed(caution={"PRICE_FLUCTUATIONS": 1}),
        listed(caution={"a name\n": True}),
        listed(caution=[]),
        listed(caution={f"N{n}": False for n in range(100)}),
    ],
)
def test_a_warning_that_cannot_be_read_is_a_warning_of_its_market_alone(row: object) -> None:
    found = warnings([{"market": "odd name"}, 5, row, listed("KRW-ETH")])

    assert found == {KRW_BTC: ("UNREADABLE",), KRW_ETH: ()}


async def test_a_market_that_is_not_listed_says_so() -> None:
    assert await World().events.of(KRW_ETH) == MarketStanding(warnings=("NOT_LISTED",))


async def test_the_list_of_markets_is_asked_for_once_in_ten_seconds() -> None:
    world = World()

    await world.events.of(KRW_BTC)
    await world.events.of(KRW_BTC)
    world.clock.pass_time(ASKED_EVERY_S)
    world.answer = [listed(warning=True)]
    standing = await world.events.of(KRW_BTC)

    assert standing.warnings == ("WARNING",)
    assert world.asked == 2


async def test_an_answer_lasts_for_minutes_while_a_newer_one_cannot_be_had() -> None:
    world = World()
    before = await world.events.of(KRW_BTC)
    world.answer = ErrorAnswer(503)

    world.clock.pass_time(LASTS_S)
    meanwhile = await world.events.of(KRW_BTC)
    world.clock.pass_time(1)
    later = await world.events.of(KRW_BTC)

    assert (before.warnings, meanwhile.warnings, later.warnings) == ((), (), ("UNREADABLE",))


@pytest.mark.parametrize("answer", [ErrorAnswer(503), ErrorAnswer(403), TimeoutError(), {}])
async def test_an_exchange_that_cannot_be_asked_may_warn_of_anything(answer: object) -> None:
    world = World()
    world.answer = answer

    assert (await world.events.of(KRW_BTC)).warnings == ("UNREADABLE",)


@pytest.mark.parametrize(
    ("state", "is_active"),
    [("ACTIVE", True), (None, True), ("PREVIEW", False), ("DELISTED", False)],
)
async def test_a_tickers_state_and_day_of_the_end_are_kept(
    state: str | None, is_active: bool
) -> None:
    events = World().events

    events.hear(KRW_BTC, {"market_state": state, "delisting_date": DAY})

    assert await events.of(KRW_BTC) == MarketStanding(
        is_active=is_active, delisted_at=date(2026, 12, 31)
    )


@pytest.mark.parametrize(
    "day",
    [
        {"year": 2026, "month": 13, "day": 31},
        {"year": 2026, "month": 12},
        {"year": "2026", "month": 12, "day": 31},
        {"year": 10**30, "month": 12, "day": 31},
        "2026-12-31",
        [],
    ],
)
async def test_a_day_of_the_end_that_cannot_be_read_is_a_warning(day: object) -> None:
    events = World().events

    events.hear(KRW_BTC, {"market_state": "ACTIVE", "delisting_date": day})

    assert await events.of(KRW_BTC) == MarketStanding(warnings=("UNREADABLE",))


async def test_an_end_that_is_called_off_is_forgotten_and_each_change_is_told_once() -> None:
    events = World().events
    usual, ending = {"market_state": "ACTIVE", "delisting_date": None}, {"delisting_date": DAY}

    with Logs.captured() as logs:
        for ticker in (usual, usual, ending, ending, {}, usual, usual):
            events.hear(KRW_BTC, ticker)
        told = [line["delisted_at"] for line in logs.lines]

    assert told == ["2026-12-31", None]
    assert await events.of(KRW_BTC) == MarketStanding()
