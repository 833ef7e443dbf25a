"""What a Korean day began with is fixed once, from the stored equity, on real PostgreSQL."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from service.domain.account import NewDeposit
from service.flows.alerts.rules import loss_notice
from service.store.database.pool import Pool
from service.store.tables.account import PgAccountBooks
from service.store.tables.equity import PgEquities
from service.store.tables.loss_days import PgLossDays
from tests.builders import an_equity
from tests.fakes.logs import Logs
from tests.integration.store.seeds import rows

DAY: Final = date(2026, 1, 24)
MIDNIGHT: Final = datetime(2026, 1, 23, 15, 0, tzinfo=UTC)  #: where the Korean day begins
QUOTES: Final = frozenset({"KRW", "BTC"})
D = Decimal


async def store(pool: Pool, minutes: float, *, cash: int, pnl: int = 0, quote: str = "KRW") -> None:
    """Store the account so many minutes after midnight."""
    equity = an_equity(
        quote=quote, cash=D(cash), coins=D(0), realised_pnl=D(pnl), unrealised_pnl=D(0)
    )
    await PgEquities(pool).add([equity], at=MIDNIGHT + timedelta(minutes=minutes))


def loss_days(pool: Pool) -> PgLossDays:
    return PgLossDays(pool, notice=loss_notice)


async def started(pool: Pool, day: date = DAY) -> dict[str, tuple[int, int]]:
    found = await loss_days(pool).of(day, quotes=QUOTES)
    return {row.start.quote: (int(row.start.equity), int(row.start.pnl)) for row in found.days}


async def test_a_day_begins_with_the_last_value_before_midnight(pool: Pool) -> None:
    await store(pool, -2, cash=90, pnl=-10)
    await store(pool, -1, cash=100, pnl=-5)
    await store(pool, 1, cash=50, pnl=-55)

    assert await started(pool) == {"KRW": (100, -5)}


async def test_without_a_value_before_it_the_day_begins_with_its_first(pool: Pool) -> None:
    await store(pool, 61, cash=100, pnl=-5)
    await store(pool, 62, cash=50, pnl=-55)

    assert await started(pool) == {"KRW": (100, -5)}


@pytest.mark.parametrize(("before", "first"), [(7, 3), (3, 7)])
async def test_after_a_gap_what_was_lost_in_it_counts_and_what_was_gained_does_not(
    pool: Pool, before: int, first: int
) -> None:
    await store(pool, -120, cash=100, pnl=before)
    unknown = await started(pool)
    await store(pool, 300, cash=200, pnl=first)

    assert unknown == {}, "the day's first value is not there yet"
    assert await started(pool) == {"KRW": (100 if before > first else 200, 7)}


async def test_a_value_of_more_than_a_day_ago_does_not_count(pool: Pool) -> None:
    await store(pool, -1441, cash=100, pnl=900)
    await store(pool, 5, cash=200, pnl=1)

    assert await started(pool) == {"KRW": (200, 1)}


async def test_the_start_stays_as_it_was_first_read(pool: Pool) -> None:
    await store(pool, -2, cash=100)
    await started(pool)
    await store(pool, -1, cash=50)

    assert await started(pool) == {"KRW": (100, 0)}


async def test_a_day_that_a_clock_ahead_began_begins_anew_at_its_midnight(
    pool: Pool,
) -> None:
    await store(pool, -500, cash=100, pnl=0)
    await store(pool, 61, cash=100, pnl=0)  # by the clock that ran ahead
    early = await started(pool)
    await store(pool, -1, cash=150, pnl=50)

    assert early == {"KRW": (100, 0)}
    with Logs.captured() as logs:
        assert await started(pool) == {"KRW": (150, 50)}
        assert await started(pool) == {"KRW": (150, 50)}
    told = [line for line in logs.lines if "clock that ran ahead" in line["message"]]
    assert len(told) == 1


async def test_a_day_that_began_right_begins_anew_for_nothing_of_another_hour_or_quote(
    pool: Pool,
) -> None:
    """A service that was off before midnight: the day began with its first value."""
    await store(pool, -300, cash=90, pnl=0)
    await store(pool, 5, cash=100, pnl=7)
    await started(pool)
    for minutes, quote in ((-1, "BTC"), (-61, "KRW"), (30, "KRW"), (-1441, "KRW")):
        await store(pool, minutes, cash=500, pnl=500, quote=quote)

    assert (await started(pool))["KRW"] == (100, 7)


async def test_only_the_day_that_is_asked_for_begins_anew(pool: Pool) -> None:
    """Of an earlier day, whose start was its own first value, nothing is forgotten."""
    await store(pool, -1440 + 5, cash=80, pnl=3)
    earlier = DAY - timedelta(days=1)
    before = await started(pool, earlier)
    await store(pool, -1, cash=100, pnl=0)
    await started(pool)

    assert before == {"KRW": (80, 3)}
    assert await rows(pool, "SELECT count(*) FROM loss_days") == [(2,)]


async def test_a_day_that_began_with_an_hour_of_the_future_begins_anew(pool: Pool) -> None:
    """The clock ran ahead past midnight, and nothing was stored before it."""
    await store(pool, 200, cash=100, pnl=0)
    early = await started(pool)
    await store(pool, -1, cash=150, pnl=50)

    assert early == {"KRW": (100, 0)}
    assert await started(pool) == {"KRW": (150, 50)}


async def test_two_processes_at_once_fix_one_start(pool: Pool) -> None:
    await store(pool, -1, cash=100)

    found = await asyncio.gather(*(started(pool) for _ in range(4)))

    assert found == [{"KRW": (100, 0)}] * 4


async def test_each_quote_currency_has_a_day_of_its_own(pool: Pool) -> None:
    await store(pool, -1, cash=100)
    await store(pool, 0, cash=2, quote="BTC")

    assert await started(pool) == {"KRW": (100, 0), "BTC": (2, 0)}
    assert await started(pool, DAY + timedelta(days=1)) == {}


async def test_money_that_came_since_the_start_is_told_and_coins_are_not(pool: Pool) -> None:
    await store(pool, -1, cash=100)
    for currency, amount, minutes in (
        ("KRW", 500, 60),
        ("KRW", -20, 120),
        ("BTC", 3, 60),
        ("KRW", 7, -5),
        ("KRW", 9, 1440),
    ):
        deposit: dict[str, Any] = {"currency": currency, "amount": D(amount), "note": ""}
        at = MIDNIGHT + timedelta(minutes=minutes)
        await PgAccountBooks(pool).add(NewDeposit(**deposit, at=at, actor="admin@127.0.0.1"))

    (found,) = (await loss_days(pool).of(DAY, quotes=QUOTES)).days

    assert found.start.deposited == 480


async def test_the_alert_is_stored_once_a_day_with_its_note(pool: Pool) -> None:
    await store(pool, -1, cash=100)
    await started(pool)
    days = loss_days(pool)

    told = [await days.warn("KRW", DAY, at=MIDNIGHT) for _ in range(2)]

    assert told == [True, False]
    assert await rows(pool, "SELECT key, severity FROM alerts") == [
        ("loss:KRW:2026-01-24", "warning")
    ]
    (found,) = (await days.of(DAY, quotes=QUOTES)).days
    assert found.is_warned


async def test_the_loss_at_an_operators_resume_is_kept(pool: Pool) -> None:
    await store(pool, -1, cash=100)
    await started(pool)
    at = MIDNIGHT + timedelta(hours=5)

    await loss_days(pool).excuse("KRW", DAY, loss=D("7.123456789012"), at=at)

    (found,) = (await loss_days(pool).of(DAY, quotes=QUOTES)).days
    assert (found.excused, found.excused_at) == (D("7.123456789012"), at)


async def test_a_day_with_a_fill_is_told_as_traded(pool: Pool) -> None:
    await rows(
        pool,
        "INSERT INTO daily_stats (market, day, fills, bought_volume, bought_funds, sold_volume,"
        " sold_funds, fees, realised_pnl, wins, losses)"
        " VALUES ('KRW-BTC', '2026-01-24', 1, 1, 1, 0, 0, 0, 0, 0, 0) RETURNING market",
    )

    assert (await loss_days(pool).of(DAY, quotes=QUOTES)).traded == {"KRW"}
    assert (await loss_days(pool).of(DAY - timedelta(days=1), quotes=QUOTES)).traded == frozenset()
