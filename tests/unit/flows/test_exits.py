from decimal import Decimal

import pytest

from service.domain.errors import OrderRefused
from service.domain.orders import Breach, ExitRule, OrderStatus, Side
from service.domain.trading_states import HaltKind, TradingStatus
from service.flows.exits import Exits
from tests.builders import KRW_BTC, an_intent
from tests.unit.flows.conftest import House

BREACH = Breach(rule=ExitRule.STOP_LOSS, price=Decimal(94), limit=Decimal(95))


async def sold(house: House) -> OrderStatus:
    order = await Exits(executor=house.executor).sell(
        KRW_BTC, Decimal("0.001"), rule=BREACH.rule, price=BREACH.price, limit=BREACH.limit
    )
    assert order.intent.side is Side.SELL
    return order.status


async def bought(house: House) -> None:
    await house.executor.execute(an_intent(funds=Decimal(100_000)), decision_id=None)


async def test_an_exit_sells_at_the_market_and_names_its_rule(house: House) -> None:
    await bought(house)

    status = await sold(house)

    assert status is OrderStatus.EXECUTED
    assert house.orders.tables.exits == [(2, BREACH)]
    assert house.orders.rows[2].rule is ExitRule.STOP_LOSS
    assert (await house.orders.position(KRW_BTC)).volume == 0


@pytest.mark.parametrize("reducing", [True, False])
async def test_an_exit_sells_where_purchases_are_halted_or_trading_is_off(
    house: House, reducing: bool
) -> None:
    await bought(house)
    if reducing:
        await halted(house, TradingStatus.REDUCING)
    else:
        await house.allow(trading_enabled=False)

    assert await sold(house) is OrderStatus.EXECUTED


async def test_a_full_halt_stops_exits_too(house: House) -> None:
    await bought(house)
    await halted(house, TradingStatus.HALTED)

    with pytest.raises(OrderRefused):
        await sold(house)

    assert len(house.exchange.sent) == 1


async def test_exits_do_not_count_against_the_orders_of_an_hour(house: House) -> None:
    await house.allow(max_orders_per_hour=1)
    await bought(house)

    assert await sold(house) is OrderStatus.EXECUTED


async def halted(house: House, kind: HaltKind) -> None:
    await house.trading_switch.halt(kind=kind, reason="test", actor="test")
