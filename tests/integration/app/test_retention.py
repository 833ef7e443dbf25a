"""Months of a fast sandbox, on real PostgreSQL: room ahead of every row, and old months gone."""

from datetime import UTC, datetime, timedelta

from service.adapters.clock import SystemClock
from service.flows.retention import Retention
from service.settings.settings import Settings
from service.store.database.pool import Pool
from service.store.tables.market_data import PgMarketData
from service.store.tables.partitions import PgHistory
from tests.builders import a_ticker
from tests.fakes.clock import FakeClock
from tests.fakes.setting_rows import FakeSettingRows
from tests.integration.store.seeds import rows

BEGAN = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = 250
KEPT = timedelta(days=30)


async def test_months_in_seconds_find_room_for_every_price_and_keep_what_they_should(
    pool: Pool,
) -> None:
    clock = FakeClock(BEGAN)
    settings = Settings(FakeSettingRows(), clock)
    await settings.change({"data_retention_days": KEPT.days}, by="test")
    retention = Retention(
        history=PgHistory(pool), settings=settings, clock=clock, real_clock=SystemClock()
    )
    prices, written = PgMarketData(pool), list[datetime]()

    await retention.make_room()
    for _ in range(DAYS):
        await prices.add_tickers([a_ticker()], at=clock.now())
        written.append(clock.now())
        clock.pass_time((await retention.interval()).total_seconds())
        await retention.step()

    months = await rows(
        pool, "SELECT part::text, starts FROM month_tables('market_data') ORDER BY starts"
    )
    oldest = months[0][1]
    stored = await rows(pool, "SELECT collected_at, id FROM market_data ORDER BY collected_at")
    assert len(months) <= 5
    assert [at for at, _ in stored] == [at for at in written if at >= oldest]
    assert clock.now() - KEPT >= oldest >= clock.now() - KEPT - timedelta(days=31)
    # A row that had found no room would have cost a number.
    assert stored[-1][1] == DAYS
