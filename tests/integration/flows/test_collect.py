"""Candles and prices of a sandbox over real sockets, whatever breaks, against its own record."""

import json
import random
from decimal import Decimal
from typing import Any, Final

import aiohttp
import pytest

from service.adapters.upbit.rest import UpbitRest
from service.adapters.upbit.sign import Signer
from service.adapters.upbit.stream.client import UpbitStreams
from service.bus import Bus
from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.domain.prices import PriceSource
from service.flows.collect import Collector
from service.flows.live_prices import LivePrices
from service.sandbox.clock import DiscreteMarketClock
from service.sandbox.faults import Fault
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from service.store.database.pool import Pool
from service.store.tables.market_data import PgMarketData
from tests.builders import KRW_BTC, some_live_prices
from tests.integration.sandbox.client import Client
from tests.integration.store.seeds import rows

KRW_ETH = Market("KRW", "ETH")
MARKETS = (KRW_BTC, KRW_ETH)
ROUNDS: Final = 80
#: Market seconds between two passes; the last two are beyond one page of candles.
PAUSES: Final = (10, 10, 10, 50, 70, 600, 7_200, 12_010, 30_000)
CANDLES: Final = "/v1/candles/*"
FAULTS: Final = (
    Fault(path=CANDLES, drop_before=True),
    Fault(path=CANDLES, drop_after=True, chance=0.5),
    Fault(path=CANDLES, truncate=True, chance=0.5),
    Fault(path=CANDLES, status=503, chance=0.5),
    Fault(path=CANDLES, status=200, body="<html>", every_nth=2),
    Fault(path=CANDLES, merge={"candle_date_time_utc": "9999-12-31T23:59:00"}, every_nth=2),
    Fault(path=CANDLES, merge={"high_price": 0}, chance=0.3),
    Fault(path="/v1/ticker", status=503),
    Fault(path="/v1/*", drop_before=True, chance=0.5),
    Fault(path="/websocket/*", drop_before=True),
)
STORED = """
    SELECT market, opened_at, open, high, low, close, volume, funds
      FROM candles
     WHERE timeframe = '1m'
     ORDER BY market, opened_at
"""
PRICES = "SELECT market, collected_at, count(*) FROM market_data GROUP BY 1, 2"
FIELDS = (
    "opening_price",
    "high_price",
    "low_price",
    "trade_price",
    "candle_acc_trade_volume",
    "candle_acc_trade_price",
)


class Collecting:
    """One process that collects, its stream and its exchange; the sandbox's time is moved."""

    def __init__(self, session: aiohttp.ClientSession, sandbox: Sandbox, pool: Pool) -> None:
        self.sandbox, self.pool = sandbox, pool
        self.client = Client(session, sandbox)
        self.upbit = UpbitRest(
            session,
            quotation_url=sandbox.upbit_url,
            exchange_url=sandbox.upbit_url,
            access_key=sandbox.access_key,
            secret_key=sandbox.secret_key,
            paced=False,
        )
        self.streams = UpbitStreams(
            session,
            url=sandbox.upbit_ws_url,
            signer=Signer(sandbox.access_key, sandbox.secret_key),
        )
        self.live_prices: LivePrices
        self.collector: Collector
        self.failed = self.whole = 0
        self.restart()

    def restart(self) -> None:
        self.live_prices = some_live_prices(self.sandbox.clock)
        self.collector = Collector(
            markets=MARKETS,
            exchange=self.upbit,
            market_data=PgMarketData(self.pool),
            live_prices=self.live_prices,
            bus=Bus(),
            clock=self.sandbox.clock,
        )

    def advance(self, seconds: int) -> None:
        assert isinstance(self.sandbox.clock, DiscreteMarketClock)
        self.sandbox.clock.advance(seconds)

    async def hear(self) -> None:
        """Hear the present prices from a new connection, and have it cut off."""
        try:
            async with self.streams.prices(MARKETS) as stream:
                for word in await stream.prices(within_s=5):
                    self.live_prices.hear(word, source=PriceSource.STREAM)
                await self.client.control("POST", "stream", json={"do": "drop"})
        except BoundaryError:
            self.failed += 1

    async def collect(self) -> None:
        try:
            await self.collector.step()
            self.whole += 1
        except BoundaryError:
            self.failed += 1

    async def stored(self, market: Market) -> list[tuple[Any, ...]]:
        found = await rows(self.pool, STORED)
        return [tuple(row) for name, *row in found if name == str(market)]

    async def recorded(self, market: Market, count: int) -> list[tuple[Any, ...]]:
        """Return the sandbox's newest `count` candles, page by page over the wire."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            wanted = {"market": str(market), "count": str(min(200, count - len(found)))}
            if found:
                wanted["to"] = found[-1]["candle_date_time_utc"] + "Z"
            url = f"{self.sandbox.upbit_url}/v1/candles/minutes/1"
            async with self.client.session.get(url, params=wanted) as answer:
                page = json.loads(await answer.text(), parse_float=Decimal, parse_int=Decimal)
            assert page, "the sandbox has fewer candles than are stored"
            found += page
        return [
            (candle["candle_date_time_utc"], *(candle[name] for name in FIELDS))
            for candle in reversed(found)
        ]


@pytest.mark.proves("S4.2")
@pytest.mark.parametrize("seed", [1, 2])
async def test_no_candle_is_missing_twice_or_wrong_after_outages_of_any_kind_and_length(
    pool: Pool, seed: int
) -> None:
    rng = random.Random(seed)
    options = SandboxOptions(markets=MARKETS, speed=Decimal(0), seed=seed)
    async with open_sandbox(options) as sandbox, aiohttp.ClientSession() as session:
        process = Collecting(session, sandbox, pool)
        await process.collect()
        for _ in range(ROUNDS):
            sandbox.faults.clear()
            process.advance(rng.choice(PAUSES))
            if rng.random() < 0.6:
                sandbox.faults.add(rng.choice(FAULTS))
            if rng.random() < 0.1:
                process.restart()
            if rng.random() < 0.5:
                await process.hear()
            await process.collect()
        sandbox.faults.clear()
        for _ in range(3):  # three pages a pass are more than the longest pause leaves behind
            process.advance(60)
            await process.collect()

        for market in MARKETS:
            stored = await process.stored(market)
            recorded = await process.recorded(market, len(stored))
            told = [(at.strftime("%Y-%m-%dT%H:%M:%S"), *values) for at, *values in stored]
            assert told == recorded

    assert process.failed > ROUNDS / 8
    prices = await rows(pool, PRICES)
    assert {number for _, _, number in prices} == {1}
    assert len(prices) >= len(MARKETS) * process.whole
