"""A stop with PostgreSQL away: the whole service, a proxy before its server, the sandbox's sockets.

Each test compares the tables with the exchange's own record afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from service.app.verification import differences_at
from service.domain.errors import NotLeader
from service.domain.orders import ExitRule, Intent, Order, OrderStatus, OrderType, Side
from service.domain.trading_states import OrderSource, TradingStatus
from service.flows.execute import Executor
from service.flows.exits import Exits
from service.flows.unstored_orders import NO_ROW
from service.store.database.pool import Pool
from tests.builders import KRW_BTC
from tests.composed import Composed, composed
from tests.fakes.webhook import open_webhook
from tests.faults.proxy import PgProxy, through_a_proxy
from tests.integration.store.contract import STORE
from tests.integration.store.seeds import execute, rows

SAFETY_S: Final = 60
SPEED: Final = 20  #: the market's seconds in a real one: a print comes every ten of them


@dataclass
class Outage:
    """A service that holds coins, and the proxy before its server."""

    service: Composed
    proxy: PgProxy
    pool: Pool  #: past the proxy
    dsn: str  #: past the proxy

    @property
    def executor(self) -> Executor:
        return self.service.services.flattener._executor

    async def buy(self) -> Decimal:
        intent = Intent(
            market=KRW_BTC, side=Side.BUY, type=OrderType.MARKET, funds=Decimal(200_000)
        )
        await self.executor.execute(intent, decision_id=None, source=OrderSource.HAND)
        await self.until(self._is_settled)
        return (await self.service.services.ports.store.orders.position(KRW_BTC)).volume

    async def _is_settled(self) -> bool:
        position = await self.service.services.ports.store.orders.position(KRW_BTC)
        return position.volume > 0 and not await self.service.services.ports.store.orders.open()

    async def stop(self, volume: Decimal) -> Order:
        exits = Exits(executor=self.executor, unstored_orders=self.service.services.unstored_orders)
        return await exits.sell(
            KRW_BTC, volume, rule=ExitRule.STOP_LOSS, price=Decimal(1), limit=Decimal(2)
        )

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SAFETY_S):
            while not await true():  # noqa: ASYNC110 - nothing to wait for
                await asyncio.sleep(0.05)

    async def is_booked(self) -> bool:
        found = await rows(
            self.pool,
            "SELECT count(*) FROM orders AS o WHERE rule IS NOT NULL AND status = 'EXECUTED'"
            " AND EXISTS (SELECT FROM fills WHERE order_id = o.id)",
        )
        return bool(found == [(1,)])

    def lapse(self) -> None:
        """Let this process's lease lapse now; on the embedded server no other process takes it."""
        self.service.services.unstored_orders._is_alone = True
        self.service.services.leadership._held_until = 0.0

    async def hears(self, *, words: int) -> None:
        """Wait until the stream has told so many more prices."""
        feed = self.service.services.live.feed
        until = feed.state().frames + words

        async def has_heard() -> bool:
            return feed.state().connected and feed.state().frames >= until

        await self.until(has_heard)

    async def fall(self, *, pct: int) -> None:
        """Have every print from the next one on be so far below the last."""
        latest = self.service.services.live_prices.latest(KRW_BTC)
        assert latest is not None
        price = (latest.price * (100 - pct) / 100).quantize(Decimal(1000))
        address = f"{self.service.exchange_url}/__sandbox__/prices"
        script = {"market": str(KRW_BTC), "prices": [f"{price:f}"]}
        async with self.service.client.post(address, json=script) as answer:
            assert answer.ok, await answer.text()

    async def is_sold(self) -> bool:
        return "ask" in {one["side"] for one in (await self.ledger())["orders"]}

    async def shows_it_sold(self) -> bool:
        shown = await self.service.get("/api/v1/risk/status")
        (one,) = shown["protection"]
        assert shown["missing"] == ["limits", "positions"]
        return one["selling"] is None and one["sold"] == one["volume"]

    async def ledger(self) -> Any:
        address = f"{self.service.exchange_url}/__sandbox__/ledger"
        async with self.service.client.get(address) as answer:
            return await answer.json()

    async def check(self, order: Order) -> None:
        """See that the one sale is booked once, and that our tables are the exchange's record."""
        stored = await rows(
            self.pool,
            "SELECT identifier, rule, origin, executed_volume FROM orders WHERE side = 'SELL'",
        )
        assert stored == [(order.identifier, "STOP_LOSS", "SERVICE", order.intent.volume)]
        ledger = await self.ledger()
        theirs = {one["identifier"]: Decimal(one["executed_volume"]) for one in ledger["orders"]}
        ours = await rows(self.pool, "SELECT identifier, executed_volume FROM orders")
        assert dict(ours) == theirs
        assert await rows(self.pool, "SELECT volume FROM positions") == [(0,)]
        assert await rows(self.pool, "SELECT reason FROM trading_halts") == []
        assert not await differences_at(self.dsn)


@asynccontextmanager
async def an_outage(folder: Path, dsn: str, pool: Pool, **options: Any) -> AsyncIterator[Outage]:
    await execute(pool, STORE, {"key": "disabled_jobs", "value": '["generate_trading_signal"]'})
    async with (
        through_a_proxy(dsn) as (proxy, proxied),
        composed(folder, proxied, **options) as service,
    ):
        yield Outage(service=service, proxy=proxy, pool=pool, dsn=dsn)


async def test_a_stop_sells_while_the_server_is_gone_and_is_booked_once_it_is_back(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with an_outage(tmp_path, dsn, pool) as outage:
        volume = await outage.buy()

        await outage.proxy.close()
        order = await outage.stop(volume)
        assert (order.id, order.status, order.executed_volume) == (
            NO_ROW,
            OrderStatus.EXECUTED,
            volume,
        )
        assert await outage.is_booked() is False

        await outage.proxy.start()
        await outage.until(outage.is_booked)
        await outage.check(order)


async def test_a_hung_server_holds_a_stop_up_for_no_longer_than_its_bound(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    """The insert hangs, and gets through when the server answers again: it is the same order."""
    async with an_outage(tmp_path, dsn, pool) as outage:
        volume = await outage.buy()

        outage.proxy.stop_flow()
        order = await outage.stop(volume)
        assert (order.id, order.status) == (NO_ROW, OrderStatus.EXECUTED)

        outage.proxy.let_flow()
        await outage.until(outage.is_booked)
        await outage.check(order)


async def test_a_failed_change_of_the_switch_does_not_keep_a_stop_from_selling(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    """Whether the change was stored is not known: the setting has no stricter value than off."""
    async with an_outage(tmp_path, dsn, pool) as outage:
        volume = await outage.buy()
        await outage.proxy.close()
        changed = {"value": True}
        async with outage.service.client.patch(
            "/api/v1/config/trading_enabled", json=changed
        ) as answer:
            assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert outage.service.services.trading_switch.status() is TradingStatus.DISABLED

        order = await outage.stop(volume)
        assert order.status is OrderStatus.EXECUTED

        await outage.proxy.start()
        await outage.until(outage.is_booked)
        await outage.check(order)


async def test_the_next_process_stores_what_the_last_one_could_not(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    """The first one is stopped while its server is away; the second one finds the file."""
    async with an_outage(tmp_path, dsn, pool) as outage:
        volume = await outage.buy()
        await outage.proxy.close()
        order = await outage.stop(volume)
        kept = (tmp_path / "var" / "exits-sandbox.jsonl").read_bytes()
        assert order.identifier.encode() in kept

    async with through_a_proxy(dsn) as (proxy, proxied), composed(tmp_path, proxied) as service:
        again = Outage(service=service, proxy=proxy, pool=pool, dsn=dsn)
        # The row is written at once, and settled by the process that has the lease: the first one
        # could not give it back.
        await again.until(again.is_booked)
        await again.check(order)
        assert (tmp_path / "var" / "exits-sandbox.jsonl").read_bytes() == b""


@pytest.mark.parametrize("away", ["stopped", "hung"])
@pytest.mark.parametrize("pct", [7, 20], ids=["fall", "jump"])
async def test_prices_are_heard_and_a_stop_sells_however_long_the_server_is_away(
    tmp_path: Path, dsn: str, pool: Pool, away: str, pct: int
) -> None:
    """The lease has lapsed, as it has eight seconds after the server answered last."""
    await execute(pool, STORE, {"key": "volatility_threshold_pct", "value": '"100"'})
    await execute(pool, STORE, {"key": "daily_loss_limit_pct", "value": '"100"'})
    async with an_outage(tmp_path, dsn, pool, speed=SPEED) as outage:
        await outage.hears(words=1)
        await outage.buy()

        await outage.proxy.close() if away == "stopped" else outage.proxy.stop_flow()
        outage.lapse()
        await outage.hears(words=3)
        await outage.fall(pct=pct)
        await outage.until(outage.is_sold)
        assert await outage.is_booked() is False
        await outage.until(outage.shows_it_sold)

        await outage.proxy.start() if away == "stopped" else outage.proxy.let_flow()
        await outage.until(outage.is_booked)
        assert await rows(pool, "SELECT volume FROM positions") == [(0,)]
        sales = await rows(pool, "SELECT rule FROM orders WHERE side = 'SELL'")
        assert sales == [("STOP_LOSS",)]


async def test_with_the_lease_lapsed_nothing_leaves_and_the_operator_is_told_without_the_server(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with (
        open_webhook() as hook,
        an_outage(tmp_path, dsn, pool, alert_urls=hook.address) as outage,
    ):
        volume = await outage.buy()
        await outage.proxy.close()
        outage.service.services.leadership._held_until = 0.0  # ten seconds have passed

        with pytest.raises(NotLeader):
            await outage.stop(volume)

        async def is_told() -> bool:
            return any("KRW-BTC is unprotected" in title for title in hook.titles)

        await outage.until(is_told)
        orders = (await outage.ledger())["orders"]
        assert "ask" not in {one["side"] for one in orders}
        assert not (tmp_path / "var" / "exits-sandbox.jsonl").exists()
