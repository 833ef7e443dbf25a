"""Extracts our own lines from shipped logs and drops all others."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson

from service.domain.days import korean_day
from service.ops.logs.patcher import EVENTS
from service.ops.logs.setup import SERVICE

#: Fields in which log shippers put the original line: Docker, Vector and Fluent Bit, journald.
_WRAPPERS: Final = ("log", "message", "MESSAGE", "line")
_DEEPEST: Final = 3
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    at: str  #: RFC 3339 with milliseconds in UTC: they sort as text
    job: str
    duration_ms: float
    attempts: int
    success: bool
    error: str | None
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLine:
    at: str
    route: str
    method: str
    status: int
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AiLine:
    at: str
    day: str  #: the Korean day of `at`
    model: str
    outcome: str
    duration_ms: float
    input_tokens: int
    output_tokens: int
    thinking_tokens: int
    cached_tokens: int
    cost_usd: Decimal | None


Line = JobLine | HttpLine | AiLine


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of lines. `ours` counts all lines of the service, with or without a measurement."""

    lines: int = 0
    ours: int = 0

    @property
    def foreign(self) -> int:
        return self.lines - self.ours


def measured(raw_lines: Iterable[bytes], tally: Tally) -> Iterator[Line]:
    """Yield the lines of passes, requests and model calls, in their order."""
    for raw in raw_lines:
        if not raw.strip():
            continue
        tally.lines += 1
        fields = _ours(raw)
        if fields is None:
            continue
        try:
            line = _line(fields)
        except (KeyError, TypeError, ValueError, ArithmeticError):
            continue  # similar to our lines, but not one of them
        tally.ours += 1
        if line is not None:
            yield line


def _ours(raw: bytes) -> Mapping[str, Any] | None:
    start = raw.find(b"{")  # before it may be a container's name or a time
    fields = None if start < 0 else _object(raw[start:])
    for _ in range(_DEEPEST):
        if fields is None:
            return None
        event = fields.get("event")
        if isinstance(event, str) and event in EVENTS and "timestamp" in fields:
            return fields if fields.get("service", SERVICE) == SERVICE else None
        carried = next((v for w in _WRAPPERS if isinstance(v := fields.get(w), str)), "")
        fields = _object(carried.encode()) if carried.startswith("{") else None
    return None


def _object(text: bytes) -> Mapping[str, Any] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _line(fields: Mapping[str, Any]) -> Line | None:
    match fields["event"]:
        case "job":
            return _job(fields)
        case "http":
            return HttpLine(
                at=_at(fields),
                route=_text(fields, "route"),
                method=_text(fields, "method"),
                status=int(fields["status"]),
                duration_ms=float(fields["duration_ms"]),
            )
        case "ai":
            return _call(fields)
    return None


def _job(fields: Mapping[str, Any]) -> JobLine | None:
    # A retry's line has no outcome yet. Maintenance loops have a dot in their names, and only
    # their failures are logged.
    job = _text(fields, "job")
    if "success" not in fields or "." in job:
        return None
    return JobLine(
        at=_at(fields),
        job=job,
        duration_ms=float(fields["duration_ms"]),
        attempts=int(fields["attempts"]),
        success=bool(fields["success"]),
        error=fields.get("error") if not fields["success"] else None,
        code=fields.get("code"),
    )


def _call(fields: Mapping[str, Any]) -> AiLine | None:
    if "outcome" not in fields:
        return None
    cost = fields.get("cost_usd")
    at = _at(fields)
    return AiLine(
        at=at,
        day=korean_day(datetime.fromisoformat(at)).isoformat(),
        model=_text(fields, "model"),
        outcome=_text(fields, "outcome"),
        duration_ms=float(fields["duration_ms"]),
        input_tokens=int(fields.get("input_tokens") or 0),
        output_tokens=int(fields.get("output_tokens") or 0),
        thinking_tokens=int(fields.get("thinking_tokens") or 0),
        cached_tokens=int(fields.get("cached_tokens") or 0),
        cost_usd=None if cost is None else _amount(str(cost)),
    )


def _at(fields: Mapping[str, Any]) -> str:
    at = _text(fields, "timestamp")
    if not _INSTANT.fullmatch(at):
        raise ValueError("not an instant as this service writes it")
    return at


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _amount(text: str) -> Decimal:
    amount = Decimal(text)
    if not amount.is_finite():
        raise ValueError("not an amount")
    return amount
