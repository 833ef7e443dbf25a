"""Bring alerts to people: one pass of `send_alerts`."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from loguru import logger

from service.domain.alerts import Severity, rank, wait_s
from service.domain.errors import BoundaryError
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.ports.alerts import AlertOutbox, Outgoing, Target
from service.ports.clock import Clock
from service.ports.health import HealthSource
from service.settings.settings import Settings
from service.settings.table import ALERT_MIN_SEVERITY

#: Real seconds for one target in one pass; with the send that ends it well below a claim's 60.
LANE_S: Final = 20.0
_LEVELS: Final[Mapping[Severity, str]] = {
    "info": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
}


class AlertSender:
    """Sends what is due to every target, each target at its own pace.

    Args:
        clock: real time.
        alone: whether this process speaks for all; one without targets must not withdraw what
            another one could send.
        counted: ends of alerts by severity and outcome: sent, failed, suppressed.
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
        clock: Clock,
        alone: Callable[[], bool],
        counted: Counter[tuple[str, str]],
    ) -> None:
        self._outbox = outbox
        self._targets = targets
        self._inbox = alert_buffer
        self._lookout = alert_monitor
        self._health = health
        self._settings = settings
        self._clock = clock
        self._alone = alone
        self._counted = counted
        self._least: Severity = "warning"
        self._inherited = False
        self._tries, self._try_again = 0, 0.0

    async def step(self) -> None:
        """Write down what was seen, then send what is due.

        Raises: BoundaryError, when the database is away; what was seen is told all the same.
        """
        self._lookout.look(self._health)
        await self.flush()

    async def flush(self) -> None:
        """As `step`, without looking for more."""
        try:
            await self._write_down()
        except BoundaryError:
            await self._tell_directly()
            raise
        self._tries = 0
        await self._send()

    async def _write_down(self) -> None:
        if not self._inherited:
            self._lookout.inherit(await self._outbox.open_keys())
            self._inherited = True
        await self._inbox.store(self._outbox)

    async def _send(self) -> None:
        self._least = await self._threshold()
        if not self._targets:
            if self._alone():
                self._only_log(await self._outbox.suppress_all())
            return
        batch = await self._outbox.claim(least=self._least)
        if not batch:
            return
        lanes = await asyncio.gather(
            *(self._lane(target, batch) for target in self._targets), return_exceptions=True
        )
        failures: list[Mapping[int, str]] = []
        for lane in lanes:
            if isinstance(lane, BaseException):
                raise lane  # the database: what was not noted is due again when its claim ends
            failures.append(lane)
        for message in batch:
            await self._settle(
                message, [lane[message.id] for lane in failures if message.id in lane]
            )

    async def _lane(self, target: Target, batch: Sequence[Outgoing]) -> Mapping[int, str]:
        """Send to one target in order; return by id what it did not take, and why.

        After a first failure the rest is not even tried: a target that hangs costs one timeout.
        """
        began, error = self._clock.monotonic(), None
        failed: dict[int, str] = {}
        for message in batch:
            if target.name in message.delivered_to:
                continue
            if error is None and self._clock.monotonic() - began > LANE_S:
                error = "timeout"
            error = error or await target.send(message)
            if error is None:
                await self._outbox.delivered(message.id, target=target.name)
            else:
                failed[message.id] = f"{target.name}: {error}"
        return failed

    async def _settle(self, message: Outgoing, errors: Sequence[str]) -> None:
        goes_on = await self._outbox.settle(message, error="; ".join(errors) or None)
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
        elif not goes_on:
            self._counted[message.severity, "failed"] += 1
            line.warning("alert given up, not every target took it")
        else:
            # An outage spans many attempts: said once, then once more when it is given up.
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
            ).log(_LEVELS[message.severity], "alert, and TRADER_ALERT_URLS names nobody to send to")

    async def _tell_directly(self) -> None:
        """Send past the outbox, which cannot be written: that is news as well."""
        if not self._targets or self._clock.monotonic() < self._try_again:
            return
        urgent = [
            (one, notice)
            for one, notice in self._inbox.untold()
            if rank(notice.severity) >= rank(self._least)
        ]
        for one, notice in urgent:
            message = Outgoing(id=0, severity=notice.severity, title=notice.title, body=notice.body)
            errors = await asyncio.gather(*(target.send(message) for target in self._targets))
            one.told = None in errors
            line = logger.bind(event="alert", severity=notice.severity, title=notice.title)
            if not one.told:
                self._tries += 1
                self._try_again = self._clock.monotonic() + wait_s(self._tries)
                line.warning("alert neither written to the database nor taken by any target")
                return
            line.info("alert sent past the database, which cannot be written")

    async def _threshold(self) -> Severity:
        value = await self._settings.get(ALERT_MIN_SEVERITY)
        return next(severity for severity in _LEVELS if severity == value)
