"""PostgreSQL and its twin in memory keep the same promises: the simulation trusts the twin."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any, Final

import pytest

from service.domain.errors import DomainError, DuplicateOrder, NotLeader, OrderRefused
from service.domain.markets import Market
from service.domain.orders import (
    OPEN,
    Breach,
    ExitRule,
    Intent,
    Order,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Quarantine,
    Side,
)
from service.domain.trading_states import (
    HaltKind,
    OrderAct,
    OrderSource,
    TradingStatus,
    permits,
    strictest,
)
from tests.builders import KRW_BTC, T0, a_fill, an_intent
from tests.integration.store.contract import PgStore, StoreUnderTest, TwinStore

_S = OrderStatus
REDUCING: Final = TradingStatus.REDUCING
HALTED: Final = TradingStatus.HALTED
KRW_ETH = Market("KRW", "ETH")


@pytest.fixture(params=["postgres", "twin"])
def store(request: pytest.FixtureRequest) -> StoreUnderTest:
    if request.param == "twin":
        return TwinStore()
    return PgStore(request.getfixturevalue("pool"))


async def the_epoch(store: StoreUnderTest, owner: str = "one") -> int:
    epoch = await store.lease(owner).acquire()
    assert epoch is not None
    return epoch


async def added(
    store: StoreUnderTest,
    identifier: str = "uat-1",
    *,
    intent: Intent | None = None,
    decision_id: int | None = None,
    epoch: int | None = None,
    minutes: int = 0,
    source: OrderSource = OrderSource.SIGNAL,
    most_per_hour: int | None = None,
    is_on: bool = True,
    idempotency_key: str | None = None,
) -> Order:
    await store.store_setting("trading_enabled", is_on)
    return await store.orders.add(
        intent or an_intent(),
        identifier=identifier,
        decision_id=decision_id,
        at=T0 + timedelta(minutes=minutes),
        epoch=await the_epoch(store) if epoch is None else epoch,
        source=source,
        most_per_hour=most_per_hour,
        idempotency_key=idempotency_key,
    )


async def read(store: StoreUnderTest, order_id: int) -> Order | None:
    """Return the order while it is open; the port reads no settled ones."""
    return next((row for row in await store.orders.open() if row.id == order_id), None)


# --- the lease ----------------------------------------------------------------------------------


async def test_a_renewal_keeps_the_epoch_and_another_owner_gets_none(store: StoreUnderTest) -> None:
    one, two = store.lease("one"), store.lease("two")

    assert [await one.acquire(), await two.acquire(), await one.acquire()] == [1, None, 1]


async def test_an_expired_lease_gets_a_new_epoch_whoever_takes_it(store: StoreUnderTest) -> None:
    one, two = store.lease("one"), store.lease("two")
    await one.acquire()
    await store.expire_lease()
    assert await one.acquire() == 2
    await store.expire_lease()

    assert [await two.acquire(), await one.acquire()] == [3, None]


async def test_only_the_owner_releases_and_the_next_epoch_is_higher(store: StoreUnderTest) -> None:
    one, two = store.lease("one"), store.lease("two")
    await one.acquire()
    await two.release()
    assert await two.acquire() is None
    await one.release()

    assert await two.acquire() == 2


# --- the rules of an order's insert -------------------------------------------------------------

_ACTIVE: Final = TradingStatus.ACTIVE
_DISABLED: Final = TradingStatus.DISABLED
#: For all markets, for the order's market, for another one: each a halt or none.
HALTED_WHERE: Final = tuple(product((None, REDUCING, HALTED), repeat=3))


async def halt(store: StoreUnderTest, kind: HaltKind | None, market: Market | None) -> None:
    if kind is not None:
        await store.states.halt(
            kind=kind, reason="test", actor="test", at=T0, detail={}, market=market
        )


async def outcome(
    store: StoreUnderTest, n: int, *, side: Side, funds: int = 100_000, **options: Any
) -> str | None:
    """Return the rule that refused an order, or None when it is written."""
    sale = {"side": Side.SELL, "volume": Decimal(1), "funds": None}
    intent = an_intent(**(sale if side is Side.SELL else {"funds": Decimal(funds)}))
    try:
        await added(store, f"uat-{n}", intent=intent, **options)
    except OrderRefused as exc:
        return exc.rule
    return None


@pytest.mark.parametrize(("everywhere", "here", "elsewhere"), HALTED_WHERE)
async def test_an_insert_permits_what_the_table_of_states_permits(
    store: StoreUnderTest,
    everywhere: HaltKind | None,
    here: HaltKind | None,
    elsewhere: HaltKind | None,
) -> None:
    """Every combination of halts, switch, source and side: 27 x 2 x 4 x 2."""
    await halt(store, everywhere, None)
    await halt(store, here, KRW_BTC)
    await halt(store, elsewhere, KRW_ETH)
    combinations = tuple(product((True, False), OrderSource, Side))

    found = [
        await outcome(store, n, side=side, source=source, is_on=is_on)
        for n, (is_on, source, side) in enumerate(combinations)
    ]

    statuses = [
        strictest((everywhere or _ACTIVE, here or _ACTIVE, _ACTIVE if is_on else _DISABLED))
        for is_on, _, _ in combinations
    ]
    permitted = [
        permits(status, source, OrderAct.of(side))
        for status, (_, source, side) in zip(statuses, combinations, strict=True)
    ]
    assert found == [None if ok else "trading_enabled" for ok in permitted]
    assert await store.refusals() == [
        ("trading_enabled", status.value)
        for status, ok in zip(statuses, permitted, strict=True)
        if not ok
    ]


@pytest.mark.parametrize("stored", [None, "true", 1, {"on": True}])
async def test_a_switch_that_is_not_plainly_on_is_off(store: StoreUnderTest, stored: Any) -> None:
    epoch = await the_epoch(store)
    await store.store_setting("trading_enabled", stored)

    with pytest.raises(OrderRefused, match="switched off"):
        await store.orders.add(
            an_intent(),
            identifier="uat-1",
            decision_id=None,
            at=T0,
            epoch=epoch,
            source=OrderSource.SIGNAL,
            most_per_hour=None,
        )


@pytest.mark.parametrize(("given", "stored"), [(2, None), (2, 9), (9, 2), (2, "9")])
async def test_an_insert_counts_the_orders_of_the_hour_before_it(
    store: StoreUnderTest, given: int, stored: Any
) -> None:
    """The lower one counts: what was read a moment ago, or what stands in the table now."""
    if stored is not None:
        await store.store_setting("max_orders_per_hour", stored)

    found = [
        await outcome(store, minutes, side=Side.BUY, minutes=minutes, most_per_hour=given)
        for minutes in (0, 30, 60, 61, 95)
    ]

    assert found == [None, None, "order_rate", None, None]


async def test_an_insert_keeps_the_cap_of_a_purchase(store: StoreUnderTest) -> None:
    await store.store_setting("max_order_krw", "9999.5")

    found = [
        await outcome(store, number, side=side, funds=funds, minutes=60 * number)
        for number, (side, funds) in enumerate(
            [(Side.BUY, 9_999), (Side.BUY, 10_000), (Side.SELL, 10_000)]
        )
    ]

    assert found == [None, "max_order", None]


async def test_an_insert_keeps_the_cap_of_a_korean_day(store: StoreUnderTest) -> None:
    """What was written and not ended counts whole; the next day begins with nothing."""
    await store.store_setting("max_daily_order_krw", "25000")

    found = [
        await outcome(store, number, side=side, funds=funds, minutes=minutes)
        for number, (side, funds, minutes) in enumerate(
            [
                (Side.BUY, 10_000, 0),
                (Side.SELL, 10_000, 1),
                (Side.BUY, 15_000, 2),
                (Side.BUY, 5_000, 3),
                (Side.SELL, 5_000, 4),
                (Side.BUY, 5_000, 24 * 60),
            ]
        )
    ]

    assert found == [None, None, None, "max_daily_order", None, None]


async def test_a_cap_that_is_off_stops_nothing(store: StoreUnderTest) -> None:
    await store.store_setting("max_daily_order_krw", None)

    assert await outcome(store, 1, side=Side.BUY, funds=10**9, minutes=0) is None


async def test_an_order_that_is_not_limited_is_not_counted_against_the_limit(
    store: StoreUnderTest,
) -> None:
    await store.store_setting("max_orders_per_hour", 1)

    found = [await outcome(store, n, side=Side.SELL) for n in range(3)]

    assert found == [None, None, None]


# --- add ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "intent",
    [
        an_intent(funds=Decimal("100000.12345678")),
        an_intent(side=Side.SELL, volume=Decimal("0.00000001"), funds=None),
        an_intent(type=OrderType.LIMIT, price=Decimal("0.0123"), volume=Decimal("7.5"), funds=None),
        an_intent(type=OrderType.LIMIT_IOC, price=Decimal(5_000), volume=Decimal(2), funds=None),
    ],
)
async def test_an_added_order_is_pending_and_read_back_as_it_was_meant(
    store: StoreUnderTest, intent: Intent
) -> None:
    decision_id = await store.new_decision()

    order = await added(store, intent=intent, decision_id=decision_id)

    assert (order.status, order.intent, order.decision_id) == (_S.PENDING, intent, decision_id)
    assert (order.created_at, order.sent_at, order.identifier) == (T0, T0, "uat-1")
    assert await store.orders.open() == (order,)


async def test_without_a_lease_no_order_is_written(store: StoreUnderTest) -> None:
    with pytest.raises(NotLeader):
        await added(store, epoch=1)

    assert await store.orders.count_since(T0) == 0


async def test_an_old_or_expired_epoch_writes_no_order(store: StoreUnderTest) -> None:
    old = await the_epoch(store)
    await store.expire_lease()
    with pytest.raises(NotLeader):
        await added(store, epoch=old)
    new = await the_epoch(store, "two")
    with pytest.raises(NotLeader):
        await added(store, epoch=old)

    assert (await added(store, epoch=new)).status is _S.PENDING


async def test_an_identifier_is_used_once_even_after_a_failure(store: StoreUnderTest) -> None:
    order = await added(store)
    await store.orders.advance(order.moved_to(_S.FAILED, reason="x"), seen=_S.PENDING, at=T0)

    with pytest.raises(DuplicateOrder):
        await added(store)


async def test_a_decision_has_one_order_that_did_not_fail(store: StoreUnderTest) -> None:
    decision_id = await store.new_decision()
    order = await added(store, decision_id=decision_id)
    with pytest.raises(DuplicateOrder):
        await added(store, "uat-2", decision_id=decision_id)
    await store.orders.advance(order.moved_to(_S.FAILED, reason="x"), seen=_S.PENDING, at=T0)

    again = await added(store, "uat-3", decision_id=decision_id)

    assert await store.orders.open() == (again,)


# --- advance ------------------------------------------------------------------------------------


async def lapse(store: StoreUnderTest, decision_id: int) -> bool:
    return await store.signals.lapse(
        decision_id, market=KRW_BTC, reason="lease_lost", detail="lost", at=T0
    )


async def lapse_unordered(store: StoreUnderTest) -> list[int]:
    return list(await store.signals.lapse_unordered(reason="process_ended", detail="gone", at=T0))


async def test_a_decision_that_lapsed_gets_no_order(store: StoreUnderTest) -> None:
    decision_id = await store.new_decision()

    assert [await lapse(store, decision_id), await lapse(store, decision_id)] == [True, False]
    with pytest.raises(DuplicateOrder, match="lapsed"):
        await added(store, decision_id=decision_id)

    assert await store.lapsed() == {decision_id: "lease_lost"}
    assert await store.orders.open() == ()


async def test_a_decision_with_an_order_does_not_lapse(store: StoreUnderTest) -> None:
    decision_id = await store.new_decision()
    order = await added(store, decision_id=decision_id)

    assert await lapse(store, decision_id) is False
    await store.orders.advance(order.moved_to(_S.FAILED, reason="not_sent"), seen=_S.PENDING, at=T0)
    assert await lapse(store, decision_id) is False

    assert await lapse_unordered(store) == []
    assert await store.lapsed() == {}


async def test_a_decision_whose_order_is_refused_as_it_is_written_lapses(
    store: StoreUnderTest,
) -> None:
    decision_id = await store.new_decision()

    with pytest.raises(OrderRefused):
        await added(store, decision_id=decision_id, is_on=False)
    with pytest.raises(DuplicateOrder, match="lapsed"):
        await added(store, decision_id=decision_id)

    assert await store.lapsed() == {decision_id: "trading_enabled"}
    assert await store.refusals() == [("trading_enabled", "DISABLED")]


async def test_a_takeover_lapses_every_allowed_decision_without_an_order_once(
    store: StoreUnderTest,
) -> None:
    ordered, refused, forgotten = [await store.new_decision() for _ in range(3)]
    await added(store, decision_id=ordered)
    with pytest.raises(OrderRefused):
        await added(store, "uat-2", decision_id=refused, is_on=False)

    assert await lapse_unordered(store) == [forgotten]
    assert await lapse_unordered(store) == []

    assert await store.lapsed() == {refused: "trading_enabled", forgotten: "process_ended"}


async def test_state_fills_sums_and_position_are_stored_together(store: StoreUnderTest) -> None:
    order = await added(store)
    partly = replace(order.moved_to(_S.PARTIALLY_FILLED), exchange_uuid="e-1")
    fill = a_fill(fee=Decimal("50.000000000001"))

    assert await store.orders.advance(partly, seen=_S.PENDING, fills=[fill], at=T0)

    assert await read(store, order.id) == replace(
        partly, executed_volume=fill.volume, executed_funds=fill.funds, paid_fee=fill.fee
    )
    assert await store.orders.fills(order.id) == (fill,)
    position = await store.orders.position(KRW_BTC)
    assert (position.volume, position.cost, position.fees_paid) == (
        fill.volume,
        fill.funds,
        fill.fee,
    )
    assert await store.orders.positions() == (position,)


async def test_an_advance_from_another_status_stores_nothing(store: StoreUnderTest) -> None:
    order = await added(store)
    sent = order.moved_to(_S.SUBMITTED)
    assert await store.orders.advance(sent, seen=_S.PENDING, at=T0)

    late = order.moved_to(_S.EXECUTED)
    assert not await store.orders.advance(late, seen=_S.PENDING, fills=[a_fill()], at=T0)

    assert await read(store, order.id) == sent
    assert await store.orders.fills(order.id) == ()


async def test_an_order_without_a_row_cannot_be_advanced(store: StoreUnderTest) -> None:
    order = await added(store)
    stranger = replace(order.moved_to(_S.EXECUTED), id=order.id + 1)

    assert not await store.orders.advance(stranger, seen=_S.PENDING, at=T0)


async def test_a_stored_exchange_uuid_is_never_cleared(store: StoreUnderTest) -> None:
    order = await added(store)
    known = replace(order.moved_to(_S.SUBMITTED), exchange_uuid="e-1")
    await store.orders.advance(known, seen=_S.PENDING, at=T0)

    await store.orders.advance(order.moved_to(_S.PARTIALLY_FILLED), seen=_S.SUBMITTED, at=T0)

    seen = await read(store, order.id)
    assert seen is not None
    assert seen.exchange_uuid == "e-1"


async def test_a_fill_that_is_stored_stops_the_whole_advance(store: StoreUnderTest) -> None:
    order = await added(store)
    partly = order.moved_to(_S.PARTIALLY_FILLED)
    await store.orders.advance(partly, seen=_S.PENDING, fills=[a_fill()], at=T0)

    again = [a_fill(), a_fill(trade_uuid="t-2")]
    assert not await store.orders.advance(partly, seen=_S.PARTIALLY_FILLED, fills=again, at=T0)

    assert await store.orders.fills(order.id) == (a_fill(),)
    assert (await store.orders.position(KRW_BTC)).volume == a_fill().volume


async def test_a_trade_given_twice_or_of_another_order_is_an_error(store: StoreUnderTest) -> None:
    one, two = await added(store), await added(store, "uat-2")
    await store.orders.advance(one.moved_to(_S.EXECUTED), seen=_S.PENDING, fills=[a_fill()], at=T0)
    done = two.moved_to(_S.EXECUTED)

    for fills in ([a_fill()], [a_fill(trade_uuid="t-2"), a_fill(trade_uuid="t-2")]):
        with pytest.raises(DomainError):
            await store.orders.advance(done, seen=_S.PENDING, fills=fills, at=T0)

    assert await store.orders.open() == (two,)
    assert await store.orders.fills(two.id) == ()


async def test_two_orders_are_never_one_order_of_the_exchange(store: StoreUnderTest) -> None:
    one, two = await added(store), await added(store, "uat-2")
    sent = replace(one.moved_to(_S.SUBMITTED), exchange_uuid="e-1")
    await store.orders.advance(sent, seen=_S.PENDING, at=T0)

    same = replace(two.moved_to(_S.SUBMITTED), exchange_uuid="e-1")
    with pytest.raises(DomainError):
        await store.orders.advance(same, seen=_S.PENDING, fills=[a_fill()], at=T0)

    assert await read(store, two.id) == two
    assert await store.orders.positions() == ()


async def test_a_fee_that_comes_after_its_trades_is_charged_to_the_last_fill(
    store: StoreUnderTest,
) -> None:
    order = await added(store)
    partly = order.moved_to(_S.PARTIALLY_FILLED)
    fills = (a_fill(fee=Decimal(0)), a_fill(trade_uuid="t-2", fee=Decimal(0)))
    await store.orders.advance(partly, seen=_S.PENDING, fills=fills, paid_fee=Decimal(0), at=T0)

    assert await store.orders.advance(
        partly.moved_to(_S.EXECUTED), seen=_S.PARTIALLY_FILLED, paid_fee=Decimal("100.1"), at=T0
    )

    booked = await store.orders.fills(order.id)
    assert [fill.fee for fill in booked] == [Decimal(0), Decimal("100.1")]
    position = await store.orders.position(KRW_BTC)
    assert (position.fees_paid, position.realised_pnl) == (Decimal("100.1"), Decimal("-100.1"))
    found = await store.orders.find("uat-1")
    assert found is not None
    assert found.paid_fee == Decimal("100.1")


async def test_a_fee_below_what_the_fills_carry_is_an_error_and_nothing_is_stored(
    store: StoreUnderTest,
) -> None:
    order = await added(store)
    partly = order.moved_to(_S.PARTIALLY_FILLED)
    await store.orders.advance(partly, seen=_S.PENDING, fills=[a_fill()], at=T0)

    with pytest.raises(DomainError):
        await store.orders.advance(
            partly.moved_to(_S.EXECUTED),
            seen=_S.PARTIALLY_FILLED,
            fills=[a_fill(trade_uuid="t-2", fee=Decimal(10))],
            paid_fee=Decimal(59),
            at=T0,
        )

    assert await store.orders.fills(order.id) == (a_fill(),)
    assert (await store.orders.open())[0].status is _S.PARTIALLY_FILLED


async def test_an_order_without_fills_takes_no_fee(store: StoreUnderTest) -> None:
    order = await added(store)

    assert await store.orders.advance(
        order.moved_to(_S.CANCELLED), seen=_S.PENDING, paid_fee=Decimal(0), at=T0
    )

    assert await store.orders.fills(order.id) == ()


async def test_a_quarantine_is_stored_with_its_numbers_and_ends(store: StoreUnderTest) -> None:
    order = await added(store)
    aside = order.put_aside(Quarantine(at=T0, reason="over_fill", detail={"seen": "5"}))

    await store.orders.advance(aside, seen=_S.PENDING, at=T0)
    stored = await store.orders.open()
    await store.orders.advance(aside.moved_to(_S.EXECUTED), seen=_S.UNKNOWN, at=T0)

    assert stored == (aside,)
    found = await store.orders.find("uat-1")
    assert found is not None
    assert found.quarantine is None


async def test_a_failed_order_is_recovered_beside_the_next_one_of_its_decision(
    store: StoreUnderTest,
) -> None:
    """The index that keeps decisions from having two orders must not keep a fact out."""
    decision_id, epoch = await store.new_decision(), await the_epoch(store)
    first = await added(store, "uat-1", decision_id=decision_id, epoch=epoch)
    failed = first.moved_to(_S.FAILED, reason="not_placed")
    await store.orders.advance(failed, seen=_S.PENDING, at=T0)
    second = await added(store, "uat-2", decision_id=decision_id, epoch=epoch)

    found = failed.recovered(_S.EXECUTED)
    assert await store.orders.advance(
        replace(found, exchange_uuid="e-1"), seen=_S.FAILED, fills=[a_fill()], at=T0
    )

    assert await store.orders.open() == (second,)
    row = await store.orders.find("uat-1")
    assert row is not None
    assert (row.status, row.origin, row.reason) == (
        _S.EXECUTED,
        OrderOrigin.RECOVERED,
        "recovered",
    )
    assert (await store.orders.position(KRW_BTC)).volume == Decimal("0.001")


async def test_a_decision_whose_order_was_recovered_gets_no_second_one(
    store: StoreUnderTest,
) -> None:
    decision_id, epoch = await store.new_decision(), await the_epoch(store)
    order = await added(store, "uat-1", decision_id=decision_id, epoch=epoch)
    failed = order.moved_to(_S.FAILED, reason="not_placed")
    await store.orders.advance(failed, seen=_S.PENDING, at=T0)
    found = replace(failed.recovered(_S.EXECUTED), exchange_uuid="e-1")
    assert await store.orders.advance(found, seen=_S.FAILED, fills=[a_fill()], at=T0)

    with pytest.raises(DuplicateOrder):
        await added(store, "uat-2", decision_id=decision_id, epoch=epoch)

    assert await store.orders.open() == ()


async def test_an_order_without_a_row_is_adopted_once(store: StoreUnderTest) -> None:
    made_at = T0 - timedelta(days=1)

    async def adopt(identifier: str, uuid: str) -> Order:
        return await store.orders.adopt(
            an_intent(), identifier=identifier, exchange_uuid=uuid, made_at=made_at, at=T0
        )

    order = await adopt("uat-9", "e-9")

    assert (order.status, order.origin) == (_S.UNKNOWN, OrderOrigin.RECOVERED)
    assert (order.created_at, order.sent_at, order.decision_id) == (made_at, made_at, None)
    assert await store.orders.find("uat-9") == order
    assert await store.orders.open() == (order,)
    for again in (("uat-9", "e-8"), ("uat-8", "e-9")):
        with pytest.raises(DuplicateOrder):
            await adopt(*again)


async def test_a_rules_sale_that_was_sent_without_a_row_gets_one_that_nothing_refuses(
    store: StoreUnderTest,
) -> None:
    """Neither lease nor state is asked: it was sent. A row that is there stays as it is."""
    sale = an_intent(side=Side.SELL, volume=Decimal(1), funds=None)
    breach = Breach(rule=ExitRule.TRAILING_STOP, price=Decimal(94), limit=Decimal(95))
    sent_at = T0 - timedelta(hours=1)
    await store.store_setting("trading_enabled", value=False)

    async def add_sent(identifier: str = "uat-9") -> Order:
        return await store.orders.add_sent(
            sale, identifier=identifier, breach=breach, epoch=3, at=sent_at, now=T0
        )

    order = await add_sent()
    again = await add_sent()
    moved = replace(order, status=_S.SUBMITTED, exchange_uuid="e-9")
    await store.orders.advance(moved, seen=_S.PENDING, at=T0)
    later = await add_sent()
    other = await add_sent("uat-8")

    assert (order.status, order.rule, order.intent) == (_S.PENDING, breach.rule, sale)
    assert (order.created_at, order.sent_at, order.origin) == (
        sent_at,
        sent_at,
        OrderOrigin.SERVICE,
    )
    assert again == order
    assert later == moved
    assert other.id != order.id
    assert len(await store.orders.open()) == 2


async def test_a_row_is_found_by_its_identifier_whatever_its_status(store: StoreUnderTest) -> None:
    order = await added(store)
    await store.orders.advance(order.moved_to(_S.FAILED, reason="no"), seen=_S.PENDING, at=T0)

    found = await store.orders.find("uat-1")

    assert found is not None
    assert (found.id, found.status, found.reason) == (order.id, _S.FAILED, "no")
    assert await store.orders.find("uat-2") is None


async def test_a_sale_beyond_the_position_is_booked_whole_and_ends_it(
    store: StoreUnderTest,
) -> None:
    bought, sale = await added(store), an_intent(side=Side.SELL, volume=Decimal(1), funds=None)
    await store.orders.advance(
        bought.moved_to(_S.EXECUTED), seen=_S.PENDING, fills=[a_fill()], at=T0
    )
    sold = await added(store, "uat-2", intent=sale)
    fill = a_fill(trade_uuid="t-2", volume=Decimal("0.003"), funds=Decimal(330_000))
    await store.orders.advance(sold.moved_to(_S.EXECUTED), seen=_S.PENDING, fills=[fill], at=T0)

    position = await store.orders.position(KRW_BTC)

    assert await store.orders.fills(sold.id) == (fill,)
    assert [position.volume, position.cost] == [0, 0]
    assert position.opened_at is None
    assert position.realised_pnl == 110_000 - 100_000 - 100
    assert position.fees_paid == 100


# --- reading ------------------------------------------------------------------------------------


async def test_open_orders_are_those_of_the_domain_oldest_first(store: StoreUnderTest) -> None:
    reached = {}
    for minutes, status in enumerate(sorted(_S), 1):
        order = await added(store, f"uat-{minutes}", minutes=-minutes)
        if status is not _S.PENDING:
            await store.orders.advance(replace(order, status=status), seen=_S.PENDING, at=T0)
        reached[order.id] = status

    shown = [order.id for order in await store.orders.open()]

    assert shown == [id_ for id_, status in reversed(reached.items()) if status in OPEN]


async def test_orders_are_read_by_market_and_counted_in_all(store: StoreUnderTest) -> None:
    await added(store, minutes=-60)
    ether = await added(store, "uat-2", intent=an_intent(market=KRW_ETH))

    assert await store.orders.open(KRW_ETH) == (ether,)
    assert await store.orders.count_since(T0) == 1
    assert await store.orders.count_since(T0 - timedelta(hours=1)) == 2
    assert (await store.orders.position(KRW_ETH)).volume == 0
    assert await store.orders.positions() == ()


@pytest.mark.parametrize(
    ("status", "counted"),
    [(_S.PENDING, "100000"), (_S.CANCELLED, "40000"), (_S.FAILED, "0"), (_S.UNKNOWN, "100000")],
)
async def test_what_is_bought_since_counts_an_open_order_whole_and_a_final_one_by_its_fills(
    store: StoreUnderTest, status: OrderStatus, counted: str
) -> None:
    usdt = an_intent(market=Market("USDT", "BTC"), funds=Decimal("12.5"))
    await added(store, "uat-before", minutes=-1)
    await added(store, "uat-usdt", intent=usdt)
    sale = an_intent(side=Side.SELL, funds=None, volume=Decimal(1))
    await added(store, "uat-sale", intent=sale)
    order = await added(store)
    fills = [a_fill(funds=Decimal(40_000), volume=Decimal("0.0004"))]
    if status is not _S.PENDING:
        moved = order.moved_to(status)
        is_filled = status is _S.CANCELLED
        await store.orders.advance(moved, seen=_S.PENDING, fills=fills if is_filled else (), at=T0)

    assert await store.orders.bought_since(T0) == {
        "KRW": Decimal(counted),
        "USDT": Decimal("12.5"),
    }


async def test_an_open_limit_order_counts_with_its_own_price(store: StoreUnderTest) -> None:
    await added(
        store,
        intent=an_intent(
            type=OrderType.LIMIT, funds=None, price=Decimal(1_000), volume=Decimal("7.5")
        ),
    )

    assert await store.orders.bought_since(T0) == {"KRW": Decimal(7_500)}


# --- the trading state --------------------------------------------------------------------------


async def test_halts_stand_beside_each_other_and_each_ends_alone(store: StoreUnderTest) -> None:
    states = store.states
    clock: dict[str, Any] = {"reason": "clock_skew", "actor": "system:clock"}
    seen: list[tuple[Any, ...]] = []

    async def halt(kind: HaltKind, minute: int, **values: Any) -> bool:
        at = T0 + timedelta(minutes=minute)
        return await states.halt(kind=kind, at=at, detail={}, **values)

    async def look(*, done: object) -> None:
        now = await states.trading_state()
        standing = [(one.kind.value, one.reason, one.market) for one in await states.standing()]
        seen.append((bool(done), now.state.value, now.reason, now.halted_by, standing))

    await look(done=await halt(REDUCING, 1, **clock, ends="condition"))
    await look(done=await halt(REDUCING, 2, **clock, ends="condition"))
    await look(done=await halt(HALTED, 3, reason="by hand", actor="admin"))
    await look(done=await halt(REDUCING, 4, reason="books", actor="system:books", market=KRW_ETH))
    markets = await states.trading_state()
    await look(done=await states.resume(**clock | {"actor": "admin"}, at=T0, detail={}))
    await look(done=await states.release(actor="admin", at=T0))
    await look(done=await states.resume(**clock, at=T0 + timedelta(hours=1), detail={}))

    skew, hand = ("REDUCING", "clock_skew", None), ("HALTED", "by hand", None)
    reducing, halted = ("REDUCING", *clock.values()), ("HALTED", "by hand", "admin")
    books = ("REDUCING", "books", KRW_ETH)
    assert seen == [
        (True, *reducing, [skew]),
        (False, *reducing, [skew]),
        (True, *halted, [hand, skew]),
        (True, *halted, [hand, skew, books]),
        (False, *halted, [hand, skew, books]),
        (True, *reducing, [skew]),
        (True, "ACTIVE", None, None, []),
    ]
    assert (markets.reducing_markets, markets.halted_markets) == (
        frozenset({KRW_ETH}),
        frozenset(),
    )
    assert (await states.trading_state()).since == T0 + timedelta(hours=1)


# --- orders by hand ------------------------------------------------------------------------------


async def test_a_key_is_one_orders_for_ever_and_finds_it(store: StoreUnderTest) -> None:
    limit = an_intent(
        type=OrderType.LIMIT, price=Decimal(100_000_000), volume=Decimal("0.00100000"), funds=None
    )
    order = await added(store, "uat-1", intent=limit, idempotency_key="k-1")

    with pytest.raises(DuplicateOrder, match="key"):
        await added(store, "uat-2", idempotency_key="k-1")

    found = await store.order_requests.by_key("k-1")
    assert found is not None
    assert (found.id, found.intent) == (order.id, replace(limit, volume=Decimal("0.001")))
    assert await store.order_requests.by_key("k-2") is None
    assert [row.identifier for row in await store.orders.open()] == ["uat-1"]


async def test_the_key_of_a_failed_order_is_not_free_again(store: StoreUnderTest) -> None:
    order = await added(store, "uat-1", idempotency_key="k-1")
    failed = order.moved_to(_S.FAILED, reason="not_sent")
    await store.orders.advance(failed, seen=_S.PENDING, at=T0)

    with pytest.raises(DuplicateOrder):
        await added(store, "uat-2", idempotency_key="k-1")


async def test_an_order_is_found_by_its_id_whatever_its_status(store: StoreUnderTest) -> None:
    order, other = await added(store, "uat-1"), await added(store, "uat-2")
    failed = order.moved_to(_S.FAILED, reason="not_sent")
    await store.orders.advance(failed, seen=_S.PENDING, at=T0)

    assert await store.orders.by_id(order.id) == await store.orders.find("uat-1")
    assert await store.orders.by_id(other.id) == await store.orders.find("uat-2")
    assert await store.orders.by_id(other.id + 1) is None


async def test_a_refused_order_uses_no_key_up(store: StoreUnderTest) -> None:
    with pytest.raises(OrderRefused):
        await added(store, "uat-1", idempotency_key="k-1", is_on=False)

    assert await store.order_requests.by_key("k-1") is None
    assert await added(store, "uat-2", idempotency_key="k-1")


async def test_a_requested_cancel_stands_until_the_order_is_final(store: StoreUnderTest) -> None:
    requests = store.order_requests
    order, other = await added(store, "uat-1"), await added(store, "uat-2")

    status = await requests.request_cancel(order.id, by="admin", at=T0)
    pending = await requests.to_cancel()
    await store.orders.advance(order.moved_to(_S.CANCELLED), seen=_S.PENDING, at=T0)

    assert (status, list(pending)) == (_S.PENDING, [order.id])
    assert list(await requests.to_cancel()) == []
    assert await requests.request_cancel(order.id, by="admin", at=T0) is _S.CANCELLED
    assert await requests.request_cancel(other.id + 1, by="admin", at=T0) is None
