"""Results of trading and deposits: JSON that PostgreSQL makes (store/queries/portfolio.py …)."""

from typing import Literal

from typing_extensions import TypedDict

from service.web.contract.scalars import Day, DecimalText, Instant


class PeriodBody(TypedDict):
    days: int
    first_day: Day
    since: Instant | None
    start_equity: DecimalText | None
    deposits: DecimalText
    pnl: DecimalText | None
    realised_pnl: DecimalText
    return_ratio: DecimalText | None
    cost_sold: DecimalText
    average_return_ratio: DecimalText | None
    fees: DecimalText
    fills: int
    wins: int
    losses: int
    win_rate: DecimalText | None
    max_drawdown_ratio: DecimalText | None


class PortfolioSummaryBody(TypedDict):
    quote: str
    at: Instant | None  #: null before the first snapshot, as every amount
    equity: DecimalText | None
    cash: DecimalText | None
    coins: DecimalText | None
    realised_pnl: DecimalText | None
    unrealised_pnl: DecimalText | None
    fees_paid: DecimalText | None
    total_deposits: DecimalText | None
    cumulative_return_ratio: DecimalText | None
    periods: list[PeriodBody]


class EquityPointBody(TypedDict):
    at: Instant
    equity: DecimalText
    low: DecimalText
    high: DecimalText
    deposits: DecimalText
    return_ratio: DecimalText
    drawdown_ratio: DecimalText


class EquityCurveBody(TypedDict):
    quote: str
    since: Instant
    until: Instant
    max_drawdown_ratio: DecimalText | None
    items: list[EquityPointBody]


class DayHaltBody(TypedDict):
    kind: Literal["REDUCING", "HALTED"]
    market: str | None
    reason: str


class AccountDayBody(TypedDict):
    day: Day
    start_equity: DecimalText | None
    end_equity: DecimalText | None
    deposits: DecimalText
    realised_pnl: DecimalText
    return_ratio: DecimalText | None
    fees: DecimalText
    fills: int
    bought_funds: DecimalText
    sold_funds: DecimalText
    wins: int
    losses: int
    win_rate: DecimalText | None
    halted: bool
    halts: list[DayHaltBody]


class MarketDayBody(TypedDict):
    day: Day
    market: str
    fills: int
    bought_volume: DecimalText
    bought_funds: DecimalText
    sold_volume: DecimalText
    sold_funds: DecimalText
    fees: DecimalText
    realised_pnl: DecimalText
    wins: int
    losses: int


class DaysBody(TypedDict):
    items: list[AccountDayBody] | list[MarketDayBody]
    next_cursor: str | None


class DepositBody(TypedDict):
    id: int
    currency: str
    amount: DecimalText
    occurred_at: Instant
    source: Literal["detected", "operator"]
    note: str
    actor: str
    seen_at: Instant | None
    corrects: int | None


class DepositsBody(TypedDict):
    items: list[DepositBody]
    next_cursor: str | None


class DifferenceBody(TypedDict):
    currency: str
    expected: DecimalText
    actual: DecimalText
    difference: DecimalText
    since: Instant


class DifferencesBody(TypedDict):
    items: list[DifferenceBody]
    next_cursor: str | None
