"""One masked log record, one line: flat JSON, whose contract is docs/logs.md, or text."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import orjson

from service.domain.instants import of_milliseconds
from service.ops.logs.patcher import CONTRACT, UNMADE, without_middle
from service.ops.logs.redaction import shortened
from service.ports.store import JSON

if TYPE_CHECKING:
    from loguru import Record

LONGEST_LINE: Final = 15 * 1024  #: bytes; Docker and most runtimes split lines at 16 KiB
_SHORTENED_TO: Final = (4_096, 1_024, 256, 64)  #: characters of each value, until the line fits
DROPPED: Final = "log.dropped"
#: JSON allows these raw, but readers that split lines the Unicode way would see two lines.
_LINE_BREAKS: Final = (
    (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"),
)  # fmt: skip


class LineFormatter:
    """Numbers the lines of this process and formats them; `facts` stand in every line.

    Its methods are for one caller at a time: the sink, which loguru calls under a lock.
    """

    def __init__(
        self, *, facts: Mapping[str, str], encode: Callable[[Mapping[str, JSON]], bytes]
    ) -> None:
        self._facts = dict(facts)
        self._encode = encode
        self._seq = 0

    def render(self, record: "Record") -> bytes:
        """Return the line of a record that is masked already, with its newline. Never raises."""
        self._seq += 1
        try:
            # An event among the record's fields replaces the default, at its place.
            fields: dict[str, JSON] = {
                "timestamp": _now(),
                "level": record["level"].name,
                "event": "app",
                "message": record["message"],
                **self._facts,
                "seq": self._seq,
                **record["extra"],
            }
            return self._encode(fields)
        except Exception as exc:  # noqa: BLE001 - loguru would print the record to stderr
            return self._own("ERROR", UNMADE, error_type=type(exc).__name__)

    def skip(self) -> None:
        """Use up the number of a line that is dropped."""
        self._seq += 1

    def dropped(self, lines: int, *, at_least_warning: int) -> bytes:
        """Return the line that stands for the `lines` numbers before its own."""
        self._seq += 1
        return self._own("WARNING", DROPPED, dropped=lines, dropped_warnings=at_least_warning)

    def _own(self, level: str, message: str, **fields: JSON) -> bytes:
        """Return a line about the log itself, of nothing that could fail or need a mask."""
        head: dict[str, JSON] = {"timestamp": _now(), "level": level, "event": "app"}
        return self._encode(head | {"message": message, **self._facts, "seq": self._seq} | fields)


def json_line(fields: Mapping[str, JSON]) -> bytes:
    """Return one line of flat JSON, LONGEST_LINE bytes and its newline at most."""
    line = orjson.dumps(fields)
    if len(line) > LONGEST_LINE or not line.isascii():  # hardly any line
        line = _fitted(fields)
    return line + b"\n"


def _now() -> str:
    # Not loguru's instant: it is taken before the sink's lock, so with several threads it does
    # not always grow with the line's number.
    return of_milliseconds(time.time_ns() // 1_000_000)


def _fitted(fields: Mapping[str, JSON]) -> bytes:
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
        return without_middle(value, longest)
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
