"""Every setting an operator can change while the service runs. docs/settings.md says the same."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from service.domain.markets import Market
from service.domain.pricing import ModelPrice
from service.settings.amounts import Number, Whole
from service.settings.job_names import OPTIONAL, OptionalJob
from service.settings.key import Key
from service.settings.kinds import Choice, ListOf, MarketCode, ModelName, OrOff, Switch
from service.settings.prices import KNOWN_PRICES, PriceTable

_D = Decimal
_SHARE: Final = Number(_D("0.1"), _D(100))
_MOVE: Final = Number(_D("0.1"), _D(50))
_CAP: Final = OrOff(Number(_D(5000), _D(10) ** 12))
_PCT_CAPITAL: Final = "% of capital"
_PCT_SIZE: Final = "% of free money and positions"

TRADING_ENABLED: Final[Key[bool]] = Key(
    "trading_enabled",
    default=False,
    kind=Switch(),
    unit="",
    sentence="Whether proposals may become orders.",
)
MARKETS: Final[Key[tuple[Market, ...]]] = Key(
    "markets",
    default=(),
    kind=ListOf(MarketCode(), most=20),
    unit="",
    sentence="The markets that are traded; an empty list means all of TRADER_MARKETS.",
)
POSITION_SIZE_MIN_PCT: Final[Key[Decimal]] = Key(
    "position_size_min_pct",
    default=_D(1),
    kind=_SHARE,
    unit=_PCT_SIZE,
    sentence="What the least confident signal buys for.",
)
POSITION_SIZE_MAX_PCT: Final[Key[Decimal]] = Key(
    "position_size_max_pct",
    default=_D(3),
    kind=_SHARE,
    unit=_PCT_SIZE,
    sentence="What the most confident signal buys for.",
)
MAX_POSITION_PCT: Final[Key[Decimal]] = Key(
    "max_position_pct",
    default=_D(20),
    kind=_SHARE,
    unit=_PCT_CAPITAL,
    sentence="What one market's position may be worth at most; buying stops there.",
)
MAX_EXPOSURE_PCT: Final[Key[Decimal]] = Key(
    "max_exposure_pct",
    default=_D(60),
    kind=_SHARE,
    unit="% of money and positions",
    sentence="What all positions together may be worth at most; buying stops there.",
)
MAX_ORDER_KRW: Final[Key[Decimal | None]] = Key(
    "max_order_krw",
    default=None,
    kind=_CAP,
    unit="KRW",
    sentence="What one purchase may cost at most, without its fee.",
)
MAX_DAILY_ORDER_KRW: Final[Key[Decimal | None]] = Key(
    "max_daily_order_krw",
    default=None,
    kind=_CAP,
    unit="KRW a day",
    sentence="What the purchases of one Korean day may cost at most, without their fees.",
)
MAX_SLIPPAGE_PCT: Final[Key[Decimal]] = Key(
    "max_slippage_pct",
    default=_D("0.5"),
    kind=Number(_D(0), _D(10)),
    unit="% above the best price",
    sentence="How much more than the best price of the order book a signal's purchase may pay.",
)
STOP_LOSS_PCT: Final[Key[Decimal]] = Key(
    "stop_loss_pct",
    default=_D(5),
    kind=_MOVE,
    unit="% below the average price",
    sentence="The loss at which a position is sold.",
)
TAKE_PROFIT_PCT: Final[Key[Decimal | None]] = Key(
    "take_profit_pct",
    default=None,
    kind=OrOff(Number(_D("0.1"), _D(1000))),
    unit="% above the average price",
    sentence="The gain at which a position is sold.",
)
TRAILING_STOP_PCT: Final[Key[Decimal | None]] = Key(
    "trailing_stop_pct",
    default=None,
    kind=OrOff(_MOVE),
    unit="% below the highest price since the position was opened",
    sentence="The fall from its high at which a position is sold.",
)
DAILY_LOSS_LIMIT_PCT: Final[Key[Decimal]] = Key(
    "daily_loss_limit_pct",
    default=_D(5),
    kind=_SHARE,
    unit="% of the equity at the start of the day",
    sentence="The day's loss at which purchases halt.",
)
VOLATILITY_THRESHOLD_PCT: Final[Key[Decimal]] = Key(
    "volatility_threshold_pct",
    default=_D(3),
    kind=_SHARE,
    unit="% of the price",
    sentence="The price move within the volatility window at which a market's purchases halt.",
)
VOLATILITY_WINDOW_MINUTES: Final[Key[int]] = Key(
    "volatility_window_minutes",
    default=5,
    kind=Whole(1, 1440),
    unit="minutes",
    sentence="How far back a price move is measured.",
)
VOLATILITY_AUTO_RESUME_MINUTES: Final[Key[int | None]] = Key(
    "volatility_auto_resume_minutes",
    default=None,
    kind=OrOff(Whole(1, 10_080)),
    unit="minutes",
    sentence="How long a halt for volatility lasts at least before it ends by itself.",
)
MIN_CONFIDENCE: Final[Key[Decimal]] = Key(
    "min_confidence",
    default=_D("0.6"),
    kind=Number(_D(0), _D(1)),
    unit="ratio",
    sentence="The confidence below which a proposal is refused.",
)
SIGNAL_INTERVAL_MINUTES: Final[Key[int]] = Key(
    "signal_interval_minutes",
    default=30,
    kind=Whole(1, 1440),
    unit="minutes",
    sentence="How often the model is asked for each market.",
)
SIGNAL_MAX_AGE_SECONDS: Final[Key[int]] = Key(
    "signal_max_age_seconds",
    default=300,
    kind=Whole(10, 86_400),
    unit="seconds",
    sentence="The age beyond which a signal no longer becomes an order.",
)
MAX_PRICE_AGE_SECONDS: Final[Key[int]] = Key(
    "max_price_age_seconds",
    default=30,
    kind=Whole(5, 3600),
    unit="seconds",
    sentence="The age of a market's last trade beyond which its price is stale.",
)
MAX_PRICE_JUMP_PCT: Final[Key[Decimal]] = Key(
    "max_price_jump_pct",
    default=_D(10),
    kind=_MOVE,
    unit="% of the newest price before",
    sentence="The move beyond which a price is believed only when it is confirmed.",
)
SIGNAL_COOLDOWN_MINUTES: Final[Key[int]] = Key(
    "signal_cooldown_minutes",
    default=5,
    kind=Whole(0, 1440),
    unit="minutes",
    sentence="How long after a market's signal none is made for it by hand.",
)
MAX_ORDERS_PER_HOUR: Final[Key[int]] = Key(
    "max_orders_per_hour",
    default=12,
    kind=Whole(1, 1000),
    unit="orders",
    sentence="How many orders may be sent within an hour, over all markets.",
)
LIMIT_ORDER_MAX_AGE_MINUTES: Final[Key[int]] = Key(
    "limit_order_max_age_minutes",
    default=60,
    kind=Whole(1, 10_080),
    unit="minutes",
    sentence="The age at which an open limit order is cancelled.",
)
AI_MODEL: Final[Key[str]] = Key(
    "ai_model",
    default="gemini-3.8-flash",
    kind=ModelName(),
    unit="",
    sentence="The model that is asked.",
)
AI_FALLBACK_MODELS: Final[Key[tuple[str, ...]]] = Key(
    "ai_fallback_models",
    default=(),
    kind=ListOf(ModelName(), most=5),
    unit="",
    sentence="The models that are asked, in this order, when the first cannot answer.",
)
AI_DAILY_BUDGET_USD: Final[Key[Decimal | None]] = Key(
    "ai_daily_budget_usd",
    default=_D(2),
    kind=OrOff(Number(_D(0), _D(10_000))),
    unit="USD a day",
    sentence="What the model's answers of one day may cost before it is no longer asked.",
)
PRICE_TABLE: Final[Key[tuple[ModelPrice, ...]]] = Key(
    "price_table",
    default=KNOWN_PRICES,
    kind=PriceTable(),
    unit="USD for a million tokens",
    sentence="What each model costs from which Korean day on; no row for a model: no known cost.",
)
DATA_RETENTION_DAYS: Final[Key[int]] = Key(
    "data_retention_days",
    default=365,
    kind=Whole(7, 3650),
    unit="days",
    sentence="How long collected prices and what is measured are kept.",
)
DISABLED_JOBS: Final[Key[tuple[str, ...]]] = Key(
    "disabled_jobs",
    default=(),
    kind=ListOf(OptionalJob(), most=len(OPTIONAL)),
    unit="",
    sentence="The jobs that are switched off.",
)
ALERT_MIN_SEVERITY: Final[Key[str]] = Key(
    "alert_min_severity",
    default="warning",
    kind=Choice(("info", "warning", "error", "critical")),
    unit="",
    sentence="The least severe alert that is sent.",
)

_ROWS: Final[tuple[Key[Any], ...]] = (  # Any: each row has a type of its own
    TRADING_ENABLED,
    MARKETS,
    POSITION_SIZE_MIN_PCT,
    POSITION_SIZE_MAX_PCT,
    MAX_POSITION_PCT,
    MAX_EXPOSURE_PCT,
    MAX_ORDER_KRW,
    MAX_DAILY_ORDER_KRW,
    MAX_SLIPPAGE_PCT,
    STOP_LOSS_PCT,
    TAKE_PROFIT_PCT,
    TRAILING_STOP_PCT,
    DAILY_LOSS_LIMIT_PCT,
    VOLATILITY_THRESHOLD_PCT,
    VOLATILITY_WINDOW_MINUTES,
    VOLATILITY_AUTO_RESUME_MINUTES,
    MIN_CONFIDENCE,
    SIGNAL_INTERVAL_MINUTES,
    SIGNAL_MAX_AGE_SECONDS,
    MAX_PRICE_AGE_SECONDS,
    MAX_PRICE_JUMP_PCT,
    SIGNAL_COOLDOWN_MINUTES,
    MAX_ORDERS_PER_HOUR,
    LIMIT_ORDER_MAX_AGE_MINUTES,
    AI_MODEL,
    AI_FALLBACK_MODELS,
    AI_DAILY_BUDGET_USD,
    PRICE_TABLE,
    DATA_RETENTION_DAYS,
    DISABLED_JOBS,
    ALERT_MIN_SEVERITY,
)
TABLE: Final[Mapping[str, Key[Any]]] = MappingProxyType({key.name: key for key in _ROWS})

#: Each is at most the next; checked whenever one of them changes.
ASCENDING: Final = (POSITION_SIZE_MIN_PCT, POSITION_SIZE_MAX_PCT, MAX_POSITION_PCT)
