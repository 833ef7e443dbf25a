"""What a person has to be told, how often, and when to stop trying."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)  # the least severe first

LONGEST_TITLE: Final = 200  #: characters
LONGEST_BODY: Final = 2000
LONGEST_KEY: Final = 200

#: Real seconds within which the same key is told once; a problem that goes on longer is told again.
SAME_WITHIN_S: Final = 3600.0
MOST_MESSAGES: Final = 10  #: in LIMITED_S; what is more is put into one message
LIMITED_S: Final = 600.0
MAX_ATTEMPTS: Final = 64  #: about an hour: the network of an outage may be the one alerts need
LONGEST_WAIT_S: Final = 60.0
_LISTED: Final = 12  #: titles in a summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something happened.

    Attributes:
        key: what it is about; the same key is not told twice within an hour.
        lasts: a problem that goes on until its `Recovery`; else it is over as soon as it is told.
    """

    key: str
    severity: Severity
    title: str
    body: str
    at: datetime
    lasts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The problem under `key` is over; told only where the problem was."""

    key: str
    title: str
    at: datetime


Notice = Alert | Recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A row of the outbox whose time has come."""

    id: int
    severity: Severity
    title: str
    attempts: int  #: so far


@dataclass(frozen=True, slots=True)
class MessagePlan:
    send: tuple[int, ...]  #: as messages of their own
    summarise: tuple[Due, ...]  #: in one message; empty or at least two


def rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def least(severity: Severity) -> tuple[Severity, ...]:
    """Return the severities below `severity`."""
    return SEVERITIES[: rank(severity)]


def wait_s(attempts: int) -> float:
    """Return the real seconds to wait after so many attempts: 1, 2, 4 … 60."""
    return min(2.0 ** min(attempts - 1, 16), LONGEST_WAIT_S)


def plan_messages(due: Sequence[Due], *, lately: int, most: int = MOST_MESSAGES) -> MessagePlan:
    """Decide who gets a message of its own, so that no storm of alerts hides the one that counts.

    The last message that is left within the limit carries everything that waits. What is
    critical, and what was begun before, is never held back.

    Args:
        lately: messages begun within the last LIMITED_S.
    """
    ordered = sorted(due, key=lambda one: (-rank(one.severity), one.id))
    free = [one.id for one in ordered if one.attempts or one.severity == "critical"]
    new = [one for one in ordered if not one.attempts and one.severity != "critical"]
    left = max(0, most - lately)
    if len(new) <= left:
        return MessagePlan(tuple(free + [one.id for one in new]), ())
    alone = max(0, left - 1)
    rest = new[alone:] if left else []
    return MessagePlan(tuple(free + [one.id for one in new[:alone]]), tuple(rest))


def summary_of(dues: Iterable[Due]) -> tuple[Severity, str, str]:
    """Return severity, title and body of the message that stands for `dues`."""
    ordered = sorted(dues, key=lambda one: (-rank(one.severity), one.id))
    lines = [f"{one.severity}: {one.title}" for one in ordered[:_LISTED]]
    if len(ordered) > _LISTED:
        lines.append(f"and {len(ordered) - _LISTED} others")
    lines.append("GET /api/v1/alerts lists them all.")
    title = f"and {len(ordered)} more alerts"
    return ordered[0].severity, title, bounded("\n".join(lines), LONGEST_BODY)


def bounded(text: str, longest: int) -> str:
    """Return `text` in at most `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
