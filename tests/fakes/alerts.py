"""The alert outbox and its targets in memory."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from service.domain.alerts import MAX_ATTEMPTS, Alert, Notice, Recovery, Severity, least
from service.ports.alerts import Outgoing


@dataclass(frozen=True, slots=True)
class Row:
    message: Outgoing
    notice: Notice
    state: str
    told: bool


class FakeOutbox:
    """Satisfies ports.AlertOutbox; every waiting row is due at once.

    Attributes:
        rows: by id.
        notices: everything that was put, oldest first.
        fail: raised by every call until it is None again.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.notices: list[Notice] = []
        self.fail: BaseException | None = None

    async def put(self, notice: Notice, *, told: bool = False) -> None:
        await self._answer()
        self.notices.append(notice)
        number = len(self.rows) + 1
        is_alert = isinstance(notice, Alert)
        message = Outgoing(
            id=number,
            severity=notice.severity if isinstance(notice, Alert) else "error",
            is_recovery=not is_alert,
            title=notice.title,
            body=notice.body if isinstance(notice, Alert) else "",
            attempts=0,
        )
        self.rows[number] = Row(message, notice, "SENT" if told else "PENDING", told)

    async def open_keys(self) -> frozenset[str]:
        await self._answer()
        keys: set[str] = set()
        for notice in self.notices:
            if isinstance(notice, Recovery):
                keys.discard(notice.key)
            elif notice.lasts:
                keys.add(notice.key)
        return frozenset(keys)

    async def claim(self, *, least: Severity) -> tuple[Outgoing, ...]:
        await self._answer()
        claimed = []
        for number, row in self.rows.items():
            if row.state != "PENDING":
                continue
            if _is_mild(row.message.severity, least):
                self.rows[number] = replace(row, state="SUPPRESSED")
                continue
            message = replace(row.message, attempts=row.message.attempts + 1)
            self.rows[number] = replace(row, message=message, state="SENDING")
            claimed.append(message)
        return tuple(claimed)

    async def delivered(self, alert_id: int, *, target: str) -> None:
        await self._answer()
        row = self.rows[alert_id]
        message = replace(row.message, delivered_to=row.message.delivered_to | {target})
        self.rows[alert_id] = replace(row, message=message)

    async def settle(self, message: Outgoing, *, error: str | None) -> bool:
        await self._answer()
        over = message.attempts >= MAX_ATTEMPTS
        state = "SENT" if error is None else "FAILED" if over else "PENDING"
        self.rows[message.id] = replace(self.rows[message.id], state=state)
        return state != "FAILED"

    async def suppress_all(self) -> tuple[Outgoing, ...]:
        await self._answer()
        waiting = {number: row for number, row in self.rows.items() if row.state == "PENDING"}
        for number, row in waiting.items():
            self.rows[number] = replace(row, state="SUPPRESSED")
        return tuple(row.message for row in waiting.values())

    # --- what a test reads ----------------------------------------------------------------

    @property
    def states(self) -> Mapping[str, str]:
        """Return the state of each row by its title."""
        return {row.message.title: row.state for row in self.rows.values()}

    async def _answer(self) -> None:
        await asyncio.sleep(0)  # others run, as they would during a query
        if self.fail is not None:
            raise self.fail


class FakeTarget:
    """Satisfies ports.Target.

    Attributes:
        got: titles of the messages it took, in order.
        asked: number of calls to `send`.
        error: the answer to every message until it is None again.
        open: cleared, every send waits until it is set.
        before: called at the beginning of every send.
    """

    def __init__(self, name: str = "1:json://127.0.0.1:1") -> None:
        self.name = name
        self.got: list[str] = []
        self.asked = 0
        self.error: str | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.before: Callable[[], None] = lambda: None
        self._took = asyncio.Event()

    async def send(self, message: Outgoing) -> str | None:
        self.asked += 1
        self.before()
        await self.open.wait()
        if self.error is None:
            self.got.append(message.title)
            self._took.set()
        return self.error

    async def has(self, count: int) -> None:
        """Wait until it has taken so many messages."""
        while len(self.got) < count:
            self._took.clear()
            await self._took.wait()


def _is_mild(severity: Severity, threshold: Severity) -> bool:
    return severity in least(threshold)
