"""What happened and was told: JSON that PostgreSQL makes (store/queries/alerts, risk, lists)."""

from enum import StrEnum
from typing import Literal

from typing_extensions import TypedDict

from service.web.contract.scalars import Instant


class AlertState(StrEnum):
    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


class AlertSeverity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class RiskEventKind(StrEnum):
    HALTED = "HALTED"
    RESUMED = "RESUMED"
    REFUSED = "REFUSED"
    LAPSED = "LAPSED"
    EXIT = "EXIT"
    DUST = "DUST"


class AlertBody(TypedDict):
    id: int
    kind: Literal["PROBLEM", "NOTICE", "RECOVERY", "SUMMARY"]
    key: str
    severity: AlertSeverity
    title: str
    body: str
    state: AlertState
    reason: str | None
    occurrences: int
    created_at: Instant
    last_at: Instant
    recovered_at: Instant | None
    about: int | None
    summary: int | None
    attempts: int
    next_attempt_at: Instant | None
    delivered_to: list[str]
    sent_at: Instant | None
    last_error: str | None
    told_again: int
    tell_again_at: Instant | None
    acknowledged_at: Instant | None
    acknowledged_by: str | None


class AlertsBody(TypedDict):
    items: list[AlertBody]
    next_cursor: str | None


class RiskEventBody(TypedDict):
    id: int
    event: RiskEventKind
    state: Literal["REDUCING", "HALTED"] | None
    market: str | None
    reason: str
    actor: str
    detail: dict[str, object]
    occurred_at: Instant


class RiskEventsBody(TypedDict):
    items: list[RiskEventBody]
    next_cursor: str | None


class SettingChangeBody(TypedDict):
    id: int
    key: str
    old_value: object  #: null: the default was in force
    new_value: object
    changed_by: str
    changed_at: Instant
    request_id: str | None


class SettingChangesBody(TypedDict):
    items: list[SettingChangeBody]
    next_cursor: str | None


class AuditRowBody(TypedDict):
    id: int
    occurred_at: Instant
    actor: str
    action: str
    subject: str
    detail: dict[str, object]
    request_id: str | None


class AuditRowsBody(TypedDict):
    items: list[AuditRowBody]
    next_cursor: str | None
