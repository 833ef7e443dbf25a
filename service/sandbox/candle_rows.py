"""A file as rows: a JSON array of objects or CSV with a header, each row with where it stands."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from service.domain.errors import ConfigError

HOW: Final = "give Upbit's minute candles as a JSON array or as CSV with Upbit's field names"

Row = Mapping[str, object]
Placed = tuple[str, Row]  #: where it stands, e.g. "line 7", and what it holds


def read_rows(path: Path, *, columns: Sequence[str]) -> list[Placed]:
    """Return the rows of `path`; a CSV must have the `columns`.

    Raises: ConfigError, one sentence with the file, the row and the remedy.
    """
    text = _text(path)
    is_json = text.lstrip()[:1] in "[{"
    rows = list(_json_rows(path, text) if is_json else _csv_rows(path, text, columns))
    if not rows:
        raise ConfigError(f"{path} holds no candle; {HOW}")
    return rows


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise ConfigError(f"candle file {path} does not exist; check the path") from exc
    except IsADirectoryError as exc:
        raise ConfigError(f"candle file {path} is a directory; name one file in it") from exc
    except OSError as exc:
        raise ConfigError(f"candle file {path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not text; {HOW}") from exc
    if not text.strip():
        raise ConfigError(f"{path} is empty; {HOW}")
    return text


def _json_rows(path: Path, text: str) -> Iterator[Placed]:
    try:
        # As text: Decimal has limits of its own, and their errors are no ValueErrors.
        rows = json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not valid JSON; {HOW}") from exc
    if not isinstance(rows, list):
        raise ConfigError(f"{path} is JSON but no list of candles; {HOW}")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, candle {number}: not an object; {HOW}")
        yield f"candle {number}", row


def _csv_rows(path: Path, text: str, columns: Sequence[str]) -> Iterator[Placed]:
    reader = csv.DictReader(io.StringIO(text))
    header = [name.strip() for name in reader.fieldnames or ()]
    missing = [name for name in columns if name not in header]
    if missing:
        raise ConfigError(f"{path}, line 1: no column {missing[0]}; {HOW}")
    reader.fieldnames = header
    try:
        for row in reader:
            if None in row or None in row.values():
                raise ConfigError(
                    f"{path}, line {reader.line_num}: not {len(header)} columns; complete the row"
                )
            yield f"line {reader.line_num}", row
    except csv.Error as exc:
        raise ConfigError(f"{path}, line {reader.line_num}: not CSV ({exc}); {HOW}") from exc
