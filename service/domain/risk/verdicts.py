"""What the risk rules answer."""

from dataclasses import dataclass
from datetime import datetime

from service.domain.orders import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one rule, stored as evidence.

    Attributes:
        detail: one sentence without balances: it is shown, logged and stored.
        limit, actual: what the rule allows and what it found, for signed-in callers only.
        until: when the rule may decide otherwise; None: that is not known.
    """

    rule: str
    passed: bool
    detail: str
    limit: str | None = None
    actual: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    intent: Intent
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Attributes:
    limit, actual, until: of the rule that refused.
    fault: the class of the error that was raised within the rule, None without one.
    """

    reason: str  #: name of the rule that refused
    detail: str
    checks: tuple[Check, ...]
    limit: str | None = None
    actual: str | None = None
    until: datetime | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The model proposed to do nothing."""

    checks: tuple[Check, ...] = ()


Verdict = Allowed | Refused | Held


def refusal(*checks: Check, fault: str | None = None) -> Refused:
    """Return the refusal by the last of `checks`."""
    last = checks[-1]
    return Refused(
        reason=last.rule,
        detail=last.detail,
        checks=checks,
        limit=last.limit,
        actual=last.actual,
        until=last.until,
        fault=fault,
    )
