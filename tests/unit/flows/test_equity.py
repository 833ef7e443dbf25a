"""All of the account is written down, or nothing."""

from datetime import timedelta
from decimal import Decimal

import pytest

from service.domain.errors import BoundaryError, ExchangeRefused, ExchangeUnavailable, StoreDown
from service.domain.markets import Market
from service.domain.orders import OrderStatus
from service.domain.portfolio import Equity
from service.flows.equity import PRICE_LASTS, Snapshots
from tests.builders import KRW_BTC, T0, a_fill, a_ticker, an_intent, an_order
from tests.fakes.clock import FakeClock
from tests.fakes.equities import FakeEquities
from tests.fakes.exchange import FakeExchange
from tests.fakes.market_data import FakeMarketData
from tests.fakes.orders import FakeOrders

KRW_ETH, BTC_XRP = Market("KRW", "ETH"), Market("BTC", "XRP")
PRICE = Decimal(110_000_000)


class Account:
    """Ten million won less what 0.001 BTC cost, which lie on the account."""

    def __init__(self) -> None:
        self.clock = FakeClock(T0 + timedelta(seconds=12))
        self.exchange = FakeExchange(balances={"KRW": 9_899_950, "BTC": Decimal("0.001")})
        self.market_data, self.orders = FakeMarketData(), FakeOrders()
        self.equities = FakeEquities()
        self.orders.hold(an_order(id=1, status=OrderStatus.EXECUTED), a_fill())
        self.snapshots = Snapshots(
            markets=(KRW_BTC, KRW_ETH),
            exchange=self.exchange,
            market_data=self.market_data,
            orders=self.orders,
            equities=self.equities,
            clock=self.clock,
        )

    def collect(
        self, *, price: Decimal = PRICE, market: Market = KRW_BTC, age_s: float = 3
    ) -> None:
        at = self.clock.now() - timedelta(seconds=age_s)
        self.market_data.tickers.append((at, a_ticker(market=market, price=price)))


@pytest.fixture
def account() -> Account:
    return Account()


async def test_the_account_is_cash_and_coins_at_the_newest_price(account: Account) -> None:
    account.collect(price=Decimal(1), age_s=20)
    account.collect()

    await account.snapshots.step()

    assert account.equities.rows == [
        (
            T0,
            Equity(
                quote="KRW",
                cash=Decimal(9_899_950),
                coins=Decimal(110_000),
                realised_pnl=Decimal(-50),
                unrealised_pnl=Decimal(10_000),
                fees_paid=Decimal(50),
            ),
        )
    ]


async def test_what_open_orders_lock_counts_too(account: Account) -> None:
    account.collect()
    account.exchange.locked["KRW"] = Decimal(1_000)
    account.exchange.locked["BTC"] = Decimal("0.002")

    await account.snapshots.step()

    (_, equity) = account.equities.rows[0]
    assert (equity.cash, equity.coins) == (Decimal(9_900_950), Decimal(330_000))


async def test_the_owners_own_coins_are_worth_something_and_earn_us_nothing(
    account: Account,
) -> None:
    account.exchange.available["BTC"] += 1
    account.collect()

    await account.snapshots.step()

    (_, equity) = account.equities.rows[0]
    assert (equity.coins, equity.unrealised_pnl) == (Decimal(110_110_000), Decimal(10_000))


@pytest.mark.parametrize("error", [ExchangeUnavailable("no answer"), ExchangeRefused("no")])
async def test_without_an_answer_of_the_exchange_nothing_is_stored(
    account: Account, error: BoundaryError
) -> None:
    account.collect()
    account.exchange.fail_next("balances", error)

    with pytest.raises(type(error)):
        await account.snapshots.step()

    assert account.equities.rows == []


@pytest.mark.parametrize("age", [None, PRICE_LASTS + timedelta(seconds=1)])
async def test_without_a_fresh_price_of_what_is_held_nothing_is_stored(
    account: Account, age: timedelta | None
) -> None:
    account.collect(market=KRW_ETH)
    if age is not None:
        account.collect(age_s=age.total_seconds())

    with pytest.raises(ExchangeUnavailable, match="no price of KRW-BTC") as refused:
        await account.snapshots.step()

    assert refused.value.retryable
    assert account.equities.rows == []


async def test_a_market_of_which_nothing_is_held_needs_no_price(account: Account) -> None:
    account.collect()
    account.exchange.available["ETH"] = Decimal(0)

    await account.snapshots.step()

    assert len(account.equities.rows) == 1


async def test_coins_whose_market_is_collected_no_more_are_asked_for(account: Account) -> None:
    account.collect()
    order = an_order(id=2, status=OrderStatus.EXECUTED, intent=an_intent(market=BTC_XRP))
    account.orders.hold(order, a_fill(trade_uuid="t-2", volume=Decimal(5), funds=Decimal("0.1")))
    account.exchange.available["XRP"] = Decimal(5)
    account.exchange.set_price(Decimal("0.03").normalize(), BTC_XRP)

    await account.snapshots.step()

    btc, krw = (equity for _, equity in account.equities.rows)
    assert (btc.quote, btc.cash, btc.coins) == ("BTC", Decimal("0.001"), Decimal("0.15"))
    assert btc.unrealised_pnl == Decimal("0.05")
    assert (krw.quote, krw.coins) == ("KRW", Decimal(110_000))


async def test_such_a_price_that_nobody_has_stores_nothing(account: Account) -> None:
    account.collect()
    order = an_order(id=2, status=OrderStatus.EXECUTED, intent=an_intent(market=BTC_XRP))
    account.orders.hold(order, a_fill(trade_uuid="t-2"))

    with pytest.raises(ExchangeRefused):
        await account.snapshots.step()

    assert account.equities.rows == []


async def test_an_account_without_a_won_is_worth_nothing(account: Account) -> None:
    account.exchange.available.clear()
    account.orders.booked.clear()

    await account.snapshots.step()

    (_, equity) = account.equities.rows[0]
    assert {equity.cash, equity.coins, equity.fees_paid} == {Decimal(0)}


async def test_sums_keep_every_digit(account: Account) -> None:
    account.exchange.available["BTC"] = Decimal("12345678.12345678")
    account.collect(price=Decimal("1234567890123.12345678"))

    await account.snapshots.step()

    (_, equity) = account.equities.rows[0]
    assert equity.coins == Decimal("15241577793015238957.6474223565279684")


async def test_a_store_that_is_away_is_told_of(account: Account) -> None:
    account.collect()
    account.equities.fail = StoreDown("away")

    with pytest.raises(StoreDown):
        await account.snapshots.step()
