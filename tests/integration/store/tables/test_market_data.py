"""Prices and candles on real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from service.domain.limits.volatility import MinuteRange
from service.domain.markets import Candle, Market, Timeframe
from service.store.database.pool import Pool
from service.store.tables.market_data import PgMarketData
from tests.builders import KRW_BTC, T0, a_candle, a_ticker
from tests.integration.store.seeds import rows

KRW_ETH = Market("KRW", "ETH")
CANDLES = """
    SELECT market, timeframe, opened_at, open, high, low, close, volume, funds
      FROM candles
     ORDER BY market, timeframe, opened_at
"""


def a_candle_row(candle: Candle) -> tuple[object, ...]:
    return (
        str(candle.market),
        candle.timeframe.value,
        candle.opened_at,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.funds,
    )


async def test_each_ticker_becomes_one_row_with_every_value_exact(pool: Pool) -> None:
    ticker = a_ticker(
        price=Decimal("0.00000123"),
        volume_24h=Decimal("9876543210.12345678"),
        change_since_close_ratio=Decimal("-0.01234567"),
        traded_at=T0 - timedelta(microseconds=1),
    )

    await PgMarketData(pool).add_tickers([ticker, a_ticker(market=KRW_ETH)], at=T0)

    stored = await rows(
        pool,
        "SELECT market, price, high, low, volume_24h, change_since_close_ratio, traded_at,"
        "       collected_at"
        "  FROM market_data ORDER BY id LIMIT 1",
    )
    assert stored == [
        (
            "KRW-BTC",
            ticker.price,
            ticker.high,
            ticker.low,
            ticker.volume_24h,
            ticker.change_since_close_ratio,
            ticker.traded_at,
            T0,
        )
    ]
    assert await rows(pool, "SELECT count(*) FROM market_data") == [(2,)]


async def test_the_latest_id_is_of_the_market_asked_for(pool: Pool) -> None:
    market_data = PgMarketData(pool)
    await market_data.add_tickers([a_ticker()], at=T0)
    await market_data.add_tickers([a_ticker()], at=T0 + timedelta(seconds=10))
    await market_data.add_tickers([a_ticker(market=KRW_ETH)], at=T0 + timedelta(seconds=20))

    newest = await market_data.latest_id(KRW_BTC)

    expected = await rows(
        pool, "SELECT max(id) FROM market_data WHERE market = %(m)s", {"m": "KRW-BTC"}
    )
    assert [(newest,)] == expected


async def test_a_market_without_rows_has_no_latest_id(pool: Pool) -> None:
    assert await PgMarketData(pool).latest_id(KRW_BTC) is None


async def test_the_newest_candle_is_of_the_market_and_timeframe_asked_for(pool: Pool) -> None:
    market_data = PgMarketData(pool)
    await market_data.put_candles(
        [
            a_candle(),
            a_candle(opened_at=T0 + timedelta(minutes=1)),
            a_candle(timeframe=Timeframe.H1, opened_at=T0 + timedelta(hours=1)),
            a_candle(market=KRW_ETH, opened_at=T0 + timedelta(hours=2)),
        ]
    )

    later = T0 + timedelta(days=1)
    newest = await market_data.newest_candle_at(KRW_BTC, Timeframe.M1, before=later)

    assert newest == T0 + timedelta(minutes=1)
    assert await market_data.newest_candle_at(KRW_ETH, Timeframe.M5, before=later) is None


async def test_a_stored_candle_of_the_future_is_not_the_newest_one(pool: Pool) -> None:
    """Regression: one candle dated 9999 switched the back-fill of its market off for ever."""
    market_data = PgMarketData(pool)
    absurd = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    await market_data.put_candles([a_candle(), a_candle(opened_at=absurd)])

    newest = await market_data.newest_candle_at(
        KRW_BTC, Timeframe.M1, before=T0 + timedelta(minutes=1)
    )

    assert newest == T0


async def test_nothing_collected_stores_nothing(pool: Pool) -> None:
    await PgMarketData(pool).add_tickers([], at=T0)
    await PgMarketData(pool).put_candles([])

    assert await rows(pool, "SELECT count(*) FROM market_data") == [(0,)]
    assert await rows(pool, "SELECT count(*) FROM candles") == [(0,)]


async def test_a_running_candle_is_overwritten_and_others_stay(pool: Pool) -> None:
    market_data = PgMarketData(pool)
    done = a_candle(funds=Decimal("123456789012.1234567890123456"))
    running = a_candle(opened_at=T0 + timedelta(minutes=1))
    hourly = a_candle(timeframe=Timeframe.H1)
    grown = a_candle(
        opened_at=running.opened_at, high=Decimal(100_300_000), volume=Decimal("2.00000001")
    )

    await market_data.put_candles([done, running, hourly])
    await market_data.put_candles([done, grown])

    assert await rows(pool, CANDLES) == [a_candle_row(c) for c in (hourly, done, grown)]


async def test_a_candle_that_did_not_change_is_not_written_again(pool: Pool) -> None:
    market_data = PgMarketData(pool)
    await market_data.put_candles([a_candle()])
    before = await rows(pool, "SELECT xmin::text FROM candles")

    await market_data.put_candles([a_candle()])

    assert await rows(pool, "SELECT xmin::text FROM candles") == before


async def test_the_same_candle_twice_in_one_batch_is_stored_as_the_later_one(pool: Pool) -> None:
    later = a_candle(close=Decimal(100_050_000))

    await PgMarketData(pool).put_candles([a_candle(), later])

    assert await rows(pool, CANDLES) == [a_candle_row(later)]


async def test_two_passes_in_opposite_order_do_not_deadlock(pool: Pool) -> None:
    market_data = PgMarketData(pool)
    candles = [a_candle(opened_at=T0 + timedelta(minutes=n)) for n in range(200)]
    moved = [a_candle(opened_at=c.opened_at, volume=c.volume + n) for n, c in enumerate(candles, 1)]

    for _ in range(5):
        await asyncio.gather(market_data.put_candles(candles), market_data.put_candles(moved[::-1]))

    assert await rows(pool, "SELECT count(*) FROM candles") == [(200,)]


async def test_the_newest_price_of_each_market_is_one_that_is_fresh(pool: Pool) -> None:
    data, eth = PgMarketData(pool), KRW_ETH
    for minutes, price in ((0, 1), (2, 3), (1, 2)):
        at = T0 + timedelta(minutes=minutes)
        await data.add_tickers([a_ticker(price=Decimal(price))], at=at)
    await data.add_tickers([a_ticker(market=eth, price=Decimal("0.5"))], at=T0)

    async def newest(minutes: int, *markets: Market) -> dict[Market, Decimal]:
        return dict(await data.newest_prices(markets, since=T0 + timedelta(minutes=minutes)))

    assert await newest(0, KRW_BTC, eth) == {KRW_BTC: Decimal(3), eth: Decimal("0.5")}
    assert await newest(1, KRW_BTC, eth) == {KRW_BTC: Decimal(3)}
    assert await newest(3, KRW_BTC) == {}
    assert await newest(0) == {}


async def test_the_range_of_a_minute_is_that_of_its_candle_and_of_collected_prices(
    pool: Pool,
) -> None:
    data, minute = PgMarketData(pool), int(T0.timestamp()) // 60
    await data.put_candles(
        [
            a_candle(opened_at=T0, low=Decimal(97), high=Decimal(99), open=Decimal(98),
                     close=Decimal(98)),
            a_candle(opened_at=T0 - timedelta(minutes=5)),
            a_candle(timeframe=Timeframe.M5),
        ]
    )  # fmt: skip
    await data.put_candles([a_candle(opened_at=T0 + timedelta(minutes=2))])
    for seconds, price in ((59, 100), (60, 101), (120, 1), (-1, 1)):
        at = T0 + timedelta(seconds=seconds)
        await data.add_tickers([a_ticker(price=Decimal(price))], at=at)
    await data.add_tickers([a_ticker(market=KRW_ETH, price=Decimal(5))], at=T0)

    found = await data.minute_ranges([KRW_BTC], since=T0, before=T0 + timedelta(minutes=2))

    assert {market: list(ranges) for market, ranges in found.items()} == {
        KRW_BTC: [
            MinuteRange(minute=minute, low=Decimal(97), high=Decimal(100)),
            MinuteRange(minute=minute + 1, low=Decimal(101), high=Decimal(101)),
        ]
    }
