"""One row of a candle file, checked field by field."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from service.domain.errors import ConfigError
from service.sandbox.candle_rows import HOW, Row
from service.sandbox.market.ticks import UNITS

TIME: Final = "candle_date_time_utc"
_PRICES: Final = ("opening_price", "high_price", "low_price", "trade_price")
_VOLUME: Final = "candle_acc_trade_volume"
_FUNDS: Final = "candle_acc_trade_price"
_LARGEST: Final = Decimal(10) ** 12
NEEDED: Final = (TIME, *_PRICES, _VOLUME)


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
