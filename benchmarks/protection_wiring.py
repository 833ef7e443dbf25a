"""Protection as the service wires it, of positions that a table already has."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from benchmarks.trading_wiring import WiredTrading
from service.domain.markets import Market, MarketRules
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.exits import Exits
from service.flows.follow_exits import ExitFollower
from service.flows.live_prices import LivePrices
from service.flows.order_cancels import OrderCancels
from service.flows.protect import Protector
from service.flows.watched_positions import WatchedPositions
from service.store.database.pool import Pool
from service.store.tables.market_data import PgMarketData
from service.store.tables.order_requests import PgOrderRequests
from service.store.tables.protection import PgProtections

UPKEEP_EVERY_S: Final = 1.0
VOLUME: Final = Decimal("0.1")
HELD: Final = """
    INSERT INTO positions (
           market, volume, cost, realised_pnl, fees_paid, opened_at, updated_at)
    SELECT market, %(volume)s, %(volume)s * %(price)s, 0, 0, now() - interval '1 hour', now()
      FROM unnest(%(markets)s::text[]) AS market
        ON CONFLICT (market) DO UPDATE
       SET volume = excluded.volume, cost = excluded.cost, opened_at = excluded.opened_at
"""


@dataclass(frozen=True, kw_only=True)
class WiredProtection:
    prices: LivePrices
    positions: WatchedPositions
    protector: Protector
    follower: ExitFollower


async def hold(pool: Pool, markets: Collection[Market], *, price: Decimal) -> None:
    """Store a position in each market, bought at `price`."""
    names = [str(market) for market in markets]
    async with pool.cursor() as cur:
        await cur.execute(HELD, {"volume": VOLUME, "price": price, "markets": names})


async def wired_protection(trading: WiredTrading) -> WiredProtection:
    """Watch every position; the rules of its market are known, as they are seconds after a buy."""
    prices = LivePrices(clock=trading.clock, settings=trading.settings)
    positions = WatchedPositions()
    protector = Protector(
        positions=positions, orders=trading.orders, rows=PgProtections(trading.pool),
        market_data=PgMarketData(trading.pool), prices=prices, exchange=trading.exchange,
        open_sales=trading.executor.open_sales, leadership=trading.leadership,
        switch=trading.switch, settings=trading.settings,
        alerts=AlertMonitor(alert_buffer=AlertBuffer(), clock=trading.clock),
        unprotected=lambda _: None,
        clock=trading.clock, real_clock=trading.real_clock,
    )  # fmt: skip
    cancels = OrderCancels(
        orders=trading.orders, requests=PgOrderRequests(trading.pool), exchange=trading.exchange,
        reconciler=trading.reconciler, leadership=trading.leadership, settings=trading.settings,
        clock=trading.clock,
    )  # fmt: skip
    follower = ExitFollower(
        positions=positions, exits=Exits(executor=trading.executor),
        open_sales=trading.executor.open_sales, cancels=cancels, exchange=trading.exchange,
        prices=prices, switch=trading.switch, real_clock=trading.real_clock,
    )  # fmt: skip
    prices.subscribe(protector.hear)
    await protector.load()
    for watched in positions.values():
        watched.rules = MarketRules(
            market=watched.market, fee_ratio=Decimal("0.0005"), min_funds=Decimal(5_000),
            max_funds=Decimal(1_000_000_000), tick_size=Decimal(1_000),
        )  # fmt: skip
    return WiredProtection(
        prices=prices, positions=positions, protector=protector, follower=follower
    )


async def keep_up(
    trading: WiredTrading, protection: WiredProtection, stopping: asyncio.Event
) -> None:
    """Renew the lease, and compare and save the positions, until the end."""
    while not stopping.is_set():
        await trading.leadership.renew()
        await protection.protector.watch()
        await protection.protector.keep()
        await trading.real_clock.sleep_real(UPKEEP_EVERY_S, wake=stopping)
