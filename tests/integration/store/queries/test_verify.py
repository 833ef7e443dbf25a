"""Stored values add up to the fills, and each one that does not is found."""

import asyncio
import json
import tracemalloc
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service import cli
from service.domain.orders import Side
from service.domain.verification import BookDifference
from service.store.database.interruption import Interruption
from service.store.database.pool import Pool
from service.store.queries.verify import count_differences, verify
from service.store.tables.equity import PgEquities
from tests.builders import T0, a_fill, an_equity
from tests.integration.store.seeds import a_stored_order, execute, filled
from tests.integration.store.test_daily_stats import Trading

MINUTE = timedelta(minutes=1)
MEBIBYTE = 2**20
#: Days of which no fill tells; each of them differs in nine columns.
MANY_DAYS = """
    INSERT INTO daily_stats (
           market, day, fills, bought_volume, bought_funds, sold_volume, sold_funds, fees,
           realised_pnl, wins, losses)
    SELECT 'KRW-BTC', '2000-01-01'::date + n, 1, 1, 1, 1, 1, 1, 1, 1, 1
      FROM generate_series(1, 10000) AS n
"""


async def some_trades(pool: Pool) -> None:
    """Buy two coins and sell one with a gain; the equity of two minutes stands after it."""
    bought = await a_stored_order(pool, "uat-1")
    await filled(pool, bought, a_fill(trade_uuid="t-1", volume=Decimal(2), funds=Decimal(200)))
    sold = await a_stored_order(pool, "uat-2", side=Side.SELL, funds=None, volume=Decimal(1))
    await filled(pool, sold, a_fill(trade_uuid="t-2", volume=Decimal(1), funds=Decimal(110)))
    for minute in (1, 2):
        equity = an_equity(realised_pnl=Decimal(-90), fees_paid=Decimal(100))
        await PgEquities(pool).add([equity], at=T0 + minute * MINUTE)


@pytest.mark.parametrize("seed", range(3))
async def test_random_trading_adds_up(pool: Pool, dsn: str, seed: int) -> None:
    await Trading(pool, seed).trade(orders=25)

    assert verify(dsn) == ()


async def test_a_few_trades_with_their_equity_add_up(pool: Pool, dsn: str) -> None:
    await some_trades(pool)

    assert verify(dsn) == ()


def test_an_empty_database_adds_up(dsn: str) -> None:
    assert verify(dsn) == ()


@pytest.mark.parametrize(
    ("change", "table", "column"),
    [
        ("UPDATE positions SET volume = volume + 0.00000001", "positions", "volume"),
        ("UPDATE positions SET cost = cost + 0.000000000001", "positions", "cost"),
        ("UPDATE positions SET realised_pnl = 7", "positions", "realised_pnl"),
        ("UPDATE positions SET fees_paid = fees_paid * 2", "positions", "fees_paid"),
        ("UPDATE positions SET opened_at = now()", "positions", "opened_at"),
        ("DELETE FROM positions", "positions", "volume"),
        ("UPDATE fills SET realised_pnl = realised_pnl + 1 WHERE id = 2", "fills", "realised_pnl"),
        ("UPDATE orders SET executed_volume = 9 WHERE id = 1", "orders", "executed_volume"),
        ("UPDATE orders SET executed_funds = 9 WHERE id = 1", "orders", "executed_funds"),
        ("UPDATE orders SET paid_fee = 0 WHERE id = 2", "orders", "paid_fee"),
        ("UPDATE daily_stats SET fills = 3", "daily_stats", "fills"),
        ("UPDATE daily_stats SET bought_funds = 1", "daily_stats", "bought_funds"),
        ("UPDATE daily_stats SET sold_volume = 3", "daily_stats", "sold_volume"),
        ("UPDATE daily_stats SET fees = fees + 0.1", "daily_stats", "fees"),
        ("UPDATE daily_stats SET wins = 1, losses = 0", "daily_stats", "losses"),
        ("DELETE FROM daily_stats", "daily_stats", "fills"),
        ("UPDATE equity_hours SET high = high + 1", "equity_hours", "high"),
        ("UPDATE equity_hours SET low = low - 1", "equity_hours", "low"),
        ("DELETE FROM equity_hours", "equity_hours", "equity"),
        (
            "UPDATE equity_hours SET fees_paid = 1; UPDATE equity_snapshots SET fees_paid = 1",
            "equity",
            "fees_paid",
        ),
    ],
)
async def test_each_value_that_was_changed_is_found(
    pool: Pool, dsn: str, change: str, table: str, column: str
) -> None:
    await some_trades(pool)
    await execute(pool, change)

    found = {(one.table, one.column) for one in verify(dsn)}

    assert (table, column) in found
    assert table in count_differences(dsn, Interruption())


async def test_a_difference_names_the_place_and_both_values(pool: Pool, dsn: str) -> None:
    await some_trades(pool)
    await execute(pool, "UPDATE daily_stats SET fees = 100.5")

    assert verify(dsn) == (
        BookDifference(
            table="daily_stats",
            row="KRW-BTC 2026-01-24",
            column="fees",
            stored="100.5",
            derived="100",
        ),
    )


async def test_the_count_of_many_differences_keeps_none_of_them(pool: Pool, dsn: str) -> None:
    await execute(pool, MANY_DAYS)

    tracemalloc.start()
    try:
        found = count_differences(dsn, Interruption())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == {"daily_stats": 9 * 10_000}
    # A batch of 2,000 rows; all of them at once take thirty.
    assert most < 5 * MEBIBYTE


async def test_the_command_shows_what_differs_and_says_so_by_its_exit_code(
    pool: Pool, dsn: str, tmp_path: Path
) -> None:
    variables = {"DATABASE_URL": dsn, "TRADER_DATA_DIR": str(tmp_path / "var")}

    def ran(*arguments: str) -> Any:
        return CliRunner().invoke(cli.app, ["verify", *arguments], env=variables)

    await some_trades(pool)
    # In a thread: the command runs an event loop of its own.
    good, good_json = await asyncio.to_thread(ran), await asyncio.to_thread(ran, "--json")
    await execute(pool, "UPDATE positions SET volume = 5")
    bad, bad_json = await asyncio.to_thread(ran), await asyncio.to_thread(ran, "--json")

    assert (good.exit_code, good.stdout) == (0, "every stored value adds up to the fills\n")
    assert json.loads(good_json.stdout) == {"ok": True, "differences": []}
    assert (bad.exit_code, bad_json.exit_code) == (1, 1)
    [difference] = json.loads(bad_json.stdout)["differences"]
    assert (difference["row"], difference["column"]) == ("KRW-BTC", "volume")
    assert "KRW-BTC" in bad.stdout
