"""A candle file as rows, and one row as a candle checked field by field.

The file is a JSON array of objects or CSV with a header. Each row keeps its place for messages.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from service.domain.errors import ConfigError
from service.sandbox.market.ticks import UNITS

HOW: Final = "give Upbit's minute candles as a JSON array or as CSV with Upbit's field names"
TIME: Final = "candle_date_time_utc"
_PRICES: Final = ("opening_price", "high_price", "low_price", "trade_price")
_VOLUME: Final = "candle_acc_trade_volume"
_FUNDS: Final = "candle_acc_trade_price"
_LARGEST: Final = Decimal(10) ** 12
NEEDED: Final = (TIME, *_PRICES, _VOLUME)

Row = Mapping[str, object]
Placed = tuple[str, Row]  #: its place, e.g. "line 7", and its fields


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCandle:
    """Prices and volume in units of 1e-8, funds in 1e-16 KRW."""

    opened_at: datetime
    open: int
    high: int
    low: int
    close: int
    volume: int
    funds: int | None


def read_rows(path: Path, *, columns: Sequence[str]) -> list[Placed]:
    """Return the rows of `path`; a CSV must have the `columns`.

    Raises: ConfigError, one sentence with the file, the row and the remedy.
    """
    text = _file_text(path)
    is_json = text.lstrip()[:1] in "[{"
    rows = list(_json_rows(path, text) if is_json else _csv_rows(path, text, columns))
    if not rows:
        raise ConfigError(f"{path} holds no candle; {HOW}")
    return rows


def _file_text(path: Path) -> str:
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


def candle_in(path: Path, where: str, row: Row) -> FileCandle:
    """Return the candle in one row. Raises: ConfigError, naming the row and the field."""
    opened_at = _instant(path, where, row)
    open_, high, low, close = (_amount(path, where, row, name) for name in _PRICES)
    if not 0 < low <= min(open_, close) <= max(open_, close) <= high:
        raise ConfigError(
            f"{path}, {where}: the prices contradict each other; they must be above zero, with"
            " low_price the lowest and high_price the highest"
        )
    funds = None
    if row.get(_FUNDS) not in (None, ""):
        funds = int(_number(path, where, row, _FUNDS) * UNITS * UNITS)
    return FileCandle(
        opened_at=opened_at,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=_amount(path, where, row, _VOLUME),
        funds=funds,
    )


def _instant(path: Path, where: str, row: Row) -> datetime:
    text = _field(path, where, row, TIME)
    try:
        instant = datetime.fromisoformat(str(text).strip())
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise ConfigError(
            f"{path}, {where}: {TIME} is no time; write it like 2026-01-24T09:00:00"
        ) from exc


def _amount(path: Path, where: str, row: Row, name: str) -> int:
    # A float's text may carry more digits than the exchange counts.
    return int((_number(path, where, row, name) * UNITS).to_integral_value())


def _number(path: Path, where: str, row: Row, name: str) -> Decimal:
    value = _field(path, where, row, name)
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as exc:
        raise ConfigError(f"{path}, {where}: {name} is not a number; correct the file") from exc
    if not number.is_finite() or not 0 <= number < _LARGEST * _LARGEST:
        raise ConfigError(f"{path}, {where}: {name} is negative or too large; correct the file")
    if name != _FUNDS and number >= _LARGEST // 100:
        raise ConfigError(f"{path}, {where}: {name} is too large; correct the file")
    return number


def _field(path: Path, where: str, row: Row, name: str) -> object:
    value = row.get(name)
    if value is None or value == "" or isinstance(value, bool):
        raise ConfigError(f"{path}, {where}: {name} is missing; {HOW}")
    return value
