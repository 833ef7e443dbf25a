"""Stored positions against the account: only coins that are certainly missing are a fault."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.domain.errors import DomainError, ExchangeUnavailable
from service.domain.markets import Balances, Market
from service.domain.orders import Intent, OrderStatus, Side
from service.flows.holdings_check import HoldingsCheck
from tests.builders import KRW_BTC, a_fill, an_exchange_order, an_intent, an_order
from tests.fakes.exchange import FakeExchange
from tests.fakes.logs import Logs
from tests.fakes.orders import FakeOrders
from tests.unit.flows.conftest import House

BTC_XRP = Market("BTC", "XRP")
HELD = Decimal("0.5")


class Account:
    """Half a coin, bought by us, that lies on the account."""

    def __init__(self) -> None:
        self.orders = FakeOrders()
        self.exchange = FakeExchange(balances={"KRW": 1_000_000, "BTC": HELD})
        self.orders.hold(an_order(id=1, status=OrderStatus.EXECUTED), a_fill(volume=HELD))
        self.check = HoldingsCheck(orders=self.orders, exchange=self.exchange)

    def have(self, volume: str, *, locked: str = "0") -> None:
        self.exchange.available["BTC"] = Decimal(volume)
        self.exchange.locked["BTC"] = Decimal(locked)

    async def compared(self, times: int = 2) -> bool:
        for _ in range(times):
            await self.check.compare()
        return self.check.disagree


@pytest.fixture
def account() -> Account:
    return Account()


async def test_missing_coins_contradict_our_books_from_the_second_look_on(
    account: Account, logs: Logs
) -> None:
    account.have("0.49999999")

    once = await account.compared(1)
    twice = await account.compared(1)
    await account.compared(3)

    assert (once, twice) == (False, True)
    assert [(line["level"], line["event"], line["currency"]) for line in logs.lines] == [
        ("ERROR", "order", "BTC")
    ]
    told = str([{**line, "timestamp": ""} for line in logs.lines])
    shown = [amount for amount in ("0.5", "0.4999", "1E-8", "00000001") if amount in told]
    assert shown == [], "what is held never appears in a log"


@pytest.mark.parametrize(
    ("available", "locked"), [("0.5", "0"), ("0", "0.5"), ("0.2", "0.3"), ("7", "0"), ("0.5", "7")]
)
async def test_all_of_it_or_more_is_no_contradiction(
    account: Account, available: str, locked: str
) -> None:
    account.have(available, locked=locked)

    assert not await account.compared(5)


async def test_a_currency_that_the_account_does_not_even_list_is_missing(account: Account) -> None:
    del account.exchange.available["BTC"]

    assert await account.compared()


async def test_coins_that_come_back_settle_it(account: Account, logs: Logs) -> None:
    account.have("0.1")
    await account.compared()
    account.have("0.5")

    assert not await account.compared(1)
    assert logs.levels == ["ERROR", "INFO"]


async def test_a_position_that_is_closed_settles_it(account: Account) -> None:
    account.have("0.1")
    await account.compared()
    sale = an_order(id=2, status=OrderStatus.EXECUTED, intent=a_sale())
    account.orders.hold(sale, a_fill(trade_uuid="t-2", volume=HELD))

    assert not await account.compared(1)


def a_sale() -> Intent:
    return an_intent(side=Side.SELL, funds=None, volume=HELD)


@pytest.mark.parametrize("status", [OrderStatus.PENDING, OrderStatus.UNKNOWN])
async def test_while_an_order_is_not_settled_nothing_is_concluded(
    account: Account, status: OrderStatus
) -> None:
    account.have("0")
    account.orders.hold(an_order(id=2, identifier="uat-2", status=status, intent=a_sale()))

    assert not await account.compared(5)


async def test_an_open_order_settles_nothing_either(account: Account) -> None:
    account.have("0.1")
    await account.compared()
    account.orders.hold(an_order(id=2, identifier="uat-2", status=OrderStatus.SUBMITTED))

    assert await account.compared(1)


class SellsMeanwhile(FakeExchange):
    """The account is seen after a sale that our tables show a moment later."""

    account: Account

    async def balances(self) -> Balances:
        balances = await super().balances()
        number = len(self.account.orders.rows) + 1
        sale = an_order(id=number, identifier=f"uat-{number}", status=OrderStatus.EXECUTED)
        self.account.orders.hold(
            replace(sale, intent=a_sale()),
            a_fill(trade_uuid=f"t-{number}", volume=Decimal("0.1")),
        )
        return balances


async def test_a_sale_between_the_two_answers_is_no_contradiction(account: Account) -> None:
    exchange = SellsMeanwhile(balances={"BTC": Decimal("0.1")})
    exchange.account = account
    account.check = HoldingsCheck(orders=account.orders, exchange=exchange)

    assert not await account.compared(3)


async def test_coins_that_are_money_in_another_market_may_be_spent(account: Account) -> None:
    bought = an_order(id=2, identifier="uat-2", status=OrderStatus.EXECUTED)
    bought = replace(bought, intent=an_intent(market=BTC_XRP))
    account.orders.hold(bought, a_fill(trade_uuid="t-2"))
    account.exchange.available["XRP"] = Decimal(1_000)
    account.have("0")

    assert not await account.compared()


async def test_one_currency_that_is_short_hides_no_other_and_blocks_none(account: Account) -> None:
    bought = an_order(id=2, identifier="uat-2", status=OrderStatus.EXECUTED)
    bought = replace(bought, intent=an_intent(market=Market("KRW", "ETH")))
    account.orders.hold(bought, a_fill(trade_uuid="t-2"))
    account.exchange.available["ETH"] = Decimal(0)

    assert await account.compared()
    assert account.orders.rows[1].market == KRW_BTC


async def test_who_holds_nothing_is_not_compared(account: Account) -> None:
    check = HoldingsCheck(orders=FakeOrders(), exchange=account.exchange)

    await check.compare()

    assert account.exchange.calls == []


async def test_an_exchange_that_is_away_leaves_what_was_known(account: Account) -> None:
    account.have("0")
    await account.compared()
    account.exchange.fail_next("balances", ExchangeUnavailable(code="timeout"))

    with pytest.raises(ExchangeUnavailable):
        await account.check.compare()

    assert account.check.disagree


async def test_a_process_that_trades_no_more_forgets(account: Account) -> None:
    account.have("0")
    await account.compared()

    account.check.forget()

    assert not account.check.disagree


async def test_an_exchange_that_says_what_our_books_rule_out_is_noted_by_the_reconciler(
    house: House,
) -> None:
    house.orders.hold(an_order(status=OrderStatus.SUBMITTED))
    house.exchange.fail_next("find", DomainError("a trade belongs to another order"))
    await house.reconciler.reconcile()
    contradicted = house.reconciler.contradicted
    house.exchange.orders["uat-1"] = an_exchange_order()
    house.clock.pass_time(30)  # such an order is looked up seldom

    await house.reconciler.reconcile()

    assert contradicted
    assert not house.reconciler.contradicted
