"""Alerts to the operator: their limits in size and number, and the waits between attempts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)  # the least severe first

LONGEST_TITLE: Final = 200  #: characters
LONGEST_BODY: Final = 2000
LONGEST_KEY: Final = 200

#: Real seconds within which a notice is sent once.
SAME_WITHIN_S: Final = 3600.0
#: Real seconds until a problem that stands is told again: after the first message, after the
#: second, and after each later one. It ends with the recovery or an acknowledgement.
TELL_AGAIN_S: Final = (900.0, 3600.0, 21600.0)
MOST_MESSAGES: Final = 10  #: in LIMITED_S; further alerts are put into one summary
LIMITED_S: Final = 600.0
MAX_ATTEMPTS: Final = 64  #: about an hour: an outage may take the network that alerts need
LONGEST_WAIT_S: Final = 60.0
_LISTED: Final = 12  #: titles in a summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A problem or a notice for the operator. No text holds a secret or a balance.

    Attributes:
        key: the subject. One problem is one alert; a notice is sent once within SAME_WITHIN_S.
        lasts: True for a problem that is open until its `Recovery`; False for a notice.
    """

    key: str
    severity: Severity
    title: str
    body: str
    at: datetime
    lasts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The problem under `key` is over; sent only if the problem was sent."""

    key: str
    title: str
    at: datetime


Notice = Alert | Recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A row of the outbox that is due."""

    id: int
    severity: Severity
    title: str
    attempts: int  #: until now


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """The due alerts, split into messages."""

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
    """Decide which alerts get a message of their own, and which go into one summary.

    At most `most` messages begin within LIMITED_S, so that a storm of alerts hides no critical one.
    The last message within the limit is the summary of all that are left. Critical alerts and later
    attempts are exempt from the limit.

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
    """Return severity, title and body of the summary of `dues`."""
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
