"""Domain values and a configuration for tests; every builder takes overrides."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from service.config import Config
from service.domain.markets import (
    Balance,
    BestPrices,
    Candle,
    Market,
    MarketRules,
    Ticker,
    Timeframe,
)
from service.domain.orders import (
    ZERO,
    ExchangeOrder,
    ExchangeOrderState,
    Fill,
    Intent,
    Order,
    OrderStatus,
    OrderType,
    Side,
    Trade,
)
from service.domain.portfolio import Equity
from service.domain.positions import Position
from service.domain.risk.facts import Limits, Situation
from service.domain.signals import Action, Answer, Proposal, Signal, Usage
from service.domain.trading_states import TradingStatus
from service.flows.live_prices import LivePrices
from service.ports.clock import MarketClock
from service.ports.store import JSON, Halt
from service.settings.settings import Settings
from tests.fakes.setting_rows import FakeSettingRows

KRW_BTC = Market("KRW", "BTC")
T0 = datetime(2026, 1, 24, 9, 0, tzinfo=UTC)


def a_ticker(**overrides: Any) -> Ticker:
    values: dict[str, Any] = {
        "market": KRW_BTC,
        "price": Decimal(100_000_000),
        "high": Decimal(101_000_000),
        "low": Decimal(99_000_000),
        "volume_24h": Decimal("123.456"),
        "change_since_close_ratio": Decimal("0.01"),
        "traded_at": T0,
    }
    return Ticker(**values | overrides)


def some_live_prices(clock: MarketClock, **stored: JSON) -> LivePrices:
    """Return LivePrices with the limits of the settings that are `stored`, once refreshed."""
    return LivePrices(clock=clock, settings=Settings(FakeSettingRows(stored), clock))


def a_candle(**overrides: Any) -> Candle:
    values: dict[str, Any] = {
        "market": KRW_BTC,
        "timeframe": Timeframe.M1,
        "opened_at": T0,
        "open": Decimal(100_000_000),
        "high": Decimal(100_200_000),
        "low": Decimal(99_900_000),
        "close": Decimal(100_100_000),
        "volume": Decimal("1.5"),
        "funds": Decimal(150_000_000),
    }
    return Candle(**values | overrides)


def some_rules(**overrides: Any) -> MarketRules:
    values: dict[str, Any] = {
        "market": KRW_BTC,
        "fee_ratio": Decimal("0.0005"),
        "min_funds": Decimal(5_000),
        "max_funds": Decimal(1_000_000_000),
        "tick_size": Decimal(1_000),
    }
    return MarketRules(**values | overrides)


def a_proposal(**overrides: Any) -> Proposal:
    values: dict[str, Any] = {
        "action": Action.BUY,
        "confidence": Decimal("0.7"),
        "reasoning": "prices rise on volume",
    }
    return Proposal(**values | overrides)


def an_answer(**overrides: Any) -> Answer:
    values: dict[str, Any] = {
        "proposal": a_proposal(),
        "why": None,
        "model": "gemini-3.8-flash",
        "usage": Usage(input_tokens=1200, output_tokens=85, thinking_tokens=300),
    }
    return Answer(**values | overrides)


def a_signal(**overrides: Any) -> Signal:
    values: dict[str, Any] = {
        "id": 1,
        "market": KRW_BTC,
        "proposal": a_proposal(),
        "model": "gemini-3.8-flash",
        "price": Decimal(100_000_000),
        "created_at": T0,
    }
    return Signal(**values | overrides)


def a_balance(currency: str = "KRW", available: int | str = 10_000_000, **rest: Any) -> Balance:
    return Balance(
        currency=currency,
        available=Decimal(available),
        locked=Decimal(rest.pop("locked", 0)),
        **rest,
    )


def a_position(**overrides: Any) -> Position:
    return Position(**{"market": KRW_BTC} | overrides)


def some_limits(**overrides: Any) -> Limits:
    values: dict[str, Any] = {
        "trading_enabled": True,
        "min_confidence": Decimal("0.6"),
        "position_size_min_pct": Decimal(1),
        "position_size_max_pct": Decimal(3),
        "max_position_pct": Decimal(20),
        "max_exposure_pct": Decimal(100),
        "max_order_krw": None,
        "max_daily_order_krw": None,
        "stop_loss_pct": Decimal(5),
        "max_slippage_pct": Decimal(0),
        "max_price_jump_pct": Decimal(10),
        "max_orders_per_hour": 12,
        "signal_max_age_s": 300,
    }
    return Limits(**values | overrides)


def a_situation(**overrides: Any) -> Situation:
    values: dict[str, Any] = {
        "price": Decimal(100_000_000),
        "position": a_position(),
        "quote": a_balance("KRW", 10_000_000),
        "base": a_balance("BTC", 0),
        "rules": some_rules(),
        "open_orders": 0,
    }
    values |= overrides
    if "best" not in overrides:
        values["best"] = best_prices(values["rules"].market, values["price"])
    return Situation(**values)


def best_prices(market: Market, ask: Decimal) -> BestPrices:
    """Return a book whose best offer is the last price."""
    return BestPrices(market=market, bid=ask - ask / 1000, ask=ask)


def an_intent(**overrides: Any) -> Intent:
    values: dict[str, Any] = {
        "market": KRW_BTC,
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "funds": Decimal(100_000),
    }
    return Intent(**values | overrides)


def an_order(**overrides: Any) -> Order:
    values: dict[str, Any] = {
        "id": 1,
        "identifier": "uat-1",
        "intent": an_intent(),
        "status": OrderStatus.PENDING,
        "decision_id": None,
        "created_at": T0,
        "sent_at": T0,
    }
    return Order(**values | overrides)


def a_trade(**overrides: Any) -> Trade:
    values: dict[str, Any] = {
        "uuid": "t-1",
        "price": Decimal(100_000_000),
        "volume": Decimal("0.001"),
        "funds": Decimal(100_000),
        "traded_at": T0,
    }
    return Trade(**values | overrides)


def a_fill(**overrides: Any) -> Fill:
    values: dict[str, Any] = {
        "trade_uuid": "t-1",
        "price": Decimal(100_000_000),
        "volume": Decimal("0.001"),
        "funds": Decimal(100_000),
        "fee": Decimal(50),
        "traded_at": T0,
    }
    return Fill(**values | overrides)


def an_equity(**overrides: Any) -> Equity:
    values: dict[str, Any] = {
        "quote": "KRW",
        "cash": Decimal(10_000_000),
        "coins": ZERO,
        "realised_pnl": ZERO,
        "unrealised_pnl": ZERO,
        "fees_paid": ZERO,
    }
    return Equity(**values | overrides)


def an_exchange_order(**overrides: Any) -> ExchangeOrder:
    values: dict[str, Any] = {
        "uuid": "e-1",
        "identifier": "uat-1",
        "market": KRW_BTC,
        "side": Side.BUY,
        "state": ExchangeOrderState.DONE,
        "executed_volume": Decimal("0.001"),
        "paid_fee": Decimal(50),
        "created_at": T0,
        "trades": (a_trade(),),
        "trades_count": 1,
    }
    return ExchangeOrder(**values | overrides)


def a_halt(**overrides: Any) -> Halt:
    values: dict[str, Any] = {
        "kind": TradingStatus.HALTED,
        "reason": "by hand",
        "actor": "admin@127.0.0.1",
        "since": T0,
        "ends": "operator",
    }
    return Halt(**values | overrides)


def a_config(**overrides: Any) -> Config:
    values = {"markets": (KRW_BTC, Market("KRW", "ETH"))} | overrides
    return Config(_env_file=None, **values)


def at_liberty() -> None:
    """`before_send` of an order that nothing stops."""
