"""Whatever exchange and account say, no signal buys on it: the reviews' lies, as decisions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from service.domain.markets import Market, Ticker
from service.domain.orders import OrderStatus, Side
from service.domain.risk.verdicts import Allowed, Refused
from service.domain.signals import Action
from tests.builders import (
    KRW_BTC,
    a_fill,
    a_proposal,
    an_answer,
    an_equity,
    an_intent,
    an_order,
)
from tests.fakes.exchange import FakeExchange
from tests.unit.flows.conftest import House

TENTH = Decimal(10_000_000)
WHOLE = Decimal(100_000_000)


class TickerEditor(FakeExchange):
    """Attributes: edit: what each ticker says otherwise."""

    edit: dict[str, object]

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]:
        return tuple(
            replace(ticker, **self.edit)  # type: ignore[arg-type]
            for ticker in await super().tickers(markets)
        )


def told(house: House, **edit: object) -> None:
    """Have tickers say `edit` from now on."""
    lying = TickerEditor(clock=house.clock)
    lying.__dict__.update(house.exchange.__dict__)
    lying.edit = edit
    house.decider._situations = replace(house.decider._situations, exchange=lying)


async def reason_of_next(house: House, action: Action = Action.BUY) -> str | None:
    """Return the rule that refuses the next signal, or None when it is allowed."""
    house.model.then(an_answer(proposal=a_proposal(action=action, confidence=Decimal(1))))
    await house.pipeline.trade(KRW_BTC)
    verdict = house.signals.decisions[-1].verdict
    assert isinstance(verdict, Allowed | Refused)
    return verdict.reason if isinstance(verdict, Refused) else None


def holds(house: House, volume: str) -> None:
    """Let the service have bought `volume` at the whole price."""
    coins = Decimal(volume)
    bought = an_order(
        id=1,
        identifier="uat-before",
        intent=an_intent(side=Side.BUY, funds=coins * WHOLE),
        status=OrderStatus.EXECUTED,
        created_at=house.clock.now() - timedelta(days=1),
    )
    house.orders.hold(bought, a_fill(trade_uuid="before", volume=coins, funds=coins * WHOLE))
    house.exchange.available["BTC"] += coins


async def test_a_wrong_price_that_is_told_again_and_again_makes_no_position_larger(
    house: House,
) -> None:
    """A tenth of the price, with a true high and low: 20 % of the capital became 73.8 %."""
    await house.allow(max_orders_per_hour=1000)
    holds(house, "0.024")
    house.live_prices.anchor(KRW_BTC, WHOLE)

    for _ in range(12):
        house.exchange.set_price(TENTH)
        assert await reason_of_next(house) == "price"
        house.clock.pass_time(10)
        house.live_prices.anchor(KRW_BTC, WHOLE)  # as each pass that collects candles does

    assert house.exchange.sent == []


@pytest.mark.parametrize("price", ["0.01", "1000000", "900000000"])
async def test_a_price_far_from_every_candle_buys_nothing(house: House, price: str) -> None:
    house.live_prices.anchor(KRW_BTC, WHOLE)
    house.exchange.set_price(Decimal(price).to_integral_value() or 1)
    told(house, price=Decimal(price), low=Decimal(price), high=Decimal(price))

    assert await reason_of_next(house) == "price"


async def test_a_price_outside_its_own_low_and_high_buys_nothing(house: House) -> None:
    told(house, low=WHOLE + 1, high=WHOLE + 2)

    assert await reason_of_next(house) == "price"


@pytest.mark.parametrize(("age", "reason"), [(29, None), (31, "price"), (3 * 86_400, "price")])
async def test_a_last_trade_that_is_old_buys_nothing(
    house: House, age: int, reason: str | None
) -> None:
    told(house, traded_at=house.clock.now() - timedelta(seconds=age))

    assert await reason_of_next(house) == reason


async def test_a_price_that_was_believed_and_is_fresh_is_not_asked_for_again(house: House) -> None:
    await reason_of_next(house)
    house.exchange.calls.clear()

    await house.decider.decide(house.signals.signals[-1])

    assert "tickers" not in house.exchange.calls


async def test_a_doubted_price_keeps_no_position_from_being_sold(house: House) -> None:
    holds(house, "0.024")
    told(house, price=Decimal("0.01"))

    assert await reason_of_next(house, Action.SELL) is None
    assert house.exchange.sent[-1][0].volume == Decimal("0.024")


async def test_a_balance_beyond_all_measure_makes_no_order_larger(house: House) -> None:
    house.equities.rows.append((house.clock.now(), an_equity()))
    house.exchange.available["KRW"] = Decimal(10**15)

    assert await reason_of_next(house) is None
    assert house.exchange.sent[-1][0].most_funds <= 300_000  # 3 % of what was known


async def test_a_lie_that_was_stored_as_equity_counts_an_hour_later_at_the_earliest(
    house: House,
) -> None:
    start = house.clock.now()
    house.equities.rows.append((start, an_equity()))
    house.clock.pass_time(3_500)
    await house.leadership.renew()
    house.equities.rows.append((house.clock.now(), an_equity(cash=Decimal(10**15))))
    house.exchange.available["KRW"] = Decimal(10**15)

    assert await reason_of_next(house) is None
    assert house.exchange.sent[-1][0].most_funds <= 300_000


async def test_an_account_without_the_coins_row_makes_no_room_for_more(house: House) -> None:
    holds(house, "0.03")
    del house.exchange.available["BTC"]

    assert await reason_of_next(house) == "max_position"


async def test_positions_of_other_markets_count_for_the_exposure(house: House) -> None:
    ether = Market("KRW", "ETH")
    funds = Decimal(20_000_000)
    bought = an_order(
        id=1,
        identifier="uat-ether",
        intent=an_intent(market=ether, funds=funds),
        status=OrderStatus.EXECUTED,
        created_at=house.clock.now() - timedelta(days=1),
    )
    house.orders.hold(bought, a_fill(trade_uuid="ether", volume=Decimal(4), funds=funds))

    assert await reason_of_next(house) == "max_exposure"
    await house.allow(max_exposure_pct=100)
    assert await reason_of_next(house) is None


async def test_the_purchases_of_the_korean_day_count_for_its_cap_in_every_market(
    house: House,
) -> None:
    await house.allow(max_daily_order_krw=350_000)
    assert await reason_of_next(house) is None
    assert await reason_of_next(house) is None
    assert await reason_of_next(house) == "max_daily_order"
    bought = sum(row.executed_funds for row in house.orders.rows.values())
    assert Decimal(300_000) < bought <= Decimal(350_000)

    house.clock.pass_time(86_400)

    assert await reason_of_next(house) is None
