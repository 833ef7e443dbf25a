"""Edits of an answer on its way out: the exchange did what it should, and says something else."""

from collections.abc import Mapping
from typing import Any, Literal

import orjson

TradesEdit = Literal[
    "twice",  # each trade stands twice
    "backwards",
    "half",  # the later half is not there yet
    "missing",  # the list is empty, what was executed is told
]


def edited(raw: bytes, *, merge: Mapping[str, Any], trades: TradesEdit | None) -> bytes:
    """Return the JSON in `raw` with `merge` put in and its trades edited."""
    body = orjson.loads(raw)
    if isinstance(body, list):
        return orjson.dumps([_merged(part, merge) for part in body])
    body = _merged(body, merge)
    if trades is not None and "trades" in body:
        body["trades"] = _edited_trades(body["trades"], trades)
    return orjson.dumps(body)


def _merged(body: Any, merge: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(body, dict):
        return body
    for name, value in merge.items():
        is_nested = isinstance(value, Mapping) and isinstance(body.get(name), dict)
        body[name] = _merged(body[name], value) if is_nested else value
    return body


def _edited_trades(trades: list[Any], edit: TradesEdit) -> list[Any]:
    match edit:
        case "twice":
            return [trade for trade in trades for _ in range(2)]
        case "backwards":
            return trades[::-1]
        case "half":
            return trades[: len(trades) // 2]
        case "missing":
            return []
