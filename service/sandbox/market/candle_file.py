"""Upbit's minute candles from a JSON or CSV file, checked row by row.

JSON is the answer of `/v1/candles/minutes/{unit}` as it is, newest or oldest first. CSV has a
header with the same names: `candle_date_time_utc`, `opening_price`, `high_price`, `low_price`,
`trade_price`, `candle_acc_trade_volume`, and where known `market`, `unit`,
`candle_acc_trade_price`; other columns are ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from loguru import logger

from service.domain.errors import ConfigError
from service.sandbox.market.candle_rows import (
    HOW,
    NEEDED,
    TIME,
    FileCandle,
    Placed,
    candle_in,
    read_rows,
)

UNITS_OF_CANDLES: Final = (1, 3, 5, 10, 15, 30, 60, 240)  #: minutes
_PlacedCandle = tuple[str, FileCandle]


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
    rows = read_rows(path, columns=NEEDED)
    parsed = _oldest_first(path, [(where, candle_in(path, where, row)) for where, row in rows])
    unit = _unit(path, rows, parsed)
    candles = [candle for _, candle in parsed]
    _warn_of_gaps(path, candles, unit)
    traded = [candle for candle in candles if candle.volume > 0]
    if not traded:
        raise ConfigError(f"{path} holds no candle with a trade; {HOW}")
    return CandleFile(market=_market(path, rows), unit=unit, candles=traded)


def _oldest_first(path: Path, rows: Sequence[_PlacedCandle]) -> Sequence[_PlacedCandle]:
    newest_first = len(rows) > 1 and rows[0][1].opened_at > rows[1][1].opened_at
    ordered = rows[::-1] if newest_first else rows
    step = -1 if newest_first else 1
    for (_, earlier), (where, later) in pairwise(rows):
        if earlier.opened_at == later.opened_at:
            raise ConfigError(f"{path}, {where}: the same minute stands twice; remove one of them")
        if (later.opened_at - earlier.opened_at) * step < timedelta():
            raise ConfigError(f"{path}, {where}: out of order; sort the file by {TIME}")
    return ordered


def _unit(path: Path, rows: Sequence[Placed], candles: Sequence[_PlacedCandle]) -> int:
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
                f"{path}, {where}: {TIME} is not the start of a {unit} minute candle;"
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


def _market(path: Path, rows: Sequence[Placed]) -> str | None:
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
