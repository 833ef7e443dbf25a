"""What becomes of an entry that the book does not fill, or fills in part."""

from decimal import Decimal

from service.domain.orders import OrderStatus, OrderType
from tests.builders import KRW_BTC
from tests.unit.flows.conftest import House


async def the_order(house: House) -> tuple[OrderStatus, Decimal]:
    (order,) = house.orders.rows.values()
    return order.status, order.executed_volume


async def test_an_entry_is_filled_at_the_best_price_within_its_limit(house: House) -> None:
    house.exchange.spread = Decimal(400_000)

    await house.pipeline.trade(KRW_BTC)

    (order,) = house.orders.rows.values()
    assert (order.intent.type, order.intent.price) == (OrderType.LIMIT_IOC, Decimal(100_902_000))
    assert order.status is OrderStatus.EXECUTED
    assert order.executed_volume == order.intent.volume
    assert order.executed_funds == order.executed_volume * Decimal(100_400_000)


async def test_what_the_book_does_not_offer_comes_back_and_the_order_is_executed(
    house: House,
) -> None:
    house.exchange.offered = Decimal("0.0005")

    await house.pipeline.trade(KRW_BTC)

    assert await the_order(house) == (OrderStatus.EXECUTED, Decimal("0.0005"))
    assert (await house.orders.position(KRW_BTC)).volume == Decimal("0.0005")
    assert house.exchange.locked["KRW"] == 0


async def test_an_entry_that_finds_nothing_ends_and_the_market_goes_on(house: House) -> None:
    house.exchange.offered = Decimal(0)
    await house.pipeline.trade(KRW_BTC)

    for _ in range(3):
        house.clock.pass_time(1)
        await house.reconciler.reconcile()

    assert await the_order(house) == (OrderStatus.CANCELLED, Decimal(0))
    house.exchange.offered = None
    await house.pipeline.trade(KRW_BTC)
    assert len(house.exchange.sent) == 2


async def test_an_entry_is_never_cancelled_for_its_age(house: House) -> None:
    """It cannot rest on the book: one that seems to is looked up, and is an operator's to see."""
    house.exchange.offered = Decimal(0)
    await house.pipeline.trade(KRW_BTC)
    (order,) = house.orders.rows.values()
    house.clock.pass_time(86_400)
    await house.leadership.renew()

    await house.order_cancels.step()

    assert "cancel" not in house.exchange.calls
    assert order.intent.type.rests is False
