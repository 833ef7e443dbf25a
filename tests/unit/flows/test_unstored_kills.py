"""A process that is killed at any call of a sale without the database, with the real file.

Killed before or after the effect of the call, the next process has to find one order at the most,
with its row, and a position that is what the exchange has left of it.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from service.adapters.exit_journal import FileExitJournal
from service.domain.errors import StoreDown
from service.domain.orders import Breach, ExitRule, OrderStatus, Side
from service.flows.exits import Exits
from service.flows.unstored_orders import UnstoredOrders
from tests.builders import KRW_BTC, an_intent
from tests.unit.flows.conftest import House

HELD: Final = Decimal("0.001")
BREACH: Final = Breach(rule=ExitRule.STOP_LOSS, price=Decimal(94), limit=Decimal(95))
WRITES: Final = {
    "journal": ("append", "note", "settle"),
    "exchange": ("submit", "find"),
    "orders": ("add_sent", "advance"),
}
#: More calls than a sale and its storing make.
MOST: Final = 20


class Killed(BaseException):
    """Nothing catches it, as nothing survives SIGKILL."""


class Mortal:
    """A port whose calls count; the one that is due ends the process."""

    def __init__(
        self, port: Any, names: tuple[str, ...], count: Callable[[], Iterator[None]]
    ) -> None:
        self._port, self._names, self._count = port, names, count

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._names:
            return method

        async def call(*args: Any, **more: Any) -> Any:
            steps = self._count()
            next(steps)
            answer = await method(*args, **more)
            next(steps)
            return answer

        return call


class Life:
    """One process of several, on one database, one exchange and one file."""

    def __init__(self, house: House, path: Path, *, dies_at: int | None) -> None:
        self._left = dies_at
        self.journal = FileExitJournal(path)
        self.house = house
        house.reconciler._in_hand.clear()
        house.open_sales._sales.clear()
        orders = Mortal(house.orders, WRITES["orders"], self._steps)
        exchange = Mortal(house.exchange, WRITES["exchange"], self._steps)
        house.reconciler._orders, house.reconciler._exchange = orders, exchange
        self.unstored = UnstoredOrders(
            journal=Mortal(self.journal, WRITES["journal"], self._steps),
            orders=orders,
            exchange=exchange,
            reconciler=house.reconciler,
            leadership=house.leadership,
            trading_switch=house.trading_switch,
            open_sales=house.open_sales,
            clock=house.clock,
            real_clock=house.clock,
            is_alone=True,
            tell=lambda _: None,
            tell_damage=house.damages.append,
        )

    def _steps(self) -> Iterator[None]:
        """Die before the call's effect, or after it."""
        for _ in range(2):
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    raise Killed
            yield

    async def sell(self) -> None:
        self.house.orders.fail = StoreDown("gone")
        exits = Exits(executor=self.house.executor, unstored_orders=self.unstored)
        await exits.sell(KRW_BTC, HELD, rule=BREACH.rule, price=BREACH.price, limit=BREACH.limit)


async def lived(house: House, path: Path, *, dies_at: int) -> bool:
    """Sell, store, and die on the way; return whether it came to that."""
    life = Life(house, path, dies_at=dies_at)
    try:
        await life.unstored.begin()
        await life.sell()
        await life.unstored.step()
    except Killed:
        return True
    finally:
        house.orders.fail = None
        await life.journal.let_go()  # the kernel does, when the process is dead
    return False


async def settled(house: House, path: Path) -> None:
    """Do what the next process does before it trades, and what time does."""
    life = Life(house, path, dies_at=None)
    await life.unstored.load()
    await life.unstored.begin()
    for _ in range(4):
        await house.reconciler.reconcile()
        house.clock.pass_time(60)
    await life.journal.let_go()


def check(house: House, held: Decimal) -> None:
    sales = [name for intent, name in house.exchange.sent if intent.side is Side.SELL]
    rows = [row for row in house.orders.rows.values() if row.intent.side is Side.SELL]
    executed = [row for row in rows if row.status is OrderStatus.EXECUTED]
    assert len(sales) <= 1
    assert len(rows) <= 1
    assert [row.identifier for row in executed] == sales
    assert {row.status for row in rows} <= {OrderStatus.EXECUTED, OrderStatus.FAILED}
    assert held == house.exchange.available["BTC"] == HELD * (1 - len(sales))
    assert house.damages == []
    assert house.exchange.calls.count("submit") == 1 + len(sales)


@pytest.mark.parametrize("dies_at", range(MOST))
async def test_a_kill_at_any_call_sells_once_at_most_and_loses_nothing(
    house: House, tmp_path: Path, dies_at: int
) -> None:
    path = tmp_path / "exits.jsonl"
    await house.executor.execute(an_intent(funds=Decimal(100_000)), decision_id=None)

    has_died = await lived(house, path, dies_at=dies_at)
    await settled(house, path)

    check(house, (await house.orders.position(KRW_BTC)).volume)
    assert path.read_bytes() == b"" if path.exists() else has_died


async def test_the_kills_reach_every_call(house: House, tmp_path: Path) -> None:
    await house.executor.execute(an_intent(funds=Decimal(100_000)), decision_id=None)

    assert not await lived(house, tmp_path / "exits.jsonl", dies_at=MOST - 1)
