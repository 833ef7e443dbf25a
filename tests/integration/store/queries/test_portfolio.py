"""Snapshots, the hours they add up to, and what is asked of them: on real PostgreSQL."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from service.domain.orders import Side
from service.store.database.json_rows import recordset
from service.store.database.pool import Pool
from service.store.queries.portfolio import MINUTES_UPTO, PgPortfolio
from service.store.tables.equity import PgEquities
from service.store.tables.partitions import PgHistory
from tests.builders import KRW_BTC, T0, a_fill, an_equity
from tests.integration.store.seeds import a_stored_order, execute, filled, rows

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZERO = Decimal(0)
Series = Sequence[tuple[datetime, Decimal]]


async def store(pool: Pool, series: Series, *, quote: str = "KRW") -> None:
    for at, value in series:
        await PgEquities(pool).add([an_equity(cash=value, quote=quote)], at=at)


def a_walk(seed: int, *, minutes: int, gaps: float = 0.02) -> Series:
    """Return random values of most minutes; some are missing, as after an outage."""
    chance = random.Random(seed)
    value, walk = 10_000_000.0, []
    for n in range(minutes):
        value *= chance.uniform(0.99, 1.0101)
        if chance.random() >= gaps:
            walk.append((T0 + n * MINUTE, Decimal(f"{value:.8f}")))
    return walk


def drawdowns(series: Series) -> list[Decimal]:
    """Return how far each value is below the highest until then."""
    peak, found = ZERO, []
    for _, value in series:
        peak = max(peak, value)
        found.append((1 - value / peak).quantize(Decimal("1E-8"), ROUND_HALF_UP))
    return found


async def curve(pool: Pool, since: datetime, until: datetime, points: int = 500) -> Any:
    asked = {"since": since, "until": until, "points": points}
    return json.loads(await PgPortfolio(pool).equity(quote="KRW", **asked))  # type: ignore[arg-type]


async def summary(pool: Pool, now: datetime, *days: int, quote: str = "KRW") -> Any:
    return json.loads(await PgPortfolio(pool).summary(quote=quote, now=now, days=days))


# --- a minute -----------------------------------------------------------------------------------


async def test_a_snapshot_is_stored_exactly_and_equity_is_cash_and_coins(pool: Pool) -> None:
    given = an_equity(
        cash=Decimal("9876543.12345678"),
        coins=Decimal("123456789012.1234567890123456"),
        realised_pnl=Decimal("-12.345678901234"),
        unrealised_pnl=Decimal("0.0000000000000001"),
        fees_paid=Decimal("49.9750617283945"),
    )

    await PgEquities(pool).add([given], at=T0)

    (stored,) = await rows(pool, "SELECT * FROM equity_snapshots")
    assert stored == (
        "KRW", T0, given.cash, given.coins, Decimal("123466665555.2469135690123456"),
        given.realised_pnl, given.unrealised_pnl, given.fees_paid,
    )  # fmt: skip


async def test_a_minute_is_stored_once_and_none_before_the_newest(pool: Pool) -> None:
    await store(pool, [(T0 + MINUTE, Decimal(100))])
    before = await rows(pool, "SELECT * FROM equity_hours")

    await store(pool, [(T0 + MINUTE, Decimal(7)), (T0, Decimal(900))])

    assert await rows(pool, "SELECT at, equity FROM equity_snapshots") == [(T0 + MINUTE, 100)]
    assert await rows(pool, "SELECT * FROM equity_hours") == before


async def test_of_many_writers_of_one_minute_one_writes_both_tables(pool: Pool) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(1, 9):
            group.create_task(store(pool, [(T0, Decimal(n))]))

    minutes = await rows(pool, "SELECT equity FROM equity_snapshots")
    assert len(minutes) == 1
    assert await rows(pool, "SELECT low FROM equity_hours") == minutes
    assert await rows(pool, "SELECT high FROM equity_hours") == minutes


async def test_writers_of_many_minutes_at_once_leave_hours_that_are_exact(pool: Pool) -> None:
    walk = list(a_walk(5, minutes=90, gaps=0))[30:]
    random.Random(1).shuffle(walk)

    async with asyncio.TaskGroup() as group:
        for moment in walk:
            group.create_task(store(pool, [moment]))

    kept = [tuple(row) for row in await rows(pool, "SELECT at, equity FROM equity_snapshots")]
    for hour in (T0, T0 + HOUR):  # half of either
        mine = sorted((at, value) for at, value in kept if hour <= at < hour + HOUR)
        (row,) = await rows(
            pool,
            "SELECT first_at, newest_at, low, high, drawdown_ratio FROM equity_hours"
            " WHERE hour = %(hour)s",
            {"hour": hour},
        )
        values = [value for _, value in mine]
        assert row == (mine[0][0], mine[-1][0], min(values), max(values), max(drawdowns(mine)))


async def test_a_month_without_room_gets_it_and_the_minute_is_counted_once(pool: Pool) -> None:
    later = T0 + 400 * DAY

    await store(pool, [(later, Decimal(100))])

    assert await rows(pool, "SELECT at FROM equity_snapshots") == [(later,)]
    assert await rows(pool, "SELECT newest_at FROM equity_hours") == [(later,)]


async def test_two_quotes_are_two_accounts(pool: Pool) -> None:
    await PgEquities(pool).add(
        [an_equity(cash=Decimal(5)), an_equity(quote="BTC", cash=Decimal("0.5"))], at=T0
    )

    assert (await summary(pool, T0 + MINUTE, 1))["equity"] == "5"
    assert (await summary(pool, T0 + MINUTE, 1, quote="BTC"))["equity"] == "0.5"


# --- drawdown and curve -------------------------------------------------------------------------


@pytest.fixture
async def walk(pool: Pool) -> Series:
    """Nine and a half days of minutes, written as one pass after the other would."""
    series = a_walk(11, minutes=13_680)
    await copy_in(pool, series)
    return series


async def copy_in(pool: Pool, series: Series) -> None:
    """Write minutes and hours as `add` does, but all at once."""
    await PgHistory(pool).add_months("equity_snapshots", at=[at for at, _ in series[::1_000]])
    hours: dict[datetime, list[tuple[datetime, Decimal]]] = {}
    for at, value in series:
        hours.setdefault(at.replace(minute=0), []).append((at, value))
    rolled = [
        {
            "hour": hour,
            "first_at": mine[0][0],
            "first": mine[0][1],
            "newest_at": mine[-1][0],
            "newest": mine[-1][1],
            "low": min(value for _, value in mine),
            "high": max(value for _, value in mine),
            "fall": max(drawdowns(mine)),
        }
        for hour, mine in hours.items()
    ]
    minutes = [{"at": at, "v": value} for at, value in series]
    await execute(pool, COPY_MINUTES, {"rows": recordset(minutes)})
    await execute(pool, COPY_HOURS, {"rows": recordset(rolled)})


COPY_MINUTES = """
    INSERT INTO equity_snapshots
    SELECT 'KRW', at, v, 0, v, 0, 0, 0
      FROM json_to_recordset(%(rows)s::json) AS given (at timestamptz, v numeric)
"""
COPY_HOURS = """
    INSERT INTO equity_hours
    SELECT 'KRW', hour, first_at, first, 0, low, high, fall, newest_at, newest, 0, newest, 0, 0, 0
      FROM json_to_recordset(%(rows)s::json) AS given (
           hour timestamptz, first_at timestamptz, first numeric, newest_at timestamptz,
           newest numeric, low numeric, high numeric, fall numeric)
"""
WINDOWS = (
    (timedelta(), 9 * DAY),
    (timedelta(minutes=7), timedelta(days=8, minutes=31)),
    (timedelta(hours=3), timedelta(hours=3) + MINUTES_UPTO + MINUTE),
    (timedelta(hours=5, minutes=20), timedelta(hours=5, minutes=40)),
    (timedelta(minutes=59), timedelta(days=2, minutes=1)),
    (timedelta(days=-3), timedelta(days=30)),
)


@pytest.mark.proves("FR-006")
async def test_the_drawdown_of_any_window_is_what_its_minutes_say(pool: Pool, walk: Series) -> None:
    for begin, end in WINDOWS:
        await check_window(pool, walk, T0 + begin, T0 + end)


async def check_window(pool: Pool, walk: Series, since: datetime, until: datetime) -> None:
    inside = [(at, value) for at, value in walk if since <= at < until]

    body = await curve(pool, since, until)

    falls = dict(zip((at for at, _ in inside), drawdowns(inside), strict=True))
    values = dict(inside)
    assert Decimal(body["max_drawdown_ratio"]) == max(falls.values())
    assert 0 < len(body["items"]) <= 500
    for point in body["items"]:
        at = datetime.fromisoformat(point["at"])
        assert Decimal(point["equity"]) == values[at]
        assert Decimal(point["drawdown_ratio"]) == falls[at]
        assert Decimal(point["low"]) <= values[at] <= Decimal(point["high"])


@pytest.mark.parametrize("seed", range(3))
async def test_hours_tell_what_their_minutes_tell(pool: Pool, seed: int) -> None:
    """Written as in the service, minute by minute; the long window is read by the hour."""
    walk = a_walk(seed, minutes=200, gaps=0.3)
    await store(pool, walk)
    end = T0 + 5 * HOUR

    by_hour = await curve(pool, end - MINUTES_UPTO - HOUR, end)
    by_minute = await curve(pool, end - DAY, end)

    deepest = max(drawdowns(walk))
    assert Decimal(by_hour["max_drawdown_ratio"]) == deepest
    assert Decimal(by_minute["max_drawdown_ratio"]) == deepest
    assert len(by_hour["items"]) <= 4 < len(by_minute["items"])


async def test_each_part_of_the_window_shows_its_last_value_low_and_high(
    pool: Pool, walk: Series
) -> None:
    for points in (1, 7, 500):
        await check_parts(pool, walk, points)


async def check_parts(pool: Pool, walk: Series, points: int) -> None:
    since, until = T0 + timedelta(minutes=13), T0 + timedelta(days=2, minutes=1)
    parts: dict[int, list[tuple[datetime, Decimal]]] = {}
    for at, value in walk:
        if since <= at < until:
            parts.setdefault((at - since) * points // (until - since), []).append((at, value))

    items = (await curve(pool, since, until, points))["items"]

    assert [
        (datetime.fromisoformat(i["at"]), *(Decimal(i[k]) for k in ("equity", "low", "high")))
        for i in items
    ] == [
        (*mine[-1], min(v for _, v in mine), max(v for _, v in mine))
        for _, mine in sorted(parts.items())
    ]


async def test_a_window_without_a_snapshot_is_empty(pool: Pool) -> None:
    body = await curve(pool, T0, T0 + DAY)

    assert (body["items"], body["max_drawdown_ratio"]) == ([], None)


async def test_an_account_that_lost_everything_is_no_division_by_zero(pool: Pool) -> None:
    await store(pool, [(T0, ZERO), (T0 + MINUTE, Decimal(5)), (T0 + 2 * MINUTE, ZERO)])

    body = await curve(pool, T0, T0 + HOUR)
    told = await summary(pool, T0 + HOUR, 1)

    assert [item["drawdown_ratio"] for item in body["items"]] == ["0", "0", "1"]
    assert body["max_drawdown_ratio"] == "1"
    assert told["periods"][0]["max_drawdown_ratio"] == "1"
    assert told["periods"][0]["return_ratio"] is None


async def test_the_summarys_drawdown_is_that_of_the_minutes_since_midnight_in_seoul(
    pool: Pool, walk: Series
) -> None:
    now = walk[-1][0] + MINUTE
    midnight = (now + 9 * HOUR).replace(hour=0, minute=0) - 9 * HOUR

    periods = (await summary(pool, now, 1, 3, 9, 366))["periods"]

    for period in periods:
        begin = midnight - (period["days"] - 1) * DAY
        inside = [(at, value) for at, value in walk if at >= begin]
        assert Decimal(period["max_drawdown_ratio"]) == max(drawdowns(inside))


# --- summary ------------------------------------------------------------------------------------


async def test_before_the_first_snapshot_nothing_is_claimed(pool: Pool) -> None:
    told = await summary(pool, T0, 1, 7)

    assert (told["at"], told["equity"], told["unrealised_pnl"]) == (None, None, None)
    assert [p["days"] for p in told["periods"]] == [1, 7]
    assert {(p["pnl"], p["max_drawdown_ratio"], p["win_rate"]) for p in told["periods"]} == {
        (None, None, None)
    }


async def test_a_periods_result_is_since_the_last_snapshot_before_it(pool: Pool) -> None:
    midnight = datetime(2026, 1, 23, 15, tzinfo=UTC)  # of the 24th in Seoul
    for at, cash, realised, unrealised in (
        (midnight - 2 * DAY, 1_000, 0, 0),
        (midnight - MINUTE, 1_100, 50, 50),
        (midnight + HOUR, 900, 20, -120),
        # A deposit: more money, and nothing earned.
        (midnight + 2 * HOUR, 5_900, 20, -70),
    ):
        given = an_equity(
            cash=Decimal(cash), realised_pnl=Decimal(realised), unrealised_pnl=Decimal(unrealised)
        )
        await PgEquities(pool).add([given], at=at)

    told = await summary(pool, midnight + 3 * HOUR, 1, 2, 30)

    today, two, month = told["periods"]
    assert (told["equity"], told["realised_pnl"], told["unrealised_pnl"]) == ("5900", "20", "-70")
    assert told["at"] == "2026-01-23T17:00:00.000000Z"
    assert (today["first_day"], today["since"]) == ("2026-01-24", "2026-01-23T14:59:00.000000Z")
    assert (today["start_equity"], today["pnl"]) == ("1100", "-150")
    assert (two["start_equity"], two["pnl"]) == ("1000", "-50")
    # Nothing is older: the first minute there is.
    assert (month["since"], month["pnl"]) == ("2026-01-21T15:00:00.000000Z", "-50")


async def test_a_first_hour_counts_from_its_first_minute(pool: Pool) -> None:
    await PgEquities(pool).add([an_equity(cash=Decimal(100))], at=T0)
    await PgEquities(pool).add(
        [an_equity(cash=Decimal(90), realised_pnl=Decimal(-10))], at=T0 + MINUTE
    )

    (today,) = (await summary(pool, T0 + HOUR, 1))["periods"]

    assert (today["start_equity"], today["pnl"]) == ("100", "-10")


async def test_a_periods_trades_are_its_days(pool: Pool) -> None:
    await PgEquities(pool).add([an_equity(cash=Decimal(1_000))], at=T0 - DAY)
    bought = await a_stored_order(pool, "uat-1")
    await filled(pool, bought, a_fill(trade_uuid="t-1", traded_at=T0 - DAY))
    sold = await a_stored_order(pool, "uat-2", side=Side.SELL, funds=None, volume=Decimal("0.001"))
    await filled(pool, sold, a_fill(trade_uuid="t-2", funds=Decimal(100_200), traded_at=T0))

    today, week = (await summary(pool, T0, 1, 7))["periods"]

    assert (today["fills"], today["fees"], today["realised_pnl"]) == (1, "50", "150")
    assert (today["wins"], today["losses"], today["win_rate"]) == (1, 0, "1")
    assert (week["fills"], week["fees"], week["realised_pnl"]) == (2, "100", "100")
    assert (today["return_ratio"], week["return_ratio"]) == ("0.15", "0.1")


# --- days ---------------------------------------------------------------------------------------

SOME_DAYS = """
    INSERT INTO daily_stats (
           market, day, fills, bought_volume, bought_funds, sold_volume, sold_funds, fees,
           realised_pnl, wins, losses)
    SELECT 'KRW-BTC', date '2026-01-01' + n,
           n, 1.50, 2, 3, 4, 0.0005, -0.10, 1, 0
      FROM generate_series(0, 9) AS n
"""


async def test_days_come_newest_first_without_a_gap_or_a_repetition(pool: Pool) -> None:
    await execute(pool, SOME_DAYS)
    portfolio = PgPortfolio(pool)

    seen, last = [], None
    while True:
        page = await portfolio.market_days(market=KRW_BTC, limit=3, before=last)
        seen += json.loads(page.items)
        if (last := page.last) is None:
            break

    assert [day["fills"] for day in seen] == list(range(9, -1, -1))
    assert seen[0] == {
        "day": "2026-01-10", "market": "KRW-BTC", "fills": 9, "bought_volume": "1.5",
        "bought_funds": "2", "sold_volume": "3", "sold_funds": "4", "fees": "0.0005",
        "realised_pnl": "-0.1", "wins": 1, "losses": 0,
    }  # fmt: skip


async def test_one_markets_days_are_its_own(pool: Pool) -> None:
    await execute(pool, SOME_DAYS)
    await execute(pool, "UPDATE daily_stats SET market = 'KRW-ETH' WHERE fills % 2 = 1")

    portfolio = PgPortfolio(pool)
    page = await portfolio.market_days(market=KRW_BTC, limit=3)
    rest = await portfolio.market_days(market=KRW_BTC, limit=3, before=page.last)

    assert [day["fills"] for day in json.loads(page.items)] == [8, 6, 4]
    assert [day["fills"] for day in json.loads(rest.items)] == [2, 0]
