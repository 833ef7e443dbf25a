"""What goes and what stays, by whose clock; on a fake history."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.domain.errors import StoreTimeout
from service.flows.retention import LONGEST_WINDOW, SERIES, Retention, months_from
from service.settings.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.setting_rows import FakeSettingRows

KST = timezone(timedelta(hours=9))
NOW = datetime(2026, 12, 31, 18, 0, tzinfo=UTC)  # in Seoul it is January already
DAY = timedelta(days=1)


class FakeHistory:
    """Months as sets; alerts as a number of old ones."""

    def __init__(self) -> None:
        self.months: dict[str, set[datetime]] = defaultdict(set)
        self.busy: set[str] = set()
        self.asked: dict[str, datetime] = {}
        self.old_alerts = 0
        self.alerts_asked: list[tuple[datetime, datetime]] = []

    async def add_months(self, table: str, *, at: Iterable[datetime]) -> int:
        fresh = {months_from(instant, 1)[0] for instant in at} - self.months[table]
        self.months[table] |= fresh
        return len(fresh)

    async def drop_month(self, table: str, *, before: datetime) -> str | None:
        self.asked[table] = before
        if table in self.busy:
            raise StoreTimeout("PostgreSQL gave up waiting for a lock")
        for month in sorted(self.months[table]):
            if months_from(month, 2)[1] <= before:
                self.months[table].discard(month)
                return f"{table}_{month:%Y_%m}"
        return None

    async def drop_alerts(self, *, before: datetime, queued_before: datetime, limit: int) -> int:
        self.alerts_asked.append((before, queued_before))
        deleted = min(limit, self.old_alerts)
        self.old_alerts -= deleted
        return deleted


class House:
    def __init__(self, *, now: datetime = NOW, real_now: datetime = NOW) -> None:
        self.history, self.clock = FakeHistory(), FakeClock(now)
        self.settings = Settings(FakeSettingRows(), self.clock)
        self.ahead_s: float | None = None
        self.retention = Retention(
            history=self.history,
            settings=self.settings,
            clock=self.clock,
            real_clock=FakeClock(real_now),
            ahead_s=lambda: self.ahead_s,
        )

    async def keep(self, days: int) -> None:
        await self.settings.change({"data_retention_days": days}, by="test")


@pytest.mark.parametrize(
    ("at", "months"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), ["2026-01", "2026-02", "2026-03"]),
        (
            datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            ["2026-12", "2027-01", "2027-02"],
        ),
        # Already the first of the month in Seoul, not yet in UTC.
        (datetime(2027, 1, 1, 8, 59, tzinfo=KST), ["2026-12", "2027-01", "2027-02"]),
        (datetime(2027, 1, 1, 9, 0, tzinfo=KST), ["2027-01", "2027-02", "2027-03"]),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), ["2028-02", "2028-03", "2028-04"]),
    ],
)
def test_months_are_utcs(at: datetime, months: list[str]) -> None:
    made = months_from(at, 3)

    assert [f"{month:%Y-%m}" for month in made] == months
    assert all(month == month.replace(day=1, hour=0, tzinfo=UTC) for month in made)


async def test_there_is_room_for_this_month_and_the_two_after_it() -> None:
    house = House()

    made = await house.retention.make_room()
    again = await house.retention.make_room()

    assert (made, again) == (3 * len(SERIES), 0)
    for series in SERIES:
        assert house.history.months[series.table] == set(months_from(NOW, 3))


async def test_each_table_goes_by_its_own_clock() -> None:
    """A replay of 2018 in a sandbox: its prices are of then, its requests are of today."""
    then = datetime(2018, 3, 5, tzinfo=UTC)
    house = House(now=then, real_now=NOW)

    await house.retention.step()

    assert min(house.history.months["market_data"]) == datetime(2018, 3, 1, tzinfo=UTC)
    assert min(house.history.months["job_runs"]) == datetime(2018, 3, 1, tzinfo=UTC)
    assert min(house.history.months["job_hours"]) == datetime(2018, 3, 1, tzinfo=UTC)
    assert min(house.history.months["request_stats"]) == datetime(2026, 12, 1, tzinfo=UTC)
    assert house.history.asked["market_data"] == then - 365 * DAY
    assert house.history.asked["request_stats"] == NOW - 365 * DAY
    assert house.history.alerts_asked == [(then - 365 * DAY, NOW - 365 * DAY)]


@pytest.mark.parametrize(
    ("days", "prices", "passes", "hours"),
    [
        (7, 7, 31, 31),
        (31, 31, 31, 31),
        (45, 45, 45, 45),
        (365, 365, 62, 365),
        (3650, 3650, 62, 3650),
    ],
)
async def test_what_the_operator_asks_for_is_bounded_where_windows_or_room_say_so(
    days: int, prices: int, passes: int, hours: int
) -> None:
    house = House()
    await house.keep(days)

    await house.retention.step()

    assert house.history.asked == {
        "market_data": NOW - prices * DAY,
        "job_runs": NOW - passes * DAY,
        "job_hours": NOW - hours * DAY,
        "request_stats": NOW - hours * DAY,
    }


async def test_a_shorter_retention_is_in_force_with_the_next_pass() -> None:
    house = House()
    history = house.history
    await history.add_months("market_data", at=months_from(NOW - 300 * DAY, 10))
    await house.retention.step()
    before = len(history.months["market_data"])

    await house.keep(30)
    await house.retention.step()

    assert before == 12
    # Of December 1st at 18:00 the whole of November is over, and nothing of December.
    assert sorted(history.months["market_data"]) == list(months_from(NOW, 3))


async def test_no_month_that_a_window_needs_is_ever_asked_for() -> None:
    house = House()
    await house.keep(7)

    await house.retention.step()

    for series in SERIES:
        if series.is_for_ever:
            assert series.table not in house.history.asked
            continue
        kept = NOW - house.history.asked[series.table]
        assert series.table == "market_data" or kept >= LONGEST_WINDOW


async def test_a_table_that_is_busy_holds_up_no_other_and_is_tried_again_soon() -> None:
    house = House()
    history = house.history
    for series in SERIES:
        await history.add_months(series.table, at=[NOW - 800 * DAY])
    history.busy, history.old_alerts = {"market_data"}, 3

    await house.retention.step()
    after_the_first = {table: len(months) for table, months in history.months.items()}
    soon = await house.retention.interval()
    history.busy = set()
    await house.retention.step()

    assert (soon, await house.retention.interval()) == (timedelta(hours=1), DAY)
    assert after_the_first == {
        "market_data": 4,
        "job_runs": 3,
        "job_hours": 3,
        "request_stats": 3,
        "equity_snapshots": 4,  # tells of money: busy or not, nothing of it goes
    }
    assert history.old_alerts == 0
    assert len(history.months["market_data"]) == 3


async def test_a_table_that_is_busy_for_a_day_fails_the_job() -> None:
    """A night's backup is no failure; somebody who never ends is."""
    house = House()
    house.history.busy = {"job_runs"}

    for _ in range(24):
        await house.retention.step()

    with pytest.raises(StoreTimeout):
        await house.retention.step()
    assert await house.retention.interval() == timedelta(hours=1)


async def test_alerts_go_in_batches_until_none_is_left() -> None:
    house = House()
    house.history.old_alerts = 1_234

    await house.retention.step()

    assert house.history.old_alerts == 0
    assert len(house.history.alerts_asked) == 4


@pytest.mark.parametrize(
    ("ahead_s", "removes"), [(None, True), (-9e9, True), (60.0, True), (90_000.0, False)]
)
async def test_a_clock_that_is_days_ahead_makes_nothing_old(
    ahead_s: float | None, removes: bool
) -> None:
    house = House()
    await house.history.add_months("market_data", at=[NOW - 800 * DAY])
    house.history.old_alerts = 1
    house.ahead_s = ahead_s

    await house.retention.step()

    assert (min(house.history.months["market_data"]) > NOW - 400 * DAY) is removes
    assert (house.history.old_alerts == 0) is removes
