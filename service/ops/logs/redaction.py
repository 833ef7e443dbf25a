"""Turns one logged value, whatever its type, into JSON that shows no secret and no balance."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

from pydantic import BaseModel, SecretBytes, SecretStr

from service.domain.instants import rfc3339
from service.ops.logs.field_names import FieldKind, kind_of
from service.ops.logs.known_secrets import MASK, KnownSecrets
from service.ports.store import JSON

LONGEST_BYTES: Final = 16_384
_LONGEST_REPR: Final = 1_024  #: characters
_DEEPEST: Final = 6
_MOST_VALUES: Final = 256  #: in one logged value, nested ones included
_INT64: Final = 2**63
_PAIR: Final = 2
_MORE: Final = "…"


class Redaction:
    """Goes through one value; counts what it has seen, against cycles and floods."""

    def __init__(self, text: Callable[[str], str], known_secrets: KnownSecrets) -> None:
        self._text = text
        self._known_secrets = known_secrets
        self._left = _MOST_VALUES

    def shown(self, name: str, value: object, depth: int = 0) -> JSON:
        """Return what may be shown of `value`, which stands under `name`."""
        kind = kind_of(name)
        if kind is not None and _is_hidden(kind, value):
            return MASK
        self._left -= 1
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(str(value))
        if isinstance(value, int | float | Decimal):
            return self._number(value)
        return self._nested(value, depth) if depth < _DEEPEST else _MORE

    def _number(self, value: "float | Decimal") -> JSON:
        if self._known_secrets.in_number(value):
            return MASK
        if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) >= _INT64):
            return str(value)
        return value

    def _nested(self, value: object, depth: int) -> JSON:
        if (items := _items(value)) is not None:
            return self._object(items, depth + 1)
        if isinstance(value, tuple) and len(value) == _PAIR and isinstance(value[0], str | bytes):
            # Headers and query parameters travel as pairs: the first names the second.
            return [self.shown("", value[0], depth), self.shown(_name(value[0]), value[1], depth)]
        if isinstance(value, Sequence | AbstractSet) and not _is_binary(value):
            return self._list(value, depth + 1)
        return self._other(value)

    def _object(self, items: Iterable[tuple[Any, Any]], depth: int) -> JSON:
        shown: dict[str, JSON] = {}
        for key, item in items:
            if self._left < 0:
                shown[_MORE] = _MORE
                break
            shown[self._text(_name(key))] = self.shown(_name(key), item, depth)
        return shown

    def _list(self, values: Iterable[object], depth: int) -> JSON:
        shown: list[JSON] = []
        for item in values:
            if self._left < 0:
                shown.append(_MORE)
                break
            shown.append(self.shown("", item, depth))
        return shown

    def _other(self, value: object) -> JSON:
        if isinstance(value, datetime | date | time | timedelta):
            return _when(value)
        if isinstance(value, SecretStr | SecretBytes):
            return MASK
        if isinstance(value, bytes | bytearray | memoryview):
            return self._text(bytes(value[:LONGEST_BYTES]).decode("utf-8", "backslashreplace"))
        if isinstance(value, BaseException):
            return self._text(f"{type(value).__name__}: {safe_str(value)}")
        if isinstance(value, PurePath):
            return self._text(str(value))
        return shortened(self._text(safe_str(value, repr)), _LONGEST_REPR)


def shortened(text: str, length: int, *, more: int = 0) -> str:
    """Return at most `length` characters and how many are missing, `more` among them."""
    missing = len(text) - length + more
    return text if missing <= 0 else f"{text[:length]}…[+{missing} characters]"


def safe_str(value: object, convert: Callable[[object], str] = str) -> str:
    """Return `convert(value)`; an object that cannot be printed must not break the line."""
    try:
        return convert(value)
    except Exception:  # noqa: BLE001 - foreign __str__ and __repr__ raise what they like
        return f"<unprintable {type(value).__name__}>"


def _is_hidden(kind: FieldKind, value: object) -> bool:
    # "Not set" and "set" are what an operator looks for; they give nothing away.
    if value is None or isinstance(value, bool) or (isinstance(value, str) and not value):
        return False
    return not (kind is FieldKind.TOKENS and isinstance(value, int | float | Decimal))


def _is_binary(value: object) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


def _name(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    return key if isinstance(key, str) else safe_str(key)


def _when(value: datetime | date | time | timedelta) -> JSON:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return rfc3339(value)
    return value.isoformat()


def _items(value: object) -> Iterable[tuple[Any, Any]] | None:
    """Return the named values inside `value`, None when it has none."""
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, BaseModel):
        return {**vars(value), **(value.model_extra or {})}.items()
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name, None)) for field in fields(value)]
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        named: Mapping[str, object] = value._asdict()
        return named.items()
    return None
