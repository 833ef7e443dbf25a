"""Prices and candles: JSON that PostgreSQL makes (store/queries/market.py)."""

from typing_extensions import TypedDict

from service.domain.markets import Timeframe
from service.web.contract.scalars import DecimalText, Instant


class MarketRowBody(TypedDict):
    id: int
    market: str
    price: DecimalText
    high: DecimalText
    low: DecimalText
    volume_24h: DecimalText
    change_since_close_ratio: DecimalText
    traded_at: Instant
    collected_at: Instant


class MarketRowsBody(TypedDict):
    items: list[MarketRowBody]
    next_cursor: str | None


class CandleBody(TypedDict):
    market: str
    timeframe: Timeframe
    opened_at: Instant
    open: DecimalText
    high: DecimalText
    low: DecimalText
    close: DecimalText
    volume: DecimalText
    funds: DecimalText


class CandlesBody(TypedDict):
    items: list[CandleBody]
    next_cursor: str | None


class MarketSummaryBody(TypedDict):
    market: str
    since: Instant
    count: int
    first: DecimalText | None
    last: DecimalText | None
    low: DecimalText | None
    high: DecimalText | None
    average: DecimalText | None
    change: DecimalText | None
    change_ratio: DecimalText | None
    first_at: Instant | None
    last_at: Instant | None


class CollectedMarketBody(TypedDict):
    market: str
    rows: int
    newest_at: Instant | None
    longest_gap_seconds: float | None
