"""A day's row is what its fills add up to, counted by the booking or by the migration."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from service.domain.markets import Market
from service.domain.orders import Fill, Order, OrderStatus, Side
from service.store.database.dsn import connect, parameters
from service.store.database.pool import Pool
from service.store.migrations.migrate import migrations_folder
from service.store.tables.orders import PgOrders
from tests.builders import KRW_BTC, T0, a_fill
from tests.integration.store.seeds import a_stored_order, filled, rows

KST = timezone(timedelta(hours=9))
MARKETS = (KRW_BTC, Market("KRW", "ETH"), Market("BTC", "XRP"))
_S = OrderStatus

FILLS = """
    SELECT order_id, market, side, volume, funds, fee, realised_pnl, traded_at
      FROM fills
     ORDER BY id
"""
DAYS = """
    SELECT market, day, fills, bought_volume, bought_funds, sold_volume, sold_funds, fees,
           realised_pnl, wins, losses
      FROM daily_stats
"""
Days = Mapping[tuple[str, date], list[Any]]


async def stored(pool: Pool) -> Days:
    return {(market, day): sums for market, day, *sums in await rows(pool, DAYS)}


async def folded_again(pool: Pool) -> Days:
    """Add up all fills, one after the other, without any SQL."""
    days: dict[tuple[str, date], list[Any]] = defaultdict(lambda: [0] * 9)
    sales: dict[int, list[Any]] = {}
    for order_id, market, side, volume, funds, fee, earned, at in await rows(pool, FILLS):
        day = days[market, at.astimezone(KST).date()]
        first = 1 if side == "BUY" else 3
        for place, value in ((0, 1), (first, volume), (first + 1, funds), (5, fee), (6, earned)):
            day[place] += value
        if side == "SELL":
            sales.setdefault(order_id, [day, Decimal(0)])[1] += earned
    for day, earned in sales.values():
        day[7] += earned > 0
        day[8] += earned < 0
    return dict(days)


async def an_order_of(pool: Pool, name: str, market: Market, side: Side) -> Order:
    is_buy = side is Side.BUY
    return await a_stored_order(
        pool,
        name,
        market=market,
        side=side,
        funds=Decimal(100_000) if is_buy else None,
        volume=None if is_buy else Decimal(1),
    )


class Trading:
    """Random orders, each booked in one to three parts over hours; often across midnight."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self._pool, self._random = pool, random.Random(seed)
        self._trades = 0

    def _fills(self, count: int) -> tuple[Fill, ...]:
        return tuple(self._fill() for _ in range(count))

    def _fill(self) -> Fill:
        chance = self._random
        self._trades += 1
        price = Decimal(chance.randrange(90_000_000, 110_000_000)) / 10
        volume = Decimal(chance.randrange(1, 10**8)) / 10**8
        return a_fill(
            trade_uuid=f"t-{self._trades}",
            price=price,
            volume=volume,
            funds=price * volume,
            fee=price * volume * Decimal("0.0005"),
            traded_at=T0 + timedelta(minutes=chance.randrange(5_000)),
        )

    async def trade(self, orders: int) -> None:
        for n in range(orders):
            market, side = self._random.choice(MARKETS), self._random.choice(list(Side))
            order = await an_order_of(self._pool, f"uat-{n}", market, side)
            parts = self._random.randrange(1, 4)
            for part in range(parts):
                status = _S.EXECUTED if part == parts - 1 else _S.PARTIALLY_FILLED
                moved = order.moved_to(status)
                fills = self._fills(self._random.randrange(1, 4))
                assert await PgOrders(self._pool).advance(
                    moved, seen=order.status, fills=fills, at=T0
                )
                order = moved


@pytest.mark.parametrize("seed", range(4))
async def test_days_are_what_the_fills_add_up_to(pool: Pool, seed: int) -> None:
    await Trading(pool, seed).trade(orders=25)

    days = await stored(pool)
    assert len(days) > len(MARKETS)
    assert any(day[7] for day in days.values())
    assert any(day[8] for day in days.values())
    assert days == await folded_again(pool)


async def test_fills_of_an_older_version_are_counted_by_the_migration(pool: Pool, dsn: str) -> None:
    await Trading(pool, seed=7).trade(orders=25)
    booked = await stored(pool)

    with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:
        for file in (
            "0017_account.rollback.sql",  # a view of its reads the days
            "0012_portfolio.rollback.sql",
            "0012_portfolio.sql",
            "0017_account.sql",
        ):
            cursor.execute((migrations_folder() / file).read_text())

    assert await stored(pool) == booked


async def test_a_day_begins_at_midnight_in_seoul(pool: Pool) -> None:
    midnight = T0.replace(hour=15, minute=0)
    order = await an_order_of(pool, "uat-1", KRW_BTC, Side.BUY)

    await filled(
        pool,
        order,
        a_fill(trade_uuid="t-1", traded_at=midnight - timedelta(microseconds=1)),
        a_fill(trade_uuid="t-2", traded_at=midnight),
    )

    days = await stored(pool)
    assert {day: sums[0] for (_, day), sums in days.items()} == {
        T0.date(): 1,
        T0.date() + timedelta(days=1): 1,
    }


async def test_a_sale_that_a_later_fill_turns_is_a_loss_on_the_day_it_began(pool: Pool) -> None:
    bought = await an_order_of(pool, "uat-1", KRW_BTC, Side.BUY)
    await filled(pool, bought, a_fill(trade_uuid="t-1", volume=Decimal(2), funds=Decimal(200)))
    order = await an_order_of(pool, "uat-2", KRW_BTC, Side.SELL)
    gain = a_fill(trade_uuid="t-2", volume=Decimal(1), funds=Decimal(110), fee=Decimal(0))
    loss = replace(gain, trade_uuid="t-3", funds=Decimal(50), traded_at=T0 + timedelta(days=1))
    part, whole = order.moved_to(_S.PARTIALLY_FILLED), order.moved_to(_S.EXECUTED)

    await PgOrders(pool).advance(part, seen=order.status, fills=(gain,), at=T0)
    won = await stored(pool)
    await PgOrders(pool).advance(whole, seen=part.status, fills=(loss,), at=T0)
    lost = await stored(pool)

    today, tomorrow = (("KRW-BTC", T0.date() + timedelta(days=n)) for n in (0, 1))
    assert won[today][7:] == [1, 0]
    assert lost[today][7:] == [0, 1]
    assert lost[tomorrow][7:] == [0, 0]


async def test_a_booking_that_is_refused_counts_nothing(pool: Pool) -> None:
    order = await an_order_of(pool, "uat-1", KRW_BTC, Side.BUY)
    done = await filled(pool, order)
    before = await stored(pool)

    again = await PgOrders(pool).advance(
        done, seen=done.status, fills=(a_fill(trade_uuid="t-uat-1"),), at=T0
    )

    assert not again
    assert await stored(pool) == before


async def test_bookings_at_once_lose_nothing_and_nobody_waits_for_ever(pool: Pool) -> None:
    """Two markets, and each order's fills on two days in either order: no order of locks errs."""
    orders = [await an_order_of(pool, f"uat-{n}", MARKETS[n % 2], Side.BUY) for n in range(20)]
    days = (T0, T0 + timedelta(days=1))

    async with asyncio.TaskGroup() as group:
        for n, order in enumerate(orders):
            both = days if n % 4 < 2 else days[::-1]
            fills = [a_fill(trade_uuid=f"t-{n}-{at:%d}", traded_at=at) for at in both]
            group.create_task(filled(pool, order, *fills))

    found = await stored(pool)
    assert {sums[0] for sums in found.values()} == {10}
    assert found == await folded_again(pool)


@pytest.mark.parametrize("late", ["0.000000001", "11000", "1E+7"])
async def test_a_fee_that_comes_late_is_counted_in_its_day_and_may_turn_a_win_into_a_loss(
    pool: Pool, late: str
) -> None:
    bought = a_fill(trade_uuid="t-b", fee=Decimal(0))
    await filled(pool, await a_stored_order(pool, "uat-b"), bought)
    sale = await a_stored_order(pool, "uat-s", side=Side.SELL, volume=Decimal("0.001"), funds=None)
    days = (timedelta(), timedelta(days=1))
    sold = [
        a_fill(
            trade_uuid=f"t-{n}",
            volume=Decimal("0.0005"),
            funds=Decimal(55_000),
            fee=Decimal(0),
            traded_at=T0 + day,
        )
        for n, day in enumerate(days)
    ]
    orders, partly = PgOrders(pool), sale.moved_to(_S.PARTIALLY_FILLED)
    await orders.advance(partly, seen=_S.PENDING, fills=sold, paid_fee=Decimal(0), at=T0)
    before = await stored(pool)

    await orders.advance(
        partly.moved_to(_S.EXECUTED), seen=_S.PARTIALLY_FILLED, paid_fee=Decimal(late), at=T0
    )

    after = await stored(pool)
    assert before != after
    assert after == await folded_again(pool)
    assert sum(day[5] for day in after.values()) == Decimal(late)
