"""What a pass logs, before anything is masked: no balance, no position, no word of the prompt.

The mask is the second line of defence. It goes by names and by the shape of a text, and cannot
know an amount under a name that nobody thought of.
"""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from loguru import logger

from service.domain.errors import ExchangeUnavailable, OutcomeUnknown
from service.domain.orders import OrderStatus, Side
from service.domain.signals import Action
from service.flows.equity import Snapshots
from service.flows.holdings_check import HoldingsCheck
from tests.builders import (
    KRW_BTC,
    a_fill,
    a_proposal,
    a_ticker,
    an_answer,
    an_intent,
    an_order,
)
from tests.fakes.equities import FakeEquities
from tests.unit.flows.conftest import House

MONEY = Decimal("7654321.5")
COINS = Decimal("0.49182736")
HELD = Decimal("0.18372645")  #: of the coins, what this service has bought
BOUGHT_AT = Decimal(98_765_432)
#: The digits of each amount, whatever stands around them.
AMOUNTS = {
    "money": "7654321",
    "coins": "49182736",
    "position": "18372645",
    "its average price": "98765432",
    "capital": f"{MONEY + COINS * 100_000_000:f}".partition(".")[0],
}
PROMPT = ("position_volume", "position_average_price", "change_14d_pct", "You are the analyst")


@pytest.fixture
def unmasked() -> Iterator[list[str]]:
    """Every line as JSON with all that was bound to it, of every level."""
    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(str(line)), serialize=True, level=0)
    yield lines
    logger.remove(handler)


@pytest.fixture
async def rich(house: House) -> House:
    """A house that holds coins, its own and the operator's."""
    house.exchange.available.update({"KRW": MONEY, "BTC": COINS})
    funds = HELD * BOUGHT_AT
    bought = an_order(
        id=1,
        identifier="uat-before",
        intent=an_intent(side=Side.BUY, funds=funds),
        status=OrderStatus.EXECUTED,
    )
    house.orders.hold(
        bought, a_fill(trade_uuid="before", price=BOUGHT_AT, volume=HELD, funds=funds)
    )
    await house.allow(max_position_pct=100, max_exposure_pct=100, signal_cooldown_minutes=0)
    return house


def leaked(lines: list[str]) -> set[str]:
    text = "".join(lines).replace(",", "").replace("_", "")
    amounts = {name for name, digits in AMOUNTS.items() if digits in text}
    return amounts | {word for word in PROMPT if word.replace("_", "") in text}


async def told(house: House) -> None:
    """Everything that a process does with its account."""
    for action in (Action.BUY, Action.SELL, Action.HOLD):
        house.model.then(an_answer(proposal=a_proposal(action=action)))
        await house.pipeline.trade(KRW_BTC)
        house.clock.pass_time(5)
    house.model.then(an_answer(proposal=None, why="finish:MAX_TOKENS"))
    await house.pipeline.trade(KRW_BTC)
    await house.leadership.renew()
    await house.allow(min_confidence="0.9")
    await house.pipeline.trade(KRW_BTC)
    await house.allow(min_confidence="0.6")


@pytest.mark.proves("S6.1")
async def test_signals_verdicts_and_orders_are_logged_without_an_amount_of_the_account(
    rich: House, unmasked: list[str]
) -> None:
    """S6.1: also with the mask taken away."""
    await told(rich)

    events = {json.loads(line)["record"]["extra"].get("event") for line in unmasked}
    assert events >= {"ai", "signal", "risk", "order"}
    assert any("18372645" in prompt.facts for prompt in rich.model.prompts), "the model is told"
    assert leaked(unmasked) == set()


async def test_what_goes_wrong_is_logged_without_an_amount_of_the_account(
    rich: House, unmasked: list[str]
) -> None:
    rich.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    rich.exchange.fail_next("find", ExchangeUnavailable("no answer"))
    await rich.pipeline.trade(KRW_BTC)
    await rich.reconciler.reconcile()
    rich.exchange.fail_next("balances", ExchangeUnavailable("no answer"))
    with pytest.raises(ExchangeUnavailable):
        await rich.pipeline.trade(KRW_BTC)
    await rich.allow(trading_enabled=False)
    await rich.pipeline.trade(KRW_BTC)

    assert any("WARNING" in line for line in unmasked)
    assert leaked(unmasked) == set()


async def test_books_that_differ_and_snapshots_are_logged_without_an_amount_of_the_account(
    rich: House, unmasked: list[str]
) -> None:
    equities, check = FakeEquities(), HoldingsCheck(orders=rich.orders, exchange=rich.exchange)
    await rich.market_data.add_tickers([a_ticker()], at=rich.clock.now())
    snapshots = Snapshots(
        markets=(KRW_BTC,),
        exchange=rich.exchange,
        market_data=rich.market_data,
        orders=rich.orders,
        equities=equities,
        clock=rich.clock,
    )
    await snapshots.step()
    rich.exchange.available["BTC"] = HELD / 2
    for _ in range(3):
        await check.compare()

    assert check.disagree
    assert equities.rows
    assert leaked(unmasked) == set()


@pytest.mark.parametrize("shown", ["7,654,321.5", "0.18372645", "98_765_432", "position_volume: 1"])
def test_the_search_finds_an_amount_however_it_is_written(shown: str, unmasked: list[str]) -> None:
    logger.bind(note={"x": [shown]}).info("x")

    assert len(leaked(unmasked)) == 1
