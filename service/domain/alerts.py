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
MOST_ALONE: Final = 3  #: critical alerts of one pass; more of them are one message
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
    told_again: int = 0
    is_summary: bool = False

    @property
    def is_news(self) -> bool:
        """Whether it is critical and new: told the first time, with a new cause, or once more."""
        return self.severity == "critical" and self.told_again <= 1


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """The due alerts, split into messages."""

    send: tuple[int, ...]  #: as messages of their own
    summaries: tuple[tuple[Due, ...], ...] = ()  #: each in one message, at least two


def rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def least(severity: Severity) -> tuple[Severity, ...]:
    """Return the severities below `severity`."""
    return SEVERITIES[: rank(severity)]


def wait_s(attempts: int) -> float:
    """Return the real seconds to wait after so many attempts: 1, 2, 4 … 60."""
    return min(2.0 ** min(attempts - 1, 16), LONGEST_WAIT_S)


def plan_messages(due: Sequence[Due], *, lately: int, most: int = MOST_MESSAGES) -> MessagePlan:
    """Decide which alerts get a message of their own, and which go into a summary.

    At most `most` messages begin within LIMITED_S, so that a storm of alerts hides no critical one.
    The last message within the limit is the summary of all that are left. Later attempts and
    critical news are exempt, but many critical alerts at once are one message.

    Args:
        lately: messages begun within the last LIMITED_S, without critical news told alone.
    """
    ordered = sorted(due, key=lambda one: (-rank(one.severity), one.id))
    send = [one.id for one in ordered if one.attempts or one.is_summary]
    new = [one for one in ordered if not (one.attempts or one.is_summary)]
    news = [one for one in new if one.is_news]
    others = [one for one in new if not one.is_news]
    summaries = []
    if len(news) > MOST_ALONE or (len(news) > 1 and lately >= most):
        summaries.append(tuple(news))
    else:
        send += [one.id for one in news]
    left = max(0, most - lately - len(summaries))
    standing = [one for one in others if one.severity == "critical"]
    if left and len(standing) > MOST_ALONE:
        summaries.append(tuple(standing))
        others, left = others[len(standing) :], left - 1
    alone, rest = _within(others, left)
    if rest:
        summaries.append(rest)
    return MessagePlan((*send, *alone), tuple(summaries))


def _within(ordered: Sequence[Due], left: int) -> tuple[tuple[int, ...], tuple[Due, ...]]:
    """Return which of them are told in `left` messages: alone, and all the rest in the last one."""
    if len(ordered) <= left:
        return tuple(one.id for one in ordered), ()
    count = max(0, left - 1)
    return tuple(one.id for one in ordered[:count]), tuple(ordered[count:] if left else ())


def summary_of(dues: Iterable[Due]) -> tuple[Severity, str, str]:
    """Return severity, title and body of the summary of `dues`.

    It names twelve, and every critical one as far as a body reaches.
    """
    ordered = sorted(dues, key=lambda one: (-rank(one.severity), one.id))
    critical = sum(one.severity == "critical" for one in ordered)
    is_critical = critical == len(ordered)
    title = f"{len(ordered)} critical alerts" if is_critical else f"and {len(ordered)} more alerts"
    named = min(len(ordered), max(_LISTED, critical))
    while len(body := _named(ordered, named)) > LONGEST_BODY:
        named -= 1
    return ordered[0].severity, title, body


def _named(ordered: Sequence[Due], count: int) -> str:
    lines = [f"{one.severity}: {one.title}" for one in ordered[:count]]
    if len(ordered) > count:
        lines.append(f"and {len(ordered) - count} others")
    lines.append("GET /api/v1/alerts lists them all.")
    return "\n".join(lines)


def bounded(text: str, longest: int) -> str:
    """Return `text` in at most `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
