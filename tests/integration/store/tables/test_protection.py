"""What protection keeps, in PostgreSQL and in its twin alike."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from service.domain.markets import Candle
from service.domain.orders import Breach, ExitRule
from service.ports.protection import Protections, StoredProtection
from service.store.database.pool import Pool
from service.store.tables.market_data import PgMarketData
from service.store.tables.protection import PgProtections
from tests.builders import KRW_BTC, T0, a_candle
from tests.fakes.protections import FakeProtections
from tests.integration.store.seeds import rows
from tests.unit.flows.conftest import KRW_ETH

D = Decimal
KEPT = StoredProtection(market=KRW_BTC, opened_at=T0, highest=D("100000000.123456789012"))
BREACH = Breach(rule=ExitRule.TRAILING_STOP, price=D("89.5"), limit=D("90.0000000001"))


@pytest.fixture(params=["postgres", "twin"])
def kept(request: pytest.FixtureRequest) -> Protections:
    if request.param == "twin":
        return FakeProtections()
    return PgProtections(request.getfixturevalue("pool"))


async def test_what_was_saved_is_read_back_exactly(kept: Protections) -> None:
    selling = replace(KEPT, market=KRW_ETH, exit=BREACH)
    await kept.save([selling, KEPT], at=T0)

    assert list(await kept.all()) == [KEPT, selling]


async def test_the_highest_price_of_a_position_never_falls(kept: Protections) -> None:
    await kept.save([KEPT], at=T0)
    await kept.save([replace(KEPT, highest=D(5), exit=BREACH)], at=T0)

    assert list(await kept.all()) == [replace(KEPT, exit=BREACH)]


async def test_another_position_begins_anew(kept: Protections) -> None:
    later = replace(KEPT, opened_at=T0 + timedelta(hours=1), highest=D(5))
    await kept.save([replace(KEPT, exit=BREACH, is_dust=True)], at=T0)
    await kept.save([later], at=T0)

    assert list(await kept.all()) == [later]


async def test_dust_is_one_risk_event_of_its_position(pool: Pool) -> None:
    kept = PgProtections(pool)
    dust, later = replace(KEPT, is_dust=True), T0 + timedelta(hours=1)
    await kept.save([KEPT], at=T0)
    for _ in range(2):
        await kept.save([dust], at=T0)
    await kept.save([replace(dust, opened_at=later)], at=later)

    events = await rows(pool, "SELECT at, event, market, reason, actor FROM risk_events")
    rest = ("DUST", "KRW-BTC", "below_minimum", "system:protection")
    assert events == [(T0, *rest), (later, *rest)]


async def test_the_highest_of_the_minutes_that_began_since_counts(pool: Pool) -> None:
    kept, candles = PgProtections(pool), PgMarketData(pool)
    await candles.put_candles(
        [_minute(-1, high=130), _minute(0, high=110), _minute(1, high=120), _minute(2, high=115)]
    )

    assert await kept.highest(KRW_BTC, since=T0, max_jump_pct=D(50)) == 120
    assert await kept.highest(KRW_ETH, since=T0, max_jump_pct=D(50)) is None


async def test_a_minute_with_an_odd_high_does_not_count(pool: Pool) -> None:
    """It would raise a trailing stop above the market, and sell at once."""
    kept, candles = PgProtections(pool), PgMarketData(pool)
    await candles.put_candles([_minute(0, high=110), _minute(1, high=10_000)])

    assert await kept.highest(KRW_BTC, since=T0, max_jump_pct=D(20)) == 110


def _minute(n: int, *, high: int) -> Candle:
    return a_candle(
        opened_at=T0 + timedelta(minutes=n), open=D(100), low=D(99), close=D(100), high=D(high)
    )
