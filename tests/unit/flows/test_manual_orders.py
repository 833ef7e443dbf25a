"""An operator's own orders: a signal's checks, and never two orders for one key."""

import asyncio
from decimal import Decimal

import pytest

from service.domain.errors import (
    InvalidOrder,
    KeyReused,
    NotLeader,
    OrderRefused,
    OutcomeUnknown,
    StoreDown,
)
from service.domain.markets import Market, MarketRules
from service.domain.orders import Intent, OrderStatus, OrderType, Side
from service.domain.trading_states import TradingStatus
from service.flows.manual_orders import PlacedOrder
from tests.builders import KRW_BTC, T0, an_intent, some_rules
from tests.unit.flows.conftest import House


def a_limit_order(price: int = 90_000_000, volume: str = "0.001") -> Intent:
    return an_intent(type=OrderType.LIMIT, price=Decimal(price), volume=Decimal(volume), funds=None)


async def test_an_order_by_hand_is_sent_as_it_was_asked_for(house: House) -> None:
    placed = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    assert placed == PlacedOrder(id=1, is_new=True)
    assert [intent for intent, _ in house.exchange.sent] == [a_limit_order()]
    assert house.orders.rows[1].decision_id is None


async def test_the_same_key_and_body_answer_the_same_order(house: House) -> None:
    first = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    again = await house.manual_orders.place(
        a_limit_order(volume="0.00100"), idempotency_key="k-1", actor="ann"
    )

    assert again == PlacedOrder(id=first.id, is_new=False)
    assert len(house.exchange.sent) == 1


async def test_the_same_key_with_another_body_is_refused(house: House) -> None:
    await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    with pytest.raises(KeyReused, match="order 1"):
        await house.manual_orders.place(
            a_limit_order(volume="0.002"), idempotency_key="k-1", actor="ann"
        )

    assert len(house.exchange.sent) == 1


async def test_two_requests_at_once_with_one_key_make_one_order(house: House) -> None:
    first, second = await asyncio.gather(
        house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann"),
        house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann"),
    )

    assert (first.id, second.id) == (1, 1)
    assert [first.is_new, second.is_new] == [True, False]
    assert len(house.exchange.sent) == 1


async def test_two_verdicts_at_once_count_each_others_orders(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = house.exchange.rules

    async def slow(market: Market) -> MarketRules:
        await asyncio.sleep(0)
        return await known(market)

    monkeypatch.setattr(house.exchange, "rules", slow)
    first, second = await asyncio.gather(
        house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann"),
        house.manual_orders.place(a_limit_order(), idempotency_key="k-2", actor="ann"),
        return_exceptions=True,
    )

    assert first == PlacedOrder(id=1, is_new=True)
    assert isinstance(second, OrderRefused)
    assert second.rule == "open_order"
    assert len(house.exchange.sent) == 1


async def test_a_key_that_is_stored_between_look_up_and_insert_makes_no_second_order(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.manual_orders.place(
        an_intent(funds=Decimal(10_000)), idempotency_key="k-1", actor="ann"
    )
    known, looks = house.order_requests.by_key, iter([True, False])

    async def late(idempotency_key: str) -> object:
        return None if next(looks) else await known(idempotency_key)

    monkeypatch.setattr(house.order_requests, "by_key", late)
    again = await house.manual_orders.place(
        an_intent(funds=Decimal(10_000)), idempotency_key="k-1", actor="ann"
    )

    assert again == PlacedOrder(id=1, is_new=False)
    assert len(house.exchange.sent) == 1


async def test_a_lost_answer_of_the_insert_is_found_by_the_key(house: House) -> None:
    house.orders.lose = StoreDown("the answer is lost")
    with pytest.raises(StoreDown):
        await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    again = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    assert again == PlacedOrder(id=1, is_new=False)
    assert house.exchange.sent == []


async def test_an_order_of_unknown_outcome_is_the_keys_order(house: House) -> None:
    house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)

    first = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")
    again = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    assert (first.is_new, again.is_new, again.id) == (True, False, first.id)
    assert len(house.exchange.sent) == 1


async def test_a_price_off_the_tick_is_named_and_not_rounded(house: House) -> None:
    with pytest.raises(InvalidOrder, match="a multiple of 1000, the tick"):
        await house.manual_orders.place(
            a_limit_order(90_000_500), idempotency_key="k-1", actor="ann"
        )

    assert (house.orders.rows, house.exchange.sent) == ({}, [])


async def test_the_tick_is_that_of_the_limit_price(house: House) -> None:
    steps = ((Decimal(0), Decimal(500)), (Decimal(95_000_000), Decimal(1_000)))
    house.exchange.market_rules[KRW_BTC] = some_rules(ticks=steps)

    placed = await house.manual_orders.place(
        a_limit_order(90_000_500), idempotency_key="k-1", actor="ann"
    )

    assert placed.is_new


async def test_a_refusal_names_its_rule_and_leaves_the_key_free(house: House) -> None:
    with pytest.raises(OrderRefused) as caught:
        await house.manual_orders.place(
            a_limit_order(volume="1"), idempotency_key="k-1", actor="ann"
        )
    placed = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    assert caught.value.rule == "max_position"
    assert placed.is_new


async def test_each_refusal_before_the_insert_is_one_risk_event_with_its_caller(
    house: House,
) -> None:
    """Only the insert's own refusals left a row: `GET risk/events` did not say why."""
    too_much = a_limit_order(volume="1")
    with pytest.raises(OrderRefused):
        await house.manual_orders.place(too_much, idempotency_key="k-1", actor="ann")
    await house.allow(markets=["KRW-ETH"])
    with pytest.raises(OrderRefused):
        await house.manual_orders.place(an_intent(), idempotency_key="k-2", actor="bob")

    assert [
        (actor, intent, verdict.reason, verdict.limit, verdict.actual)
        for actor, intent, verdict in house.order_requests.refused
    ] == [
        ("ann", too_much, "max_position", "2000000", "90000000"),
        ("bob", an_intent(), "markets", "KRW-ETH", "KRW-BTC"),
    ]


async def test_an_order_that_is_placed_leaves_no_refusal(house: House) -> None:
    await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")

    assert house.order_requests.refused == []


async def test_a_halt_stops_purchases_by_hand_and_not_sales(house: House) -> None:
    await house.manual_orders.place(
        an_intent(funds=Decimal(100_000)), idempotency_key="k-1", actor="ann"
    )
    await house.state.halt(
        kind=TradingStatus.REDUCING, reason="test", actor="test", at=T0, detail={}
    )

    with pytest.raises(OrderRefused) as caught:
        await house.manual_orders.place(an_intent(), idempotency_key="k-2", actor="ann")
    sale = an_intent(side=Side.SELL, volume=Decimal("0.001"), funds=None)
    sold = await house.manual_orders.place(sale, idempotency_key="k-3", actor="ann")

    assert caught.value.rule == "trading_enabled"
    assert house.orders.rows[sold.id].status is OrderStatus.EXECUTED


async def test_nothing_is_bought_by_hand_in_a_market_that_is_not_traded(house: House) -> None:
    await house.allow(markets=["KRW-ETH"])

    with pytest.raises(OrderRefused) as caught:
        await house.manual_orders.place(an_intent(), idempotency_key="k-1", actor="ann")

    assert caught.value.rule == "markets"


async def test_a_standby_places_nothing_and_still_knows_the_keys(house: House) -> None:
    await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")
    house.lease.epoch = None
    await house.leadership.renew()

    again = await house.manual_orders.place(a_limit_order(), idempotency_key="k-1", actor="ann")
    with pytest.raises(NotLeader):
        await house.manual_orders.place(a_limit_order(), idempotency_key="k-2", actor="ann")

    assert again.id == 1
