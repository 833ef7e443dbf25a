"""One log record, one line of flat JSON; docs/logs.md is its contract."""

import time
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import orjson

from service.domain.instants import of_milliseconds
from service.ops.logs.field_names import kind_of
from service.ops.logs.masking import Masker
from service.ops.logs.redaction import safe_str, shortened
from service.ports.requests import REQUEST, AnsweredRequest
from service.ports.store import JSON

if TYPE_CHECKING:
    from loguru import Record, RecordException

EVENTS: Final = frozenset(
    {"job", "http", "ai", "order", "signal", "risk", "pool", "cache", "alert", "app"}
)
LONGEST_LINE: Final = 15 * 1024  #: bytes; Docker and most runtimes split lines at 16 KiB
_SHORTENED_TO: Final = (4_096, 1_024, 256, 64)  #: characters of each value, until the line fits
_FRAMES: Final = 6_000  #: characters kept of a traceback

#: What the service says itself; a bound value of such a name becomes `x_…`.
CONTRACT: Final = frozenset(
    {"timestamp", "level", "event", "message", "service", "version", "mode", "instance"}
    | {"boot_id", "seq"}
)
_OF_EXCEPTION: Final = frozenset({"error_type", "error", "traceback"})
#: JSON allows these raw, but readers that split lines the Unicode way would see two lines.
_LINE_BREAKS: Final = (
    (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"),
)  # fmt: skip


class LineFormatter:
    """Renders records of this process; `facts` stand in every line."""

    def __init__(self, *, masker: Masker, facts: Mapping[str, str]) -> None:
        self._masker = masker
        self._facts = dict(facts)
        self._seq = 0
        self._is_plain = lru_cache(maxsize=2048)(self._means_nothing)

    def render(self, record: "Record") -> bytes:
        """Return the line with its newline, whatever was logged.

        Numbers lines without a gap; the caller lets one record through at a time.
        """
        self._seq += 1
        seq = self._seq  # a value that logs while it is printed takes the next one
        try:
            return self._rendered(record, seq)
        except Exception as exc:  # noqa: BLE001 - loguru would print the record to stderr
            return self._unmade(seq, exc)

    def request(self, answered: AnsweredRequest, *, level: str) -> bytes:
        """Return the line of a request, made without a record, which would cost three times it."""
        self._seq += 1
        seq, text = self._seq, self._masker.text
        try:
            line: dict[str, JSON] = {
                "timestamp": _now(),
                "level": level,
                "event": "http",
                "message": "request",
                **self._facts,
                "seq": seq,
                # Only these two come from outside.
                "method": text(answered.method),
                "route": answered.route,
                "status": answered.status,
                "duration_ms": answered.duration_ms,
                "bytes": answered.size,
                "request_id": text(answered.request_id),
                "error": answered.error,
            }
            return _fitted(line) + b"\n"
        except Exception as exc:  # noqa: BLE001 - the request itself was answered well
            return self._unmade(seq, exc)

    def skip(self) -> None:
        """Give the number of a line that is dropped to nobody else."""
        self._seq += 1

    def dropped(self, lines: int, *, at_least_warning: int) -> bytes:
        """Return the line that stands for the `lines` numbers before its own."""
        self._seq += 1
        return self._own(
            self._seq, "WARNING", "log.dropped", dropped=lines, dropped_warnings=at_least_warning
        )

    def _unmade(self, seq: int, exc: Exception) -> bytes:
        name = type(exc).__name__
        return self._own(seq, "ERROR", "a log line could not be made", error_type=name)

    def _own(self, seq: int, level: str, message: str, **fields: JSON) -> bytes:
        """Return a line about the log itself, of nothing that could fail or need a mask."""
        head: dict[str, JSON] = {"timestamp": _now(), "level": level, "event": "app"}
        return _dumped(head | {"message": message, **self._facts, "seq": seq} | fields) + b"\n"

    def _rendered(self, record: "Record", seq: int) -> bytes:
        fields: dict[str, JSON] = {
            "timestamp": _now(),
            "level": record["level"].name,
            "event": "app",
            "message": self._masker.text(record["message"]),
            **self._facts,
            "seq": seq,
        }
        failed = record["exception"]
        if failed is not None:
            fields |= self._exception(failed)
        plain, is_plain = self._masker.plain, self._is_plain
        if (request_id := REQUEST.get()) is not None:
            fields["request_id"] = plain(request_id)
        for key, value in record["extra"].items():
            if failed is None and is_plain(key):
                fields[key] = plain(value)
            else:
                self._bind(fields, key, value)
        return _fitted(fields) + b"\n"

    def _means_nothing(self, key: str) -> bool:
        """Whether a value under `key` needs no second look: nearly every one."""
        return key not in CONTRACT and kind_of(key) is None and self._masker.text(key) == key

    def _bind(self, fields: dict[str, JSON], key: str, value: object) -> None:
        if key == "event" and isinstance(value, str) and value in EVENTS:
            fields["event"] = str(value)
            return
        taken = key in CONTRACT or (key in _OF_EXCEPTION and key in fields)
        name = f"x_{key}" if taken else self._masker.text(key)
        fields[name] = self._masker.value(key, value)

    def _exception(self, exception: "RecordException") -> dict[str, JSON]:
        kind, value, frames = exception
        if kind is None:
            return {}
        text = self._masker.text(safe_str(value))
        shown: dict[str, JSON] = {"error_type": kind.__name__, "error": text}
        try:
            whole = "".join(traceback.format_exception(kind, value, frames))
        except Exception:  # noqa: BLE001 - broken __notes__, __cause__ loops: the rest still counts
            whole = "<unprintable traceback>"
        shown["traceback"] = _without_middle(self._masker.ends(whole))
        return shown


def _now() -> str:
    # Not loguru's instant, which is microseconds older: lines are numbered here, so this one
    # grows with the number whatever threads log; and asking it for its Unix time costs a tenth
    # of a line.
    return of_milliseconds(time.time_ns() // 1_000_000)


def _without_middle(text: str, longest: int = _FRAMES) -> str:
    """Return where it began and where it ended: the frames between matter least."""
    if len(text) <= longest:
        return text
    head, missing = longest // 4, len(text) - longest
    return f"{text[:head]}\n…[+{missing} characters]\n{text[head - longest :]}"


def _fitted(fields: Mapping[str, JSON]) -> bytes:
    line = orjson.dumps(fields)
    if len(line) <= LONGEST_LINE and line.isascii():  # nearly every line
        return line
    line = _dumped(fields)
    for longest in _SHORTENED_TO:
        if len(line) <= LONGEST_LINE:
            return line
        line = _dumped({name: _shorter(name, value, longest) for name, value in fields.items()})
    if len(line) > LONGEST_LINE:
        # Hundreds of bound values, or huge names: what every line has must do.
        own = {name: fields[name] for name in fields if name in CONTRACT}
        own["message"] = _shorter("message", fields["message"], _SHORTENED_TO[-1])
        line = _dumped(own | {"dropped_values": len(fields) - len(own)})
    return line


def _shorter(name: str, value: JSON, longest: int) -> JSON:
    if name == "traceback" and isinstance(value, str):
        return _without_middle(value, longest)
    if isinstance(value, Mapping | list):
        text = orjson.dumps(value).decode()
        return value if len(text) <= longest else shortened(text, longest)
    return shortened(value, longest) if isinstance(value, str) else value


def _dumped(fields: Mapping[str, JSON]) -> bytes:
    line = orjson.dumps(fields)
    if not line.isascii():
        for raw, escaped in _LINE_BREAKS:
            line = line.replace(raw, escaped)
    return line
