"""The outbox of alerts, and the targets they are sent to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.domain.alerts import Notice, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A claimed message that is being sent."""

    id: int
    severity: Severity
    is_recovery: bool = False
    title: str
    body: str
    occurrences: int = 1
    attempts: int = 1  #: this one included
    delivered_to: frozenset[str] = frozenset()  #: names of the targets that have it
    told_again: int = 0  #: how often it became due again because its problem still stands
    since: datetime | None = None  #: when it was detected first, the market's instant


class AlertOutbox(Protocol):
    """The outbox of alerts. Of several sending processes one claims a message at a time."""

    async def put(self, notice: Notice, *, told: bool = False) -> None:
        """Queue an alert, count it to the open one with the same key, or end that one.

        Longer texts are cut. `told`: it was sent already, while the store was unavailable.
        """

    async def open_keys(self) -> frozenset[str]:
        """Return the keys of the problems that are not over."""

    async def claim(self, *, least: Severity) -> tuple[Outgoing, ...]:
        """Return the due messages, oldest first, and mark them as being sent.

        A problem that stands and is not acknowledged becomes due again by itself. A message that is
        not settled in time is due again. Messages below `least`, or held in a summary, are settled
        here without being sent.
        """

    async def delivered(self, alert_id: int, *, target: str) -> None:
        """Store that `target` has received the message; committed on return."""

    async def settle(self, message: Outgoing, *, error: str | None) -> bool:
        """Store that all targets received it (`error` None) or plan an attempt; False: given up."""

    async def suppress_all(self) -> tuple[Outgoing, ...]:
        """Mark all due messages as suppressed for want of a target, and return them."""


class Acknowledgements(Protocol):
    async def acknowledge(self, alert_id: int, *, by: str) -> None:
        """Note that an operator knows of the alert: it is not told again. Once is enough.

        Raises: NotFound; DomainError, for what is over or has no end.
        """


class Target(Protocol):
    @property
    def name(self) -> str:
        """Return a unique name without secrets, e.g. 1:jsons://alerts.example.com."""

    async def send(self, message: Outgoing) -> str | None:
        """Return None when the target accepted it, else a short code, e.g. refused or timeout."""
