"""Orders, fills and positions on real PostgreSQL: the books of the money."""

import asyncio
import random
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal

import pytest
from loguru import logger

from service.domain.errors import DomainError, DuplicateOrder, NotLeader, OrderRefused
from service.domain.markets import Market
from service.domain.orders import (
    OPEN,
    Breach,
    ExitRule,
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Side,
)
from service.domain.positions import Position, folded
from service.domain.trading_states import OrderSource
from service.store.database.pool import Pool
from service.store.tables.fills import fill_from
from service.store.tables.orders import ADD, PgOrders
from tests.builders import KRW_BTC, T0, a_fill, an_intent, an_order
from tests.integration.store.seeds import (
    BY_SIGNAL,
    a_stored_decision,
    a_stored_order,
    an_allowed,
    execute,
    filled,
    rows,
    switch,
    the_epoch,
    until_locked_out,
)

KRW_ETH = Market("KRW", "ETH")
_S = OrderStatus
LIMIT = """
    INSERT INTO system_configs (key, value, updated_at, updated_by)
    VALUES ('max_orders_per_hour', to_jsonb(%(value)s), clock_timestamp(), 'test')
"""


@contextmanager
def errors_logged() -> Iterator[list[str]]:
    said: list[str] = []
    sink = logger.add(said.append, level="ERROR", format="{message} {extra}")
    try:
        yield said
    finally:
        logger.remove(sink)


async def stored_order(pool: Pool, order_id: int) -> tuple[object, ...]:
    (row,) = await rows(
        pool,
        "SELECT status, reason, exchange_uuid, executed_volume, executed_funds, paid_fee"
        "  FROM orders WHERE id = %(id)s",
        {"id": order_id},
    )
    return tuple(row)


# --- add ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "intent",
    [
        an_intent(funds=Decimal("100000.12345678")),
        an_intent(side=Side.SELL, volume=Decimal("0.00000001"), funds=None),
        an_intent(type=OrderType.LIMIT, price=Decimal("0.0123"), volume=Decimal("7.5"), funds=None),
    ],
)
async def test_an_added_order_is_pending_sent_and_exactly_what_was_meant(
    pool: Pool, intent: object
) -> None:
    decision_id, epoch = await a_stored_decision(pool, an_allowed()), await the_epoch(pool)

    order = await PgOrders(pool).add(
        intent,  # type: ignore[arg-type]  # pytest knows no types
        identifier="uat-7",
        decision_id=decision_id,
        at=T0,
        epoch=epoch,
        **BY_SIGNAL,
    )

    assert order == an_order(
        id=order.id, identifier="uat-7", intent=intent, decision_id=decision_id
    )
    assert await PgOrders(pool).open() == (order,)
    assert order.created_at.tzinfo is UTC
    stored = await rows(pool, "SELECT leader_epoch, sent_at, updated_at FROM orders")
    assert stored == [(epoch, T0, T0)]


async def add(
    pool: Pool, *, epoch: int, identifier: str = "uat-1", most_per_hour: int | None = None
) -> Order:
    return await PgOrders(pool).add(
        an_intent(),
        identifier=identifier,
        decision_id=None,
        at=T0,
        epoch=epoch,
        source=OrderSource.SIGNAL,
        most_per_hour=most_per_hour,
    )


def order_args(epoch: int) -> dict[str, object]:
    """Return the parameters of a purchase's insert, for a transaction that is held open."""
    return {
        "lease": "trading", "epoch": epoch, "identifier": "uat-1", "decision_id": None,
        "market": "KRW-BTC", "side": "BUY", "type": "MARKET", "price": None, "volume": None,
        "funds": Decimal(100_000), "at": T0, "source": "SIGNAL", "permitting": ["ACTIVE"],
        "most_per_hour": None, "idempotency_key": None, "actor": "system:orders",
        "rule": None, "by_rule": None, "breach_price": None, "breach_limit": None,
        "amount": "^[0-9]+$", "spends_krw": Decimal(100_000), "midnight": T0,
    }  # fmt: skip


async def test_an_exit_names_its_rule_and_its_event_names_the_price_and_the_limit(
    pool: Pool,
) -> None:
    epoch = await the_epoch(pool)
    breach = Breach(rule=ExitRule.STOP_LOSS, price=Decimal("94000000.5"), limit=Decimal(95_000_000))

    order = await PgOrders(pool).add(
        an_intent(side=Side.SELL, volume=Decimal(1), funds=None),
        identifier="uat-9",
        decision_id=None,
        at=T0,
        epoch=epoch,
        source=OrderSource.RULE,
        most_per_hour=None,
        breach=breach,
    )

    assert order.rule is ExitRule.STOP_LOSS
    assert await PgOrders(pool).open() == (order,)
    assert await rows(
        pool, "SELECT at, event, market, reason, actor, detail, decision_id FROM risk_events"
    ) == [
        (
            T0, "EXIT", "KRW-BTC", "STOP_LOSS", "system:protection",
            {"order_id": order.id, "identifier": "uat-9", "price": "94000000.5",
             "limit": "95000000"},
            None,
        )
    ]  # fmt: skip


async def test_without_any_lease_no_order_is_written(pool: Pool) -> None:
    with pytest.raises(NotLeader):
        await add(pool, epoch=1)

    assert await rows(pool, "SELECT count(*) FROM orders") == [(0,)]


async def test_a_stale_epoch_writes_no_order(pool: Pool) -> None:
    stale = await the_epoch(pool, "one")
    await execute(pool, "UPDATE leader SET expires_at = clock_timestamp()")
    fresh = await the_epoch(pool, "two")

    with pytest.raises(NotLeader):
        await add(pool, epoch=stale)

    assert (await add(pool, epoch=fresh)).status is _S.PENDING


async def test_a_lapsed_lease_writes_no_order_even_if_nobody_took_it(pool: Pool) -> None:
    epoch = await the_epoch(pool)
    await execute(pool, "UPDATE leader SET expires_at = clock_timestamp()")

    with pytest.raises(NotLeader):
        await add(pool, epoch=epoch)


async def test_an_order_that_waited_for_a_takeover_is_refused(pool: Pool) -> None:
    stale = await the_epoch(pool)
    async with pool.transaction() as taker:
        await taker.execute("UPDATE leader SET owner = 'two', epoch = epoch + 1")
        waiting = asyncio.create_task(add(pool, epoch=stale))
        await until_locked_out(pool, 1)

    with pytest.raises(NotLeader):
        await waiting


async def test_an_order_that_waited_for_the_switch_to_be_set_off_is_refused(pool: Pool) -> None:
    epoch = await the_epoch(pool)
    async with pool.transaction() as operator:
        await operator.execute("UPDATE system_configs SET value = 'false'")
        waiting = asyncio.create_task(add(pool, epoch=epoch))
        await until_locked_out(pool, 1)

    with pytest.raises(OrderRefused, match="switched off"):
        await waiting
    assert await PgOrders(pool).open() == ()


@pytest.mark.parametrize(
    "halted",
    [
        "UPDATE trading_state SET state = 'HALTED'",
        "UPDATE trading_state SET state = 'REDUCING'",
        "UPDATE trading_state SET halted_markets = '{KRW-BTC}'",
        "UPDATE trading_state SET reducing_markets = '{KRW-BTC}'",
    ],
)
async def test_an_order_that_waited_for_a_halt_is_refused(pool: Pool, halted: str) -> None:
    epoch = await the_epoch(pool)
    async with pool.transaction() as operator:
        await operator.execute(halted)
        waiting = asyncio.create_task(add(pool, epoch=epoch))
        await until_locked_out(pool, 1)

    with pytest.raises(OrderRefused, match="halted"):
        await waiting
    assert await PgOrders(pool).open() == ()


async def test_an_order_that_waited_for_a_lower_limit_is_refused(pool: Pool) -> None:
    epoch = await the_epoch(pool)
    await add(pool, epoch=epoch)
    await execute(pool, LIMIT, {"value": 2})
    async with pool.transaction() as operator:
        await operator.execute("UPDATE system_configs SET value = '1' WHERE key LIKE 'max%'")
        waiting = asyncio.create_task(add(pool, epoch=epoch, identifier="uat-2", most_per_hour=2))
        await until_locked_out(pool, 1)

    with pytest.raises(OrderRefused, match="last hour"):
        await waiting


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE system_configs SET value = 'false'",
        "UPDATE trading_state SET state = 'HALTED'",
        "UPDATE leader SET epoch = epoch + 1",
    ],
)
async def test_whatever_stops_trading_waits_for_the_order_that_came_first(
    pool: Pool, change: str
) -> None:
    """What the operator was told has happened is true of every order: it came before, or not."""
    epoch = await the_epoch(pool)
    async with pool.transaction() as order:
        await order.execute(ADD, order_args(epoch))
        stopping = asyncio.create_task(execute(pool, change))
        await until_locked_out(pool, 1)

    await stopping
    assert len(await PgOrders(pool).open()) == 1


async def test_an_order_and_a_change_of_both_its_settings_do_not_deadlock(pool: Pool) -> None:
    """A change of settings locks them by key, and so does the insert."""
    epoch = await the_epoch(pool)
    await execute(pool, LIMIT, {"value": 9})
    async with pool.transaction() as operator:
        await operator.execute("UPDATE system_configs SET value = '5' WHERE key LIKE 'max%'")
        waiting = asyncio.create_task(add(pool, epoch=epoch))
        await until_locked_out(pool, 1)
        await operator.execute("UPDATE system_configs SET value = 'true' WHERE key LIKE 'tr%'")

    assert (await waiting).status is _S.PENDING


async def test_a_refusal_is_stored_with_what_refused_it(pool: Pool) -> None:
    decision_id, epoch = await a_stored_decision(pool, an_allowed()), await the_epoch(pool)
    await switch(pool, on=False)

    with pytest.raises(OrderRefused):
        await PgOrders(pool).add(
            an_intent(), identifier="uat-1", decision_id=decision_id, at=T0, epoch=epoch,
            **BY_SIGNAL,
        )  # fmt: skip

    assert await rows(
        pool, "SELECT at, event, kind, market, reason, actor, detail FROM risk_events"
    ) == [
        (
            T0, "REFUSED", None, "KRW-BTC", "trading_enabled", "system:orders",
            {"side": "BUY", "source": "SIGNAL", "status": "DISABLED", "decision_id": decision_id,
             "limit": "ACTIVE", "actual": "DISABLED"},
        )
    ]  # fmt: skip


async def test_a_refusal_by_the_hours_limit_has_caller_limit_and_number(pool: Pool) -> None:
    epoch = await the_epoch(pool)
    await add(pool, epoch=epoch)

    with pytest.raises(OrderRefused):
        await PgOrders(pool).add(
            an_intent(),
            identifier="uat-2",
            decision_id=None,
            at=T0,
            epoch=epoch,
            source=OrderSource.HAND,
            most_per_hour=1,
            actor="ann",
        )

    assert await rows(
        pool,
        "SELECT reason, actor, detail ->> 'limit', detail ->> 'actual' FROM risk_events",
    ) == [("order_rate", "ann", "1", "1")]


async def test_a_refusal_by_a_cap_has_the_cap_and_what_it_would_come_to(pool: Pool) -> None:
    epoch = await the_epoch(pool)
    await execute(
        pool,
        "INSERT INTO system_configs (key, value, updated_at, updated_by)"
        " VALUES ('max_daily_order_krw', '\"150000\"', now(), 'test')",
    )
    await add(pool, epoch=epoch)

    with pytest.raises(OrderRefused, match="max_daily_order_krw"):
        await PgOrders(pool).add(
            an_intent(), identifier="uat-2", decision_id=None, at=T0, epoch=epoch, **BY_SIGNAL
        )

    assert await rows(
        pool,
        "SELECT reason, (detail ->> 'limit')::numeric, (detail ->> 'actual')::numeric"
        "  FROM risk_events",
    ) == [("max_daily_order", 150_000, 200_000)]


async def test_an_identifier_is_used_once(pool: Pool) -> None:
    epoch = await the_epoch(pool)
    await add(pool, epoch=epoch)

    with pytest.raises(DuplicateOrder, match="uat-1"):
        await add(pool, epoch=epoch)


async def test_of_eight_orders_for_one_decision_at_once_one_is_written(pool: Pool) -> None:
    decision_id, epoch = await a_stored_decision(pool, an_allowed()), await the_epoch(pool)
    orders = PgOrders(pool)

    results = await asyncio.gather(
        *(
            orders.add(
                an_intent(),
                identifier=f"uat-{n}",
                decision_id=decision_id,
                at=T0,
                epoch=epoch,
                **BY_SIGNAL,
            )
            for n in range(8)
        ),
        return_exceptions=True,
    )

    refused = [r for r in results if isinstance(r, DuplicateOrder)]
    assert (len(refused), len(await orders.open())) == (7, 1)
    assert str(refused[0]) == f"decision {decision_id} has an order already"


async def test_after_a_failed_attempt_a_decision_may_have_another_order(pool: Pool) -> None:
    decision_id = await a_stored_decision(pool, an_allowed())
    first = await a_stored_order(pool, "uat-1", decision_id=decision_id)
    await PgOrders(pool).advance(
        first.moved_to(_S.FAILED, reason="not_sent"), seen=_S.PENDING, at=T0
    )

    second = await a_stored_order(pool, "uat-2", decision_id=decision_id)

    assert await PgOrders(pool).open() == (second,)


# --- advance ------------------------------------------------------------------------------------


async def test_fills_sums_state_and_position_are_stored_together(pool: Pool) -> None:
    orders, order = PgOrders(pool), await a_stored_order(pool)
    fills = (
        a_fill(trade_uuid="t-1", fee=Decimal("50.000000000001")),
        a_fill(
            trade_uuid="t-2",
            volume=Decimal("0.00012345"),
            funds=Decimal("12345.0000000000000001"),
            fee=Decimal("6.172500000002"),
            traded_at=T0 + timedelta(seconds=1),
        ),
    )
    done = replace(order.moved_to(_S.EXECUTED), exchange_uuid="e-1")

    assert await orders.advance(done, seen=_S.PENDING, fills=fills, at=T0 + timedelta(seconds=2))

    assert await stored_order(pool, order.id) == (
        "EXECUTED",
        None,
        "e-1",
        Decimal("0.00112345"),
        Decimal("112345.0000000000000001"),
        Decimal("56.172500000003"),
    )
    assert await orders.fills(order.id) == fills
    assert await orders.position(KRW_BTC) == folded(KRW_BTC, [(Side.BUY, f) for f in fills])
    assert await orders.open() == ()


async def test_advance_is_a_no_op_once_another_pass_moved_the_order(pool: Pool) -> None:
    orders, order = PgOrders(pool), await a_stored_order(pool)
    await orders.advance(order.moved_to(_S.UNKNOWN), seen=_S.PENDING, at=T0)

    late = order.moved_to(_S.EXECUTED)
    assert not await orders.advance(late, seen=_S.PENDING, fills=[a_fill()], at=T0)

    assert (await stored_order(pool, order.id))[0] == "UNKNOWN"
    assert await orders.fills(order.id) == ()
    assert await orders.position(KRW_BTC) == Position(market=KRW_BTC)


async def test_an_order_nobody_wrote_cannot_be_advanced(pool: Pool) -> None:
    assert not await PgOrders(pool).advance(an_order(id=99), seen=_S.PENDING, at=T0)


async def test_the_exchange_uuid_survives_a_caller_that_does_not_know_it(pool: Pool) -> None:
    orders, order = PgOrders(pool), await a_stored_order(pool)
    known = replace(order.moved_to(_S.SUBMITTED), exchange_uuid="e-1")
    await orders.advance(known, seen=_S.PENDING, at=T0)

    await orders.advance(
        replace(known, exchange_uuid=None).moved_to(_S.CANCELLED, reason="operator"),
        seen=_S.SUBMITTED,
        at=T0,
    )

    assert (await stored_order(pool, order.id))[:3] == ("CANCELLED", "operator", "e-1")


async def test_a_later_fill_adds_to_the_sums_of_the_earlier_ones(pool: Pool) -> None:
    orders, order = PgOrders(pool), await a_stored_order(pool)
    partly = order.moved_to(_S.PARTIALLY_FILLED)
    await orders.advance(partly, seen=_S.PENDING, fills=[a_fill()], at=T0)

    await orders.advance(
        partly.moved_to(_S.CANCELLED),
        seen=_S.PARTIALLY_FILLED,
        fills=[a_fill(trade_uuid="t-2", fee=Decimal("0.000000000001"))],
        at=T0,
    )

    sums = (await stored_order(pool, order.id))[3:]
    assert sums == (Decimal("0.002"), Decimal(200_000), Decimal("50.000000000001"))


async def test_of_concurrent_advances_with_the_same_fills_one_books_them(pool: Pool) -> None:
    orders, order = PgOrders(pool), await a_stored_order(pool)
    partly = order.moved_to(_S.PARTIALLY_FILLED)
    await orders.advance(partly, seen=_S.PENDING, at=T0)
    fills = [a_fill(trade_uuid=f"t-{n}") for n in range(3)]

    won = await asyncio.gather(
        *(orders.advance(partly, seen=_S.PARTIALLY_FILLED, fills=fills, at=T0) for _ in range(8))
    )

    assert sorted(won) == [False] * 7 + [True]
    assert await orders.fills(order.id) == tuple(fills)
    assert (await orders.position(KRW_BTC)).volume == Decimal("0.003")
    assert (await stored_order(pool, order.id))[5] == Decimal(150)


async def test_a_fee_shared_out_without_knowing_a_booked_fill_is_not_stored(pool: Pool) -> None:
    orders, order = PgOrders(pool), await a_stored_order(pool)
    partly = order.moved_to(_S.PARTIALLY_FILLED)
    await orders.advance(partly, seen=_S.PENDING, fills=[a_fill()], at=T0)

    # Both trades share one fee of 60, but the first one has been booked with 50 of it.
    shared = [a_fill(fee=Decimal(30)), a_fill(trade_uuid="t-2", fee=Decimal(30))]
    stored = await orders.advance(partly, seen=_S.PARTIALLY_FILLED, fills=shared, at=T0)

    assert not stored
    assert (await stored_order(pool, order.id))[5] == Decimal(50)


async def test_a_trade_of_another_order_is_an_error_and_nothing_is_stored(pool: Pool) -> None:
    orders = PgOrders(pool)
    first, second = await a_stored_order(pool, "uat-1"), await a_stored_order(pool, "uat-2")
    await filled(pool, first, a_fill(trade_uuid="t-1"))

    with pytest.raises(DomainError, match="t-1"):
        await orders.advance(
            second.moved_to(_S.EXECUTED),
            seen=_S.PENDING,
            fills=[a_fill(trade_uuid="t-9"), a_fill(trade_uuid="t-1")],
            at=T0,
        )

    assert await orders.open() == (second,)
    assert await orders.fills(second.id) == ()
    assert (await orders.position(KRW_BTC)).volume == Decimal("0.001")


async def test_one_trade_claimed_by_two_orders_at_once_is_booked_for_one(pool: Pool) -> None:
    orders = PgOrders(pool)
    both = [await a_stored_order(pool, f"uat-{n}") for n in range(2)]

    results = await asyncio.gather(
        *(
            orders.advance(o.moved_to(_S.EXECUTED), seen=_S.PENDING, fills=[a_fill()], at=T0)
            for o in both
        ),
        return_exceptions=True,
    )

    assert {type(r) for r in results} == {bool, DomainError}
    assert await rows(pool, "SELECT count(*) FROM fills") == [(1,)]
    assert (await orders.position(KRW_BTC)).volume == Decimal("0.001")


async def test_one_trade_given_twice_is_an_error(pool: Pool) -> None:
    orders, order = PgOrders(pool), await a_stored_order(pool)

    with pytest.raises(DomainError, match="twice"):
        await orders.advance(
            order.moved_to(_S.EXECUTED), seen=_S.PENDING, fills=[a_fill(), a_fill()], at=T0
        )

    assert await orders.open() == (order,)


async def test_two_orders_cannot_be_one_order_of_the_exchange(pool: Pool) -> None:
    orders = PgOrders(pool)
    first, second = await a_stored_order(pool, "uat-1"), await a_stored_order(pool, "uat-2")
    seen = replace(first.moved_to(_S.SUBMITTED), exchange_uuid="e-1")
    await orders.advance(seen, seen=_S.PENDING, at=T0)

    with pytest.raises(DomainError, match="another order"):
        await orders.advance(
            replace(second.moved_to(_S.SUBMITTED), exchange_uuid="e-1"), seen=_S.PENDING, at=T0
        )

    assert (await stored_order(pool, second.id))[0] == "PENDING"


@pytest.mark.parametrize(
    "poison",
    [
        {"fee": Decimal(-1)},
        {"price": Decimal(0)},
        {"volume": Decimal(10) ** 21},
        {"trade_uuid": "t\x00"},
        {"trade_uuid": "t\ud800"},
    ],
)
async def test_a_value_that_no_table_holds_is_an_error_of_its_order_without_its_amounts(
    pool: Pool, poison: dict[str, object]
) -> None:
    """Regression: the error showed the whole row in a traceback and ended the start."""
    orders, order = PgOrders(pool), await a_stored_order(pool)
    fill = replace(a_fill(funds=Decimal("98765.4321")), **poison)  # type: ignore[arg-type]

    with pytest.raises(DomainError, match="a table cannot hold") as caught:
        await orders.advance(order.moved_to(_S.EXECUTED), seen=_S.PENDING, fills=[fill], at=T0)

    told = "".join(traceback.format_exception(caught.value))
    assert "98765" not in told
    assert await orders.open() == (order,)
    assert await orders.fills(order.id) == ()


# --- a sale of more than the books hold -----------------------------------------------------------


@pytest.mark.parametrize("held", [Decimal("0.0004"), Decimal(0)])
async def test_a_sale_of_more_than_is_held_is_booked_and_reported(
    pool: Pool, held: Decimal
) -> None:
    orders = PgOrders(pool)
    if held:
        bought = a_fill(trade_uuid="t-b", volume=held, funds=Decimal(40_000), fee=Decimal(20))
        await filled(pool, await a_stored_order(pool, "uat-b"), bought)
    sale = await a_stored_order(pool, "uat-s", side=Side.SELL, volume=Decimal("0.001"), funds=None)
    sold = a_fill(trade_uuid="t-s", funds=Decimal(110_000), fee=Decimal(55))

    with errors_logged() as said:
        assert await filled(pool, sale, sold)

    # 40 % of the coins were ours: 44,000 of the proceeds against 40,000 paid, less both fees.
    fees = Decimal(75) if held else Decimal(55)
    gain = Decimal(4_000) if held else Decimal(0)
    assert await orders.fills(sale.id) == (sold,)
    assert (await stored_order(pool, sale.id))[0] == "EXECUTED"
    assert await orders.position(KRW_BTC) == Position(
        market=KRW_BTC, realised_pnl=gain - fees, fees_paid=fees
    )
    assert len(said) == 1
    assert "t-s" in said[0]
    assert "0.0004" not in said[0]


async def test_coins_that_cost_next_to_nothing_can_be_sold_bit_by_bit(pool: Pool) -> None:
    # The cost of the sold part, rounded to twelve decimals, exceeds the whole cost here.
    dust = a_fill(
        trade_uuid="t-b",
        price=Decimal("0.00000001"),
        volume=Decimal("0.00006000"),
        funds=Decimal("0.0000000000006"),
        fee=Decimal(0),
    )
    await filled(pool, await a_stored_order(pool, "uat-b"), dust)
    sale = await a_stored_order(pool, "uat-s", side=Side.SELL, volume=dust.volume, funds=None)

    part = replace(dust, trade_uuid="t-s", volume=Decimal("0.00005900"))
    await filled(pool, sale, part)

    position = await PgOrders(pool).position(KRW_BTC)
    assert (position.volume, position.cost) == (Decimal("0.00000100"), Decimal(0))


# --- the invariant --------------------------------------------------------------------------------


def some_fills(rng: random.Random, order: Order) -> list[Fill]:
    """Fills with odd decimals; what is bought is a thousand times what is sold."""
    scale = 1000 if order.intent.side is Side.BUY else 1
    fills = []
    for n in range(rng.randint(1, 3)):
        volume = Decimal(rng.randint(10**5, 10**6) * scale).scaleb(-8)
        price = Decimal(rng.randint(1, 10**12)).scaleb(-4)
        fills.append(
            a_fill(
                trade_uuid=f"{order.identifier}/{n}",
                price=price,
                volume=volume,
                funds=price * volume,
                fee=Decimal(rng.randint(0, 10**15)).scaleb(-12),
                traded_at=T0 + timedelta(seconds=rng.randint(0, 600)),
            )
        )
    return fills


async def fold(pool: Pool, market: Market) -> Position:
    booked = await rows(
        pool,
        "SELECT side, trade_uuid, price, volume, funds, fee, traded_at"
        "  FROM fills WHERE market = %(market)s ORDER BY id",
        {"market": str(market)},
    )
    return folded(market, ((Side(side), fill_from(fill)) for side, *fill in booked))


@pytest.mark.parametrize("seed", range(3))
async def test_positions_and_sums_are_always_what_the_fills_add_up_to(
    pool: Pool, seed: int
) -> None:
    rng, orders = random.Random(seed), PgOrders(pool)
    epoch = await the_epoch(pool)
    markets = (KRW_BTC, KRW_ETH)
    for turn in range(6):
        # The first turn only buys, in lots that all later sales together do not use up.
        sides = [Side.BUY if turn == 0 else rng.choice(list(Side)) for _ in range(6)]
        batch = [
            await orders.add(
                an_intent(market=markets[n % 2], type=OrderType.LIMIT, side=side,
                          price=Decimal(1), volume=Decimal(1), funds=None),
                identifier=f"uat-{turn}-{n}", decision_id=None, at=T0, epoch=epoch,
                **BY_SIGNAL,
            )
            for n, side in enumerate(sides)
        ]  # fmt: skip

        await asyncio.gather(
            *(
                orders.advance(
                    o.moved_to(_S.EXECUTED), seen=_S.PENDING, fills=some_fills(rng, o), at=T0
                )
                for o in batch
                for _ in range(2)
            )
        )

        for market in markets:
            assert await orders.position(market) == await fold(pool, market)
    mismatched = await rows(
        pool,
        "SELECT o.id FROM orders o JOIN (SELECT order_id, sum(volume) AS volume,"
        " sum(funds) AS funds, sum(fee) AS fee FROM fills GROUP BY order_id) f"
        " ON f.order_id = o.id WHERE (o.executed_volume, o.executed_funds, o.paid_fee)"
        " <> (f.volume, f.funds, f.fee)",
    )
    assert mismatched == []
    earned = await rows(pool, "SELECT market, sum(realised_pnl) FROM fills GROUP BY market")
    assert {(str(m), (await orders.position(m)).realised_pnl) for m in markets} == set(earned)


# --- reading ------------------------------------------------------------------------------------


async def test_open_orders_are_those_the_domain_calls_open_oldest_first(pool: Pool) -> None:
    orders = PgOrders(pool)
    for n, status in enumerate(OrderStatus):
        order = await a_stored_order(pool, f"uat-{n}", at=T0 - timedelta(minutes=n))
        if status is not _S.PENDING:
            await orders.advance(replace(order, status=status), seen=_S.PENDING, at=T0)

    found = await orders.open()

    assert {order.status for order in found} == OPEN
    assert [order.created_at for order in found] == sorted(order.created_at for order in found)


async def test_open_orders_can_be_asked_for_by_market(pool: Pool) -> None:
    await a_stored_order(pool, "uat-1")
    other = await a_stored_order(pool, "uat-2", market=KRW_ETH)

    assert await PgOrders(pool).open(KRW_ETH) == (other,)


async def test_orders_are_counted_from_an_instant_on_in_all_markets(pool: Pool) -> None:
    for n, market in enumerate((KRW_BTC, KRW_ETH, KRW_BTC)):
        await a_stored_order(pool, f"uat-{n}", market=market, at=T0 + timedelta(minutes=n))

    orders = PgOrders(pool)

    assert await orders.count_since(T0 + timedelta(minutes=1)) == 2
    assert await orders.count_since(T0 + timedelta(minutes=3)) == 0


async def test_an_unknown_order_has_no_fills_and_a_new_market_no_position(pool: Pool) -> None:
    assert await PgOrders(pool).fills(99) == ()
    assert await PgOrders(pool).position(KRW_ETH) == Position(market=KRW_ETH)
    assert await PgOrders(pool).positions() == ()


async def test_all_positions_come_at_once_by_market(pool: Pool) -> None:
    orders = PgOrders(pool)
    for n, market in enumerate((KRW_ETH, KRW_BTC)):
        order = await a_stored_order(pool, f"uat-{n}", market=market)
        await filled(pool, order, a_fill(trade_uuid=f"t-{n}", volume=Decimal(n + 1)))

    assert await orders.positions() == (
        await orders.position(KRW_BTC),
        await orders.position(KRW_ETH),
    )


async def test_an_exit_that_was_sent_without_a_row_has_one_event_of_its_time(pool: Pool) -> None:
    breach = Breach(rule=ExitRule.TAKE_PROFIT, price=Decimal("94000000.5"), limit=Decimal(95))
    sent_at = T0 - timedelta(hours=1)
    for _ in range(2):
        await PgOrders(pool).add_sent(
            an_intent(side=Side.SELL, volume=Decimal(1), funds=None),
            identifier="uat-9",
            breach=breach,
            epoch=3,
            at=sent_at,
            now=T0,
        )

    assert await rows(
        pool, "SELECT at, event, reason, actor, detail ->> 'limit' FROM risk_events"
    ) == [(sent_at, "EXIT", "TAKE_PROFIT", "system:protection", "95")]
    assert await rows(pool, "SELECT leader_epoch, created_at, sent_at, updated_at FROM orders") == [
        (3, sent_at, sent_at, T0)
    ]
