"""A stack that holds something, and what the exchange itself says was bought and sold."""

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

from tests.faults.conftest import open_folder
from tests.faults.stack import Stack
from tests.faults.waits import until

#: Market seconds a second: one print is a third of a second.
SPEED: Final = 30
STOP: Final = Decimal("0.95")
#: A market order of this size takes a few levels of the sandbox's book, one tick apart.
SLIPPAGE: Final = Decimal("0.997")
RECKLESS: Final = {"path": "*:generateContent", "model": "reckless"}


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Stack]:
    folder = open_folder()
    try:
        async with Stack.opened(folder, speed=SPEED, plan=(RECKLESS,), **options) as stack:
            # Each limit but the stop has tests of its own.
            await stack.change(volatility_threshold_pct=100, daily_loss_limit_pct=100)
            yield stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def trades(stack: Stack) -> Sequence[Mapping[str, Any]]:
    """Return the exchange's own trades, oldest first."""
    ledger: Mapping[str, Any] = await stack.sandbox.ask("GET", "/__sandbox__/ledger")
    found: Sequence[Mapping[str, Any]] = ledger["trades"]
    return found


async def average(stack: Stack, side: str) -> Decimal:
    return _average([trade for trade in await trades(stack) if trade["side"] == side])


async def held(stack: Stack) -> Decimal:
    volumes = [(trade["side"], Decimal(trade["volume"])) for trade in await trades(stack)]
    return sum((one if side == "bid" else -one for side, one in volumes), Decimal(0))


async def until_bought(stack: Stack) -> Decimal:
    """Wait until something is held and its order is settled; then buy no more. Return its stop."""

    async def look() -> bool:
        orders = (await stack.service.get("/api/v1/trading/orders"))["items"]
        return await held(stack) > 0 and all(one["status"] == "EXECUTED" for one in orders)

    await until(look, what="something is bought")
    await stack.change(trading_enabled=False)
    return await average(stack, "bid") * STOP


def _average(some: Sequence[Mapping[str, Any]]) -> Decimal:
    volume = sum((Decimal(trade["volume"]) for trade in some), Decimal(0))
    funds = sum((Decimal(trade["price"]) * Decimal(trade["volume"]) for trade in some), Decimal(0))
    return funds / volume


async def until_sold(stack: Stack) -> None:
    async def look() -> bool:
        return await held(stack) == 0

    await until(look, what="all is sold")
