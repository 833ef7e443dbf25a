"""The patcher: masks each loguru record before any handler sees it."""

import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from service.ops.logs.field_names import kind_of
from service.ops.logs.masking import Masker
from service.ops.logs.redaction import safe_str
from service.ports.requests import REQUEST
from service.ports.store import JSON

if TYPE_CHECKING:
    from loguru import Record, RecordException

EVENTS: Final = frozenset(
    {"job", "http", "ai", "order", "signal", "risk", "pool", "cache", "alert", "app"}
)
#: What the service says itself; a bound value of such a name becomes `x_…`.
CONTRACT: Final = frozenset(
    {"timestamp", "level", "event", "message", "service", "version", "mode", "instance"}
    | {"boot_id", "seq"}
)
UNMADE: Final = "a log line could not be made"
_OF_EXCEPTION: Final = frozenset({"error_type", "error", "traceback"})
_FRAMES: Final = 6_000  #: characters kept of a traceback


class MaskingPatcher:
    """Replaces a record's message, fields and exception by what may be shown of them.

    The exception becomes fields, because loguru formats exceptions itself before it calls a sink.
    A foreign `__str__` that raises there would make loguru print the record to stderr.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._is_plain = lru_cache(maxsize=2048)(self._means_nothing)

    def __call__(self, record: "Record") -> None:
        """Mask `record` in place. Never raises: loguru runs patchers in the code that logs."""
        try:
            message, fields = self._masker.text(record["message"]), self._fields(record)
        except Exception as exc:  # noqa: BLE001 - whatever was logged, the caller goes on
            message, fields = UNMADE, {"error_type": type(exc).__name__}
        record["message"], record["extra"], record["exception"] = message, fields, None

    def _fields(self, record: "Record") -> dict[str, JSON]:
        failed = record["exception"]
        fields: dict[str, JSON] = {} if failed is None else self._exception(failed)
        plain, is_plain = self._masker.plain, self._is_plain
        if (request_id := REQUEST.get()) is not None:
            fields["request_id"] = plain(request_id)
        for key, value in record["extra"].items():
            if failed is None and is_plain(key):
                fields[key] = plain(value)
            else:
                self._bind(fields, key, value)
        return fields

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
        shown["traceback"] = without_middle(self._masker.ends(whole))
        return shown


def without_middle(text: str, longest: int = _FRAMES) -> str:
    """Return the beginning and the end: the frames between matter least."""
    if len(text) <= longest:
        return text
    head, missing = longest // 4, len(text) - longest
    return f"{text[:head]}\n…[+{missing} characters]\n{text[head - longest :]}"
