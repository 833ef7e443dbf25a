"""Creates monthly partitions before they are needed, and drops old ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from loguru import logger

from service.domain.errors import StoreTimeout
from service.ports.clock import MarketClock, RealClock
from service.ports.store import History
from service.settings.settings import Settings
from service.settings.table import DATA_RETENTION_DAYS

MONTHS_AHEAD: Final = 2
EVERY: Final = timedelta(hours=24)
#: Period after a pass that found a table in use: a nightly backup reads it for an hour.
WHILE_BUSY: Final = timedelta(hours=1)
_PATIENCE: Final = 24  #: consecutive passes with a table in use until the job counts as failed
#: The longest window of /api/v1/metrics; its rows must all be there.
LONGEST_WINDOW: Final = timedelta(days=31)
_BATCH: Final = 500  #: alerts a statement
#: With our clock so far ahead of the exchange's, rows that look old may be from today.
_FAR_AHEAD_S: Final = 86_400.0
_FOR_EVER: Final = timedelta.max


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionedTable:
    """A table with monthly partitions, and how long its rows are kept.

    Attributes:
        in_real_time: its instants are real time, not the market's.
        at_least, at_most: bounds for the operator's setting.
        is_for_ever: whether it records money: partitions are created and never dropped.
    """

    table: str
    in_real_time: bool = False
    at_least: timedelta = timedelta()
    at_most: timedelta = _FOR_EVER
    is_for_ever: bool = False

    def kept(self, asked: timedelta) -> timedelta:
        return min(max(asked, self.at_least), self.at_most)


#: Records of money and of changes are not in this list or kept for ever: never deleted.
SERIES: Final = (
    PartitionedTable(table="market_data"),
    # Some 56,000 rows a day, nearly all of passes with nothing to do (docs/database.md).
    PartitionedTable(table="job_runs", at_least=LONGEST_WINDOW, at_most=2 * LONGEST_WINDOW),
    PartitionedTable(table="job_hours", at_least=LONGEST_WINDOW),
    PartitionedTable(table="request_stats", in_real_time=True, at_least=LONGEST_WINDOW),
    PartitionedTable(table="equity_snapshots", is_for_ever=True),
)


class Retention:
    def __init__(
        self,
        *,
        history: History,
        settings: Settings,
        clock: MarketClock,
        real_clock: RealClock,
        ahead_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Args:
        clock: the market's.
        ahead_s: how far our clock is ahead of the exchange's, None while unknown.
        """
        self._history = history
        self._settings = settings
        self._clock = clock
        self._real_clock = real_clock
        self._ahead_s = ahead_s
        self._busy_passes = 0

    async def interval(self) -> timedelta:
        return WHILE_BUSY if self._busy_passes else EVERY

    async def make_room(self) -> int:
        """Create the partitions of this month and the next ones; return how many were new."""
        made = 0
        for series in SERIES:
            months = months_from(self._now(series), MONTHS_AHEAD + 1)
            made += await self._history.add_months(series.table, at=months)
        return made

    async def step(self) -> None:
        """One pass of `cleanup_old_data`.

        Raises: StoreTimeout, at the end of the pass, when a table has been in use for a day.
        """
        made = await self.make_room()
        if (self._ahead_s() or 0.0) > _FAR_AHEAD_S:
            logger.bind(event="app", job="cleanup_old_data").error(
                "nothing is removed: our clock is far ahead of the exchange's, set it"
            )
            return
        days = await self._settings.get(DATA_RETENTION_DAYS)
        asked = timedelta(days=days)
        dropped: list[str] = []
        busy: dict[str, StoreTimeout] = {}
        for series in SERIES:
            try:
                await self._drop_months(series, asked, dropped)
            except StoreTimeout as exc:
                busy[series.table] = exc  # a long read blocks this table; the others need not wait
        alerts = await self._drop_alerts(max(asked, LONGEST_WINDOW))
        if made or dropped or alerts:
            logger.bind(
                event="app", job="cleanup_old_data", months_made=made, months_dropped=dropped,
                alerts_deleted=alerts,
            ).info("room was made and what is old was removed")  # fmt: skip
        self._report_busy(busy)

    def _report_busy(self, busy: Mapping[str, StoreTimeout]) -> None:
        self._busy_passes = self._busy_passes + 1 if busy else 0
        if not busy:
            return
        if self._busy_passes > _PATIENCE:
            raise next(iter(busy.values()))
        logger.bind(event="app", job="cleanup_old_data", tables=sorted(busy)).warning(
            "a month could not be dropped, because its table is in use; the next try is in an hour"
        )

    async def _drop_months(
        self, series: PartitionedTable, asked: timedelta, dropped: list[str]
    ) -> None:
        if series.is_for_ever:
            return
        before = self._now(series) - series.kept(asked)
        while month := await self._history.drop_month(series.table, before=before):
            dropped.append(month)

    async def _drop_alerts(self, kept: timedelta) -> int:
        before, queued_before = self._clock.now() - kept, self._real_clock.utc_now() - kept
        deleted = 0
        while number := await self._history.drop_alerts(
            before=before, queued_before=queued_before, limit=_BATCH
        ):
            deleted += number
        return deleted

    def _now(self, series: PartitionedTable) -> datetime:
        return self._real_clock.utc_now() if series.in_real_time else self._clock.now()


def months_from(at: datetime, count: int) -> tuple[datetime, ...]:
    """Return the first instants of `count` months from `at`'s month on, in UTC."""
    here = at.astimezone(UTC)
    first = here.year * 12 + here.month - 1
    return tuple(
        datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        for number in range(first, first + count)
    )
