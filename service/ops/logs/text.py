"""Log lines to read at a terminal: time, level, event, message and the main fields."""

from collections.abc import Mapping
from typing import Final

import orjson

from service.ops.logs.patcher import CONTRACT
from service.ops.logs.redaction import shortened
from service.ports.store import JSON

#: The same in every line, or of use to a program only.
_LEFT_OUT: Final = CONTRACT | {"run_id", "traceback"}
_LONGEST_VALUE: Final = 400  #: characters
_DIM: Final = "2"
_COLOURS: Final = {"DEBUG": _DIM, "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_EVENT: Final = "36"


class TextFormat:
    """Formats the fields of a line, which are masked already. Nothing in them reaches the terminal
    as a control character: a text from outside could move the cursor or hide a line.
    """

    def __init__(self, *, is_coloured: bool) -> None:
        self._is_coloured = is_coloured

    def __call__(self, fields: Mapping[str, JSON]) -> bytes:
        level, event = str(fields["level"]), str(fields["event"])
        head = (
            self._in(_DIM, str(fields["timestamp"])[11:23]),
            self._in(_COLOURS.get(level, ""), f"{_printable(level):<8}"),
            self._in(_EVENT, f"{event:<6}"),
            _printable(str(fields["message"])),
        )
        shown = (
            self._in(_DIM, f"{_printable(name)}=") + _value(value)
            for name, value in fields.items()
            if name not in _LEFT_OUT and value is not None
        )
        trace = str(fields.get("traceback", "")).splitlines()
        below = (f"\n    {_printable(line)}" for line in trace)
        text = f"{' '.join((*head, *shown))}{''.join(below)}\n"
        return text.encode("utf-8", "backslashreplace")

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._is_coloured and colour else text


def _value(value: JSON) -> str:
    if isinstance(value, str) and value and not set(value) & set(' ="'):
        return _printable(shortened(value, _LONGEST_VALUE))
    return _printable(shortened(orjson.dumps(value).decode(), _LONGEST_VALUE))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
