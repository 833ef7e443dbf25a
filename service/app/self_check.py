"""The self-check of a running service: what is not well is logged, and health knows it.

This machine is checked before the start, Upbit during it, and both again each hour. Every answer
of Upbit also tells its time, and whether our key is accepted. While our clock is far from it, or
the key is not, purchases are halted.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from loguru import logger

from service.app.checks import exchange
from service.app.checks.exchange import AccountCheck
from service.app.checks.finding import CheckLevel, CheckResult
from service.app.checks.machine import machine
from service.config import Config, Mode
from service.domain.errors import BoundaryError
from service.flows.clock_guard import ClockGuard
from service.flows.key_guard import KeyGuard
from service.loops.loop import Loop, every
from service.ops.health.monitor import HealthMonitor
from service.ops.health.reasons import Reason

CLOCK_EVERY_S: Final = 5.0  #: in memory only
LOOKS_IN_A_ROW: Final = 2  #: one odd `Date` may be a proxy's
_REASONS: Final[tuple[tuple[Reason, CheckLevel], ...]] = (
    ("key_expired", CheckLevel.FAIL),
    ("key_expiring", CheckLevel.WARN),
)
_LEVELS: Final = {CheckLevel.WARN: "WARNING", CheckLevel.FAIL: "ERROR"}


def tell(found: Iterable[CheckResult]) -> None:
    """Log one line for each finding that is not ok."""
    for finding in found:
        if finding.level is not CheckLevel.OK:
            logger.bind(
                event="app", check=finding.item, found=finding.text, remedy=finding.remedy
            ).log(_LEVELS[finding.level], "the self-check has found something")


class SelfCheck:
    """Repeats the looks that may come out otherwise while the service runs."""

    def __init__(
        self,
        *,
        config: Config,
        account: AccountCheck,
        health_monitor: HealthMonitor,
        clock_guard: ClockGuard,
        key_guard: KeyGuard,
    ) -> None:
        self._config = config
        self._account = account
        self._prober = health_monitor
        self._clock_guard = clock_guard
        self._key_guard = key_guard
        # What holds of the machine was told before the start.
        self._told = {finding.item: finding.level for finding in machine(config)}
        self._skewed = 0

    def loops(self) -> tuple[Loop, ...]:
        """Return what repeats, by real time."""
        return (
            Loop(
                name="check.clock",
                every=every(seconds=CLOCK_EVERY_S),
                step=self.clock,
                is_job=False,
                needs_lease=True,
            ),
            Loop(
                name="check.rejections",
                every=every(seconds=CLOCK_EVERY_S),
                step=self.rejections,
                is_job=False,
                needs_lease=True,
            ),
            Loop(name="check.machine", every=every(hours=1), step=self.machine, is_job=False),
            Loop(name="check.key", every=every(hours=1), step=self.key, is_job=False),
        )

    async def machine(self) -> None:
        self._tell_changes(machine(self._config))

    async def clock(self) -> None:
        """Compare our clock with the one that Upbit's answers told; sends no request.

        Raises: BoundaryError, when a halt or its end cannot be stored; tried again each time.
        """
        skews_s = self._account.take_clock_skews_s()
        if skews_s:  # an exchange that is away is told elsewhere
            self._note_skew(min(skews_s, key=abs))
        await self._clock_guard.look(skews_s)

    async def rejections(self) -> None:
        """Judge what the answers since the last call said of our key; sends no request.

        Raises: BoundaryError, as `clock`.
        """
        await self._key_guard.look(self._account.take_key_answers())

    def _note_skew(self, skew_s: float) -> None:
        finding = exchange.clock(skew_s)
        self._skewed = 0 if finding.level is CheckLevel.OK else self._skewed + 1
        is_sure = self._skewed >= LOOKS_IN_A_ROW
        self._prober.note("upbit_api", "clock_skew", holds=is_sure)
        if is_sure or not self._skewed:
            self._tell_changes([finding])

    async def key(self) -> None:
        """Ask when our key ends; while that cannot be asked, what was known holds."""
        if self._config.mode is Mode.SANDBOX and self._config.upbit_base_url is None:
            return
        try:
            ends_at = await self._account.key_expires_at()
        except BoundaryError as exc:
            self._tell_changes([exchange.unknown_expiry(exc)])
            return
        finding = exchange.judged_expiry(ends_at, now=datetime.now(UTC))
        self._tell_changes([finding])
        for reason, level in _REASONS:
            holds = ends_at is not None and finding.level is level
            self._prober.note("upbit_api", reason, holds=holds)

    def _tell_changes(self, found: Iterable[CheckResult]) -> None:
        """Log what is not well when it is new or has become worse or better, not each hour."""
        news = [f for f in found if self._told.get(f.item, CheckLevel.OK) is not f.level]
        self._told |= {finding.item: finding.level for finding in news}
        tell(news)
        for finding in news:
            if finding.level is CheckLevel.OK:
                logger.bind(event="app", check=finding.item, found=finding.text).info(
                    "the self-check finds it well again"
                )
