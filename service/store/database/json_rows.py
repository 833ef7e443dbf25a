"""Values passed to SQL as JSON rows, without loss of precision."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import orjson

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def recordset(rows: Iterable[Mapping[str, object]]) -> str:
    """Return `rows` as one parameter for json_to_recordset, decimals as exact text.

    Declare the decimals' columns `numeric`: their text may have an exponent, because str() takes
    half the time of format(). A JSON null becomes SQL NULL, even for a jsonb column: pass JSON
    values as `text`.
    """
    return orjson.dumps(list(rows), default=_numeric).decode()


def json_text(value: object) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _numeric(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no exact JSON form")


def storable(text: str) -> str:
    """Return foreign `text` without what PostgreSQL cannot store: NUL and lone surrogates."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\x00", _REPLACEMENT)
