"""What an exit has left when the process dies at one of its crash points."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from service.crashpoints import CrashPoint
from tests.faults.crash_stack import MARKETS, RECKLESS, CrashStack
from tests.faults.proxy import Cut
from tests.faults.waits import until

MARKET: Final = MARKETS[0]
#: Below the stop of 5 %.
FALLEN: Final = Decimal("0.93")
#: A sale that never arrived is given up after two minutes. Its coins are sold then.
PATIENCE_S: Final = 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCrash:
    """Attributes:
    way: whether the exit has a row first, or is in the exit journal while the database is away.
    rows: statuses of the rows of this exit that the dead process has left.
    """

    point: CrashPoint
    way: Literal["row", "journal"] = "row"
    rows: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.way}-{self.point}"


EXIT_CRASHES: Final = (
    ExitCrash(point="exit.decided"),
    ExitCrash(point="exit.reserved"),
    ExitCrash(point="attempt.after_commit", rows=("PENDING",)),
    ExitCrash(point="post.after_send", rows=("PENDING",)),
    ExitCrash(point="post.after_response", rows=("PENDING",)),
    ExitCrash(point="fill.before_commit", rows=("SUBMITTED",)),
    ExitCrash(point="fill.after_commit", rows=("EXECUTED",)),
    ExitCrash(way="journal", point="exit.journaled"),
    ExitCrash(way="journal", point="post.after_send"),
    ExitCrash(way="journal", point="post.after_response"),
    ExitCrash(way="journal", point="exit.noted"),
    ExitCrash(way="journal", point="exit.stored", rows=("PENDING",)),
)


class Selling:
    """A position whose stop is reached while no service runs, and what becomes of it.

    Attributes:
        newest_row: id of the newest order before the exit.
        sales: how many sales had executed at the exchange before it.
    """

    def __init__(self, stack: CrashStack) -> None:
        self.stack = stack
        self.newest_row = 0
        self.sales = 0

    async def hold(self) -> None:
        """Buy, and leave only rules the right to trade."""
        stack = self.stack
        # Each limit but the stop has tests of its own.
        await stack.change(
            volatility_threshold_pct=100, daily_loss_limit_pct=100, trading_enabled=True
        )
        await stack.plan(RECKLESS)
        await until(self._holds, what=f"something of {MARKET} is held")
        await stack.clear_plan()
        await stack.change(trading_enabled=False)
        await until(self._is_at_rest, what="no order is open")
        (row,) = await stack.sql("SELECT coalesce(max(id), 0) AS id FROM orders")
        self.newest_row, self.sales = row["id"], len(await self._sold())

    async def fall(self) -> None:
        """Let the price be below the stop from the next print on."""
        (position,) = await self._positions()
        price = position["cost"] / position["volume"] * FALLEN // 1000 * 1000
        body = {"market": MARKET, "prices": [str(price)], "then": "hold"}
        await self.stack.sandbox.ask("POST", "/__sandbox__/prices", body)

    async def rise(self) -> None:
        await self.stack.sandbox.ask("DELETE", f"/__sandbox__/prices?market={MARKET}")

    def lose_the_next_row(self) -> None:
        """Have the database go away in the moment in which an order's row is written."""
        self.stack.proxy.cut = Cut(b"INSERT INTO orders", "before")

    async def check_left(self, crash: ExitCrash) -> None:
        rows = await self._rows()
        journal = self.stack.folder / "s" / "var" / "exits-sandbox.jsonl"
        lines = journal.read_text().splitlines() if journal.exists() else []
        written = [json.loads(line.partition(" ")[2]) for line in lines if line]

        assert tuple(row["status"] for row in rows) == crash.rows, rows
        assert bool(written) == (crash.way == "journal"), "the exit is in the journal"
        assert not any("settled" in fields for fields in written)

    async def check_sold_once(self) -> None:
        """One sale reached the book and sold all; of the rows one is executed, by the stop."""
        await until(self._is_sold, what="the position is sold", patience_s=PATIENCE_S)
        await until(self._is_at_rest, what="no order is open")
        rows = await self._rows()
        done = [row for row in rows if row["status"] == "EXECUTED"]

        assert len(await self._sold()) == self.sales + 1, "one sale executed"
        assert [row["rule"] for row in done] == ["STOP_LOSS"], rows
        assert {row["reason"] for row in rows if row not in done} <= {"not_placed"}, rows

    # --- looks ------------------------------------------------------------------------------------

    async def _positions(self) -> Sequence[dict[str, Any]]:
        return await self.stack.sql(
            f"SELECT * FROM positions WHERE market = '{MARKET}' AND volume > 0"
        )

    async def _rows(self) -> Sequence[dict[str, Any]]:
        return await self.stack.sql(
            "SELECT status, reason, rule FROM orders"
            f" WHERE id > {self.newest_row} AND market = '{MARKET}' AND side = 'SELL' ORDER BY id"
        )

    async def _sold(self) -> Sequence[dict[str, Any]]:
        return [
            order
            for order in (await self.stack.ledger())["orders"]
            if (order["market"], order["side"]) == (MARKET, "ask")
            and Decimal(order["executed_volume"])
        ]

    async def _holds(self) -> bool:
        return bool(await self._positions())

    async def _is_sold(self) -> bool:
        return not await self._positions()

    async def _is_at_rest(self) -> bool:
        return not await self.stack.sql(
            "SELECT id FROM orders WHERE status IN ('PENDING', 'UNKNOWN', 'SUBMITTED')"
        )
