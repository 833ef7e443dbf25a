"""Sends alerts to the configured targets: one pass of `send_alerts`."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from loguru import logger

from service.crashpoints import crashpoint
from service.domain.alerts import Severity, rank, wait_s
from service.domain.errors import BoundaryError
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.ports.alerts import AlertOutbox, Outgoing, Target
from service.ports.clock import RealClock
from service.ports.health import HealthSource
from service.settings.settings import Settings
from service.settings.table import ALERT_MIN_SEVERITY

#: Real seconds for one target in one pass. With its last send this stays well below a claim's 60.
TARGET_S: Final = 20.0
_LEVELS: Final[Mapping[Severity, str]] = {
    "info": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
}


class AlertSender:
    """Sends due alerts to every target, all targets concurrently.

    Args:
        real_clock: real time.
        alone: whether this process may suppress alerts; without targets it must not suppress
            those that another process could send.
        counted: finished alerts by severity and outcome: sent, failed, suppressed.

    Attributes:
        is_idle: whether the last pass found nothing to store and nothing to send.
    """

    def __init__(
        self,
        *,
        outbox: AlertOutbox,
        targets: Sequence[Target],
        alert_buffer: AlertBuffer,
        alert_monitor: AlertMonitor,
        health: HealthSource,
        settings: Settings,
        real_clock: RealClock,
        alone: Callable[[], bool],
        counted: Counter[tuple[str, str]],
    ) -> None:
        self._outbox = outbox
        self._targets = targets
        self._alert_buffer = alert_buffer
        self._alert_monitor = alert_monitor
        self._health = health
        self._settings = settings
        self._real_clock = real_clock
        self._alone = alone
        self._counted = counted
        self._least: Severity = "warning"
        self._inherited = False
        self._tries, self._try_again = 0, 0.0
        self.is_idle = True

    async def step(self) -> None:
        """Store the new notices, then send the due alerts.

        Raises: BoundaryError, when the database is away; new alerts are then sent directly.
        """
        self.is_idle = True
        self._alert_monitor.look(self._health)
        await self.flush()

    async def flush(self) -> None:
        """As `step`, without comparing health first."""
        try:
            await self._store()
        except BoundaryError:
            await self._send_directly()
            raise
        self._tries = 0
        await self._send()

    async def _store(self) -> None:
        if not self._inherited:
            self._alert_monitor.inherit(await self._outbox.open_keys())
            self._inherited = True
        if await self._alert_buffer.store(self._outbox):
            self.is_idle = False

    async def _send(self) -> None:
        self._least = await self._threshold()
        if not self._targets:
            if self._alone():
                suppressed = await self._outbox.suppress_all()
                self.is_idle = self.is_idle and not suppressed
                self._only_log(suppressed)
            return
        batch = await self._outbox.claim(least=self._least)
        if not batch:
            return
        self.is_idle = False
        results = await asyncio.gather(
            *(self._send_to(target, batch) for target in self._targets), return_exceptions=True
        )
        failures: list[Mapping[int, str]] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result  # of the database: alerts not noted as sent are due after their claim
            failures.append(result)
        for message in batch:
            await self._settle(
                message, [failed[message.id] for failed in failures if message.id in failed]
            )

    async def _send_to(self, target: Target, batch: Sequence[Outgoing]) -> Mapping[int, str]:
        """Send to one target in order; return the errors by message id.

        After the first failure the rest is not tried, so that a hung target costs one timeout.
        """
        began, error = self._real_clock.monotonic(), None
        failed: dict[int, str] = {}
        for message in batch:
            if target.name in message.delivered_to:
                continue
            if error is None and self._real_clock.monotonic() - began > TARGET_S:
                error = "timeout"
            error = error or await target.send(message)
            crashpoint("outbox.after_send")
            if error is None:
                await self._outbox.delivered(message.id, target=target.name)
            else:
                failed[message.id] = f"{target.name}: {error}"
        return failed

    async def _settle(self, message: Outgoing, errors: Sequence[str]) -> None:
        crashpoint("outbox.before_mark")
        is_retried = await self._outbox.settle(message, error="; ".join(errors) or None)
        line = logger.bind(
            event="alert",
            alert_id=message.id,
            severity=message.severity,
            title=message.title,
            attempts=message.attempts,
            error="; ".join(errors) or None,
        )
        if not errors:
            self._counted[message.severity, "sent"] += 1
            line.info("alert sent")
        elif not is_retried:
            self._counted[message.severity, "failed"] += 1
            line.warning("alert given up, not every target took it")
        else:
            # An outage spans many attempts: one warning at the first, one when it is given up.
            level = "WARNING" if message.attempts == 1 else "DEBUG"
            line.log(level, "alert not taken by every target, will be tried again")

    def _only_log(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            self._counted[message.severity, "suppressed"] += 1
            logger.bind(
                event="alert",
                alert_id=message.id,
                severity=message.severity,
                title=message.title,
                body=message.body,
            ).log(
                _LEVELS[message.severity], "alert, only logged because TRADER_ALERT_URLS is empty"
            )

    async def _send_directly(self) -> None:
        """Send without the outbox, because the database cannot be written."""
        if not self._targets or self._real_clock.monotonic() < self._try_again:
            return
        urgent = [
            (one, notice)
            for one, notice in self._alert_buffer.untold()
            if rank(notice.severity) >= rank(self._least)
        ]
        for one, notice in urgent:
            message = Outgoing(id=0, severity=notice.severity, title=notice.title, body=notice.body)
            errors = await asyncio.gather(*(target.send(message) for target in self._targets))
            one.told = None in errors
            line = logger.bind(event="alert", severity=notice.severity, title=notice.title)
            if not one.told:
                self._tries += 1
                self._try_again = self._real_clock.monotonic() + wait_s(self._tries)
                line.warning("alert neither stored in the database nor taken by any target")
                return
            line.info("alert sent, but not stored: the database cannot be written")

    async def _threshold(self) -> Severity:
        value = await self._settings.get(ALERT_MIN_SEVERITY)
        return next(severity for severity in _LEVELS if severity == value)
