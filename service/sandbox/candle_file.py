"""Upbit's minute candles from a JSON or CSV file, checked row by row.

JSON is the answer of `/v1/candles/minutes/{unit}` as it is, newest or oldest first. CSV has a
header with the same names: `candle_date_time_utc`, `opening_price`, `high_price`, `low_price`,
`trade_price`, `candle_acc_trade_volume`, and where known `market`, `unit`,
`candle_acc_trade_price`; other columns are ignored.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Final

from loguru import logger

from service.domain.errors import ConfigError
from service.sandbox.ticks import UNITS

UNITS_OF_CANDLES: Final = (1, 3, 5, 10, 15, 30, 60, 240)  #: minutes
_TIME: Final = "candle_date_time_utc"
_PRICES: Final = ("opening_price", "high_price", "low_price", "trade_price")
_VOLUME: Final = "candle_acc_trade_volume"
_FUNDS: Final = "candle_acc_trade_price"
_LARGEST: Final = Decimal(10) ** 12
_HOW: Final = "give Upbit's minute candles as a JSON array or as CSV with Upbit's field names"

Row = Mapping[str, object]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFile:
    """One market's candles, oldest first, at least one."""

    market: str | None  #: None where the file does not say
    unit: int  #: minutes
    candles: Sequence[FileCandle]


def read_candles(path: Path) -> CandleFile:
    """Return the candles in `path`; gaps are warned about once.

    Raises: ConfigError, one sentence with the file, the row and the remedy.
    """
    text = _text(path)
    rows = list(_json_rows(path, text) if text.lstrip()[:1] in "[{" else _csv_rows(path, text))
    if not rows:
        raise ConfigError(f"{path} holds no candle; {_HOW}")
    parsed = _oldest_first(path, [(where, _candle(path, where, row)) for where, row in rows])
    unit = _unit(path, rows, parsed)
    candles = [candle for _, candle in parsed]
    _warn_of_gaps(path, candles, unit)
    traded = [candle for candle in candles if candle.volume > 0]
    if not traded:
        raise ConfigError(f"{path} holds no candle with a trade; {_HOW}")
    return CandleFile(market=_market(path, rows), unit=unit, candles=traded)


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
        raise ConfigError(f"{path} is not text; {_HOW}") from exc
    if not text.strip():
        raise ConfigError(f"{path} is empty; {_HOW}")
    return text


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    try:
        rows = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path} is not valid JSON; {_HOW}") from exc
    if not isinstance(rows, list):
        raise ConfigError(f"{path} is JSON but no list of candles; {_HOW}")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, candle {number}: not an object; {_HOW}")
        yield f"candle {number}", row


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO(text))
    header = [name.strip() for name in reader.fieldnames or ()]
    missing = [name for name in (_TIME, *_PRICES, _VOLUME) if name not in header]
    if missing:
        raise ConfigError(f"{path}, line 1: no column {missing[0]}; {_HOW}")
    reader.fieldnames = header
    try:
        for row in reader:
            if None in row or None in row.values():
                raise ConfigError(
                    f"{path}, line {reader.line_num}: not {len(header)} columns; complete the row"
                )
            yield f"line {reader.line_num}", row
    except csv.Error as exc:
        raise ConfigError(f"{path}, line {reader.line_num}: not CSV ({exc}); {_HOW}") from exc


def _candle(path: Path, where: str, row: Row) -> FileCandle:
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
    text = _field(path, where, row, _TIME)
    try:
        instant = datetime.fromisoformat(str(text).strip())
    except ValueError as exc:
        raise ConfigError(
            f"{path}, {where}: {_TIME} is no time; write it like 2026-01-24T09:00:00"
        ) from exc
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


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
        raise ConfigError(f"{path}, {where}: {name} is missing; {_HOW}")
    return value


_Placed = tuple[str, FileCandle]


def _oldest_first(path: Path, rows: Sequence[_Placed]) -> Sequence[_Placed]:
    newest_first = len(rows) > 1 and rows[0][1].opened_at > rows[1][1].opened_at
    ordered = rows[::-1] if newest_first else rows
    step = -1 if newest_first else 1
    for (_, earlier), (where, later) in pairwise(rows):
        if earlier.opened_at == later.opened_at:
            raise ConfigError(f"{path}, {where}: the same minute stands twice; remove one of them")
        if (later.opened_at - earlier.opened_at) * step < timedelta():
            raise ConfigError(f"{path}, {where}: out of order; sort the file by {_TIME}")
    return ordered


def _unit(path: Path, rows: Sequence[tuple[str, Row]], candles: Sequence[_Placed]) -> int:
    said = {str(row["unit"]).strip() for _, row in rows if row.get("unit") not in (None, "")}
    if len(said) > 1:
        raise ConfigError(f"{path} mixes candles of several units; give one unit in a file")
    unit = _as_unit(said.pop() if said else _shortest_spacing([c for _, c in candles]))
    if unit is None:
        raise ConfigError(
            f"{path}: cannot tell how long a candle lasts; give minute candles of 1, 3, 5, 10, 15,"
            " 30, 60 or 240 minutes with a field unit"
        )
    length = timedelta(minutes=unit)
    for where, candle in candles:
        if (candle.opened_at - datetime(1970, 1, 1, tzinfo=UTC)) % length:
            raise ConfigError(
                f"{path}, {where}: {_TIME} is not the start of a {unit} minute candle;"
                " correct the time or the unit"
            )
    return unit


def _as_unit(text: str | None) -> int | None:
    known = {str(unit): unit for unit in UNITS_OF_CANDLES}
    return known.get(text or "")


def _shortest_spacing(candles: Sequence[FileCandle]) -> str | None:
    pairs = pairwise(candles)
    spacing = min((later.opened_at - earlier.opened_at for earlier, later in pairs), default=None)
    return None if spacing is None else f"{spacing.total_seconds() / 60:g}"


def _market(path: Path, rows: Sequence[tuple[str, Row]]) -> str | None:
    names = {str(row["market"]).strip() for _, row in rows if row.get("market") not in (None, "")}
    if len(names) > 1:
        listed = ", ".join(sorted(names)[:3])
        raise ConfigError(f"{path} mixes several markets ({listed}); give one market in a file")
    return names.pop() if names else None


def _warn_of_gaps(path: Path, candles: Sequence[FileCandle], unit: int) -> None:
    # Upbit has no candle for an interval without a trade, so a gap is no fault of the file.
    length = timedelta(minutes=unit)
    traded = [candle.opened_at for candle in candles if candle.volume > 0]
    pairs = pairwise(traded)
    gaps = [later - earlier - length for earlier, later in pairs if later - earlier > length]
    if gaps:
        logger.bind(
            event="app",
            file=str(path),
            gaps=len(gaps),
            longest_minutes=int(max(gaps).total_seconds() // 60),
        ).warning("the candle file has gaps: nothing trades in them")
