"""The outbox of alerts, and where they go."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.domain.alerts import Notice, Severity


class Alerts(Protocol):
    """The outbox as whoever has something to tell sees it; docs/alerts.md has the table."""

    async def raise_alert(
        self,
        *,
        key: str,
        severity: Severity,
        title: str,
        body: str,
        at: datetime,
        lasts: bool = True,
    ) -> None:
        """Queue an alert, or count it to the open one with the same key.

        `lasts`: a problem that goes on until `recovered`; else over as soon as it is told. Nothing
        secret and no balance in any text. Longer texts are cut.
        """

    async def recovered(self, *, key: str, title: str, at: datetime) -> None:
        """End the open problem under `key`, if there is one; told only where the problem was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message on its way."""

    id: int
    severity: Severity
    is_recovery: bool = False
    title: str
    body: str
    occurrences: int = 1
    attempts: int = 1  #: this one included
    delivered_to: frozenset[str] = frozenset()  #: names of the targets that have it


class AlertOutbox(Alerts, Protocol):
    """The outbox as the sender sees it. Several processes may send: no message twice at once."""

    async def put(self, notice: Notice, *, told: bool = False) -> None:
        """Queue `notice`; `told`, when it has been sent already, while nothing could be stored."""

    async def open_keys(self) -> frozenset[str]:
        """Return the keys of the problems that are not over."""

    async def claim(self, *, least: Severity) -> tuple[Outgoing, ...]:
        """Return what is due, oldest first, and mark it as being sent: what is not settled in
        time is due again. Settles what need not be sent: below `least`, or held in a summary.
        """

    async def delivered(self, alert_id: int, *, target: str) -> None:
        """Note that `target` has the message; committed on return."""

    async def settle(self, message: Outgoing, *, error: str | None) -> bool:
        """Note that every target has it (None), or plan the next attempt; False: given up."""

    async def suppress_all(self) -> tuple[Outgoing, ...]:
        """Note that there is nobody to send to, and return what nobody will get."""


class Target(Protocol):
    @property
    def name(self) -> str:
        """Tells targets apart and shows no secret, e.g. 1:jsons://alerts.example.com."""

    async def send(self, message: Outgoing) -> str | None:
        """Return None when it was taken, else a short code, e.g. refused or timeout."""
