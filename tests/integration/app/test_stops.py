"""A stop of the whole service, as it is wired: a real server, and the sandbox over sockets.

Upkeep mends much: a position is compared with the table every 15 s, a price judged again each
second. So what is decided is looked at where an event is heard, just after protection heard it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from service.bus import FillsFound, OrderFilled
from service.domain.orders import ExitRule, Intent, OrderType, Side
from service.domain.positions import Position
from service.domain.prices import LivePrice
from service.domain.trading_states import OrderSource
from service.store.database.pool import Pool
from tests.builders import KRW_BTC
from tests.composed import Composed, composed
from tests.integration.store.contract import STORE
from tests.integration.store.seeds import execute, rows

SAFETY_S: Final = 60
#: The market's seconds in a real one: a print comes every ten of them.
SPEED: Final = 20
#: Trade by hand alone, and let no other limit come first.
SETTINGS: Final = {
    "disabled_jobs": '["generate_trading_signal"]',
    "volatility_threshold_pct": '"100"',
    "daily_loss_limit_pct": '"100"',
}
BOUGHT: Final = (
    "INSERT INTO positions"
    " (market, volume, cost, realised_pnl, fees_paid, opened_at, updated_at)"
    " VALUES ('KRW-BTC', 0.001, 100000, 0, 0, now(), now())"
)
D = Decimal


@dataclass
class Stop:
    """A service with what its protection knew each time that an event was heard.

    Attributes:
        watched: the positions known as a fill was heard.
        decided: the rule that sold the position as a price was heard, by that price.
    """

    service: Composed
    pool: Pool
    watched: list[list[Position]] = field(default_factory=list)
    decided: dict[Decimal, ExitRule | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        services = self.service.services
        protector = services.protection.protector

        async def filled(_: OrderFilled) -> None:
            self.watched.append(protector.positions())

        def hear(price: LivePrice) -> None:
            for position in protector.positions():
                self.decided.setdefault(price.price, protector.status(position).exit)

        services.bus.subscribe(OrderFilled, filled)
        services.live_prices.subscribe(hear)

    async def buy(self) -> Decimal:
        intent = Intent(market=KRW_BTC, side=Side.BUY, type=OrderType.MARKET, funds=D(200_000))
        executor = self.service.services.flattener._executor
        await executor.execute(intent, decision_id=None, source=OrderSource.HAND)
        await self.until(self._holds_coins)
        return (await self._position()).volume

    async def fall(self, *, pct: int) -> Decimal:
        """Have every print from the next one on be so far below the average price."""
        average = (await self._position()).average_price
        assert average is not None
        price = (average * (100 - pct) / 100).quantize(D(1000))
        address = f"{self.service.exchange_url}/__sandbox__/prices"
        script = {"market": str(KRW_BTC), "prices": [f"{price:f}"]}
        async with self.service.client.post(address, json=script) as answer:
            assert answer.ok, await answer.text()
        return price

    async def sales(self) -> list[Any]:
        """Return identifier and sold volume of each sale that the exchange has."""
        async with self.service.client.get(
            f"{self.service.exchange_url}/__sandbox__/ledger"
        ) as answer:
            orders = (await answer.json())["orders"]
        return [
            (one["identifier"], D(one["executed_volume"])) for one in orders if one["side"] == "ask"
        ]

    async def stopped(self) -> None:
        async def is_sold() -> bool:
            return not (await self._position()).volume

        await self.until(is_sold)

    async def may_trade(self) -> bool:
        return self.service.services.leadership.may_trade

    async def check(self, volume: Decimal) -> None:
        """See that the one sale at the exchange is the one that the stop-loss asked for."""
        stored = await rows(
            self.pool, "SELECT identifier, executed_volume, rule FROM orders WHERE side = 'SELL'"
        )
        ((identifier, sold, rule),) = stored
        assert (sold, rule) == (volume, "STOP_LOSS")
        assert await self.sales() == [(identifier, volume)]

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SAFETY_S):
            while not await true():  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0.05)

    async def _holds_coins(self) -> bool:
        orders = self.service.services.ports.store.orders
        return bool((await self._position()).volume) and not await orders.open()

    async def _position(self) -> Position:
        return await self.service.services.ports.store.orders.position(KRW_BTC)


@asynccontextmanager
async def a_stop(folder: Path, dsn: str, pool: Pool) -> AsyncIterator[Stop]:
    for key, value in SETTINGS.items():
        await execute(pool, STORE, {"key": key, "value": value})
    async with composed(folder, dsn, speed=SPEED) as service:
        yield Stop(service=service, pool=pool)


async def test_a_purchase_is_watched_at_its_fill_and_sold_by_the_price_that_reaches_its_stop(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with a_stop(tmp_path, dsn, pool) as stop:
        volume = await stop.buy()
        watched = stop.watched[-1]
        shown = (await stop.service.get("/api/v1/trading/position"))["items"][0]["protection"]
        price = await stop.fall(pct=7)
        await stop.stopped()

        # In the step that heard of the fill, and of the price: no upkeep came between.
        assert [one.volume for one in watched] == [volume]
        assert stop.decided[price] is ExitRule.STOP_LOSS
        assert (shown["watched"], shown["unwatched_because"]) == (True, None)
        await stop.check(volume)


async def test_a_position_of_before_a_restart_is_sold_at_its_stop(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with a_stop(tmp_path, dsn, pool) as stop:
        volume = await stop.buy()

    async with a_stop(tmp_path, dsn, pool) as stop:
        await stop.until(stop.may_trade)
        loaded = stop.service.services.protection.protector.positions()
        price = await stop.fall(pct=7)
        await stop.stopped()

        assert [one.volume for one in loaded] == [volume]
        assert stop.decided[price] is ExitRule.STOP_LOSS
        await stop.check(volume)


async def test_a_purchase_that_was_stored_and_not_told_is_watched_once_found(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with a_stop(tmp_path, dsn, pool) as stop:
        await stop.until(stop.may_trade)
        await execute(pool, BOUGHT)

        await stop.service.services.bus.publish(FillsFound(market=KRW_BTC, side=Side.BUY))

        watched = stop.service.services.protection.protector.positions()
        assert [one.volume for one in watched] == [D("0.001")]
