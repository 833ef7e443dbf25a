"""The fakes keep the promises that the real adapters keep, so that flows may be tried on them."""

from decimal import Decimal

import pytest

from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.adapters.gemini import Gemini
from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import ExchangeRefused, ModelUnavailable, OutcomeUnknown
from service.domain.orders import ExchangeOrderState, OrderType, Side
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.model import Model, Prompt
from service.sandbox.clock import DiscreteMarketClock, PacedMarketClock
from tests.builders import KRW_BTC, an_answer, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.model import FakeModel

# mypy reads these: every implementation has the port's shape.
EXCHANGES: list[type[Exchange]] = [UpbitRest, FakeExchange]
MODELS: list[type[Model]] = [Gemini, FakeModel]
REAL_CLOCKS: list[type[RealClock]] = [SystemClock, FakeClock]
MARKET_CLOCKS: list[type[MarketClock]] = [
    RealTimeMarketClock,
    PacedMarketClock,
    DiscreteMarketClock,
    FakeClock,
]


async def test_a_market_buy_is_found_with_its_trade_and_the_money_is_gone() -> None:
    exchange = FakeExchange(balances={"KRW": 1_000_000})

    placed = await exchange.submit(an_intent(funds=Decimal(100_000)), identifier="uat-1")
    found = await exchange.find("uat-1")

    assert (placed.state, placed.trades) == (ExchangeOrderState.WAITING, ())
    assert found is not None
    assert (found.state, found.executed_volume) == (ExchangeOrderState.DONE, Decimal("0.001"))
    balances = await exchange.balances()
    assert balances["KRW"].total == 1_000_000 - 100_000 - 50
    assert balances["BTC"].available == Decimal("0.001")


async def test_a_market_buy_that_leaves_a_remainder_ends_cancelled_with_fills() -> None:
    exchange = FakeExchange(price=Decimal(148_490_000), balances={"KRW": 1_000_000})

    await exchange.submit(an_intent(funds=Decimal(10_000)), identifier="uat-1")

    found = await exchange.find("uat-1")
    assert found is not None
    assert (found.state, found.executed_volume) == (
        ExchangeOrderState.CANCELLED,
        Decimal("0.00006734"),
    )
    spent = found.trades[0].funds + found.paid_fee
    krw = (await exchange.balances())["KRW"]
    assert krw.available == 1_000_000 - spent
    assert krw.locked == 0


async def test_a_market_sell_gives_the_coins_and_brings_money_less_the_fee() -> None:
    exchange = FakeExchange(balances={"BTC": 1})
    intent = an_intent(side=Side.SELL, funds=None, volume=Decimal("0.5"))

    await exchange.submit(intent, identifier="uat-1")

    balances = await exchange.balances()
    assert balances["BTC"].total == Decimal("0.5")
    assert balances["KRW"].total == 50_000_000 - 25_000


async def test_a_limit_order_waits_is_filled_in_parts_and_hands_back_the_rest() -> None:
    exchange = FakeExchange(balances={"KRW": 1_000_000})
    intent = an_intent(
        type=OrderType.LIMIT, funds=None, price=Decimal(90_000_000), volume=Decimal("0.01")
    )
    await exchange.submit(intent, identifier="uat-1")
    assert (await exchange.balances())["KRW"].locked == 900_450

    exchange.fill("uat-1", volume=Decimal("0.004"))
    await exchange.cancel("uat-1")

    found = await exchange.find("uat-1")
    assert found is not None
    assert (found.state, found.executed_volume) == (ExchangeOrderState.CANCELLED, Decimal("0.004"))
    krw = (await exchange.balances())["KRW"]
    assert krw.available == 1_000_000 - 360_180
    assert krw.locked == 0


async def test_a_lost_answer_leaves_the_order_on_the_book() -> None:
    exchange = FakeExchange()
    exchange.fail_next("submit", OutcomeUnknown("lost"), after=True)

    with pytest.raises(OutcomeUnknown):
        await exchange.submit(an_intent(), identifier="uat-1")

    assert await exchange.find("uat-1") is not None


async def test_a_lost_request_leaves_nothing() -> None:
    exchange = FakeExchange()
    exchange.fail_next("submit", OutcomeUnknown("lost"))

    with pytest.raises(OutcomeUnknown):
        await exchange.submit(an_intent(), identifier="uat-1")

    assert await exchange.find("uat-1") is None
    assert exchange.sent == []


async def test_an_identifier_is_used_up_by_a_refusal() -> None:
    exchange = FakeExchange(balances={})
    with pytest.raises(ExchangeRefused) as caught:
        await exchange.submit(an_intent(), identifier="uat-1")
    assert caught.value.code == "insufficient_funds_bid"

    with pytest.raises(OutcomeUnknown):
        await exchange.submit(an_intent(), identifier="uat-1")


async def test_tickers_show_the_price_that_was_set() -> None:
    exchange = FakeExchange()

    exchange.set_price(123_000_000)

    assert (await exchange.tickers([KRW_BTC]))[0].price == 123_000_000


async def test_the_model_follows_its_script_and_remembers() -> None:
    scripted = an_answer(model="scripted")
    model = FakeModel(scripted, ModelUnavailable("busy"))
    prompt = Prompt(system="s", facts="f")

    assert await model.ask(prompt, model="m") is scripted
    with pytest.raises(ModelUnavailable):
        await model.ask(prompt, model="m")
    assert (await model.ask(prompt, model="m")).model == "m"

    assert model.asked == [(prompt, "m")] * 3
