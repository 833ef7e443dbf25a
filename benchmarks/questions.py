"""Every read of the history, through the methods that the service calls."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from benchmarks.seeding import BUSY, MARKETS, UNTIL
from service.domain.markets import Market, Timeframe
from service.domain.orders import OrderStatus
from service.ports.queries import PageKey
from service.store.database.pool import Pool
from service.store.queries.account import PgAccountLists
from service.store.queries.lists import PgLists
from service.store.queries.metrics import PgStatistics
from service.store.queries.portfolio import PgPortfolio
from service.store.tables.activity import PgActivity
from service.store.tables.market_data import PgMarketData
from service.store.tables.orders import PgOrders
from service.store.tables.signals import PgSignals

Question = Callable[[], Awaitable[object]]
PAGE: Final = 50
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
_S = OrderStatus
#: Each index that is no key, and a question that it serves.
INDEXES: Final = {
    "orders_status_created_at": "orders, a status without rows",
    "orders_created_at": "orders",
    "orders_market_created_at": "orders, one market",
    "orders_open": "open orders",
    "orders_decision_id": "one signal",
    "fills_order_id": "one order with its fills",
    "fills_traded_at": "fills",
    "fills_market_traded_at": "fills, one market",
    "daily_stats_day": "days",
    "trading_signals_created_at": "signals",
    "trading_signals_market_created_at": "signals, one market",
    "trading_signals_action_created_at": "signals, a rare action",
    "trading_signals_market_data_id": "signals of one price",
    "ai_calls_started_at": "an hour's model calls",
    "job_runs_job_started_at": "an hour's passes of all jobs",
    "config_changes_changed_at": "changes of settings",
    "config_changes_key_changed_at": "changes of one setting",
}


def questions(pool: Pool, rows: int) -> Mapping[str, Question]:
    """Return the reads for a database that `seed_history` has given `rows` rows a table."""
    lists, market = PgLists(pool), Market.parse(BUSY)
    markets = tuple(Market("KRW", f"C{n}") for n in range(MARKETS))
    orders, statistics = PgOrders(pool), PgStatistics(pool)
    # Keys in the middle of the history.
    half = PageKey(UNTIL - rows // 2 * timedelta(seconds=3), rows // 2)
    old = PageKey(UNTIL - rows // 40 * timedelta(seconds=10), rows // 2)
    portfolio, year, half_year = PgPortfolio(pool), 366 * DAY, PageKey(UNTIL - 183 * DAY, rows // 2)
    recent = {"since": UNTIL - HOUR, "until": UNTIL}
    return {
        "orders": lambda: lists.orders(limit=PAGE),
        "orders, one status": lambda: lists.orders(limit=PAGE, status=_S.EXECUTED),
        "orders, a rare status": lambda: lists.orders(limit=PAGE, status=_S.FAILED),
        "orders, a status without rows": lambda: lists.orders(limit=PAGE, status=_S.CANCELLED),
        "orders, one market": lambda: lists.orders(limit=PAGE, market=market),
        "orders, from the middle on": lambda: lists.orders(limit=PAGE, before=half),
        "orders, one status, from the middle on": lambda: lists.orders(
            limit=PAGE, status=_S.EXECUTED, before=half
        ),
        "one order with its fills": lambda: lists.order(rows // 2),
        "fills": lambda: lists.fills(limit=PAGE),
        "fills, one market": lambda: lists.fills(limit=PAGE, market=market),
        "fills, from the middle on": lambda: lists.fills(limit=PAGE, before=half),
        "signals": lambda: lists.signals(limit=PAGE),
        "signals, one market": lambda: lists.signals(limit=PAGE, market=market),
        "signals, a rare action": lambda: lists.signals(limit=PAGE, action="SELL"),
        "signals of one price": lambda: lists.signals(limit=PAGE, market_data_id=rows // 2),
        "signals, from the middle on": lambda: lists.signals(limit=PAGE, before=half),
        "one signal": lambda: lists.signal(rows // 2),
        "the latest signal of 20 markets": lambda: lists.signals_latest(markets),
        "prices": lambda: lists.market_history(market, limit=PAGE),
        "prices, from the middle on": lambda: lists.market_history(market, limit=PAGE, before=old),
        "the latest price of 20 markets": lambda: lists.market_latest(markets),
        "candles": lambda: lists.market_candles(market, Timeframe.M1, limit=PAGE),
        "an hour's summary of one market": lambda: lists.market_summary(market, since=UNTIL - HOUR),
        "the collector's hour, 20 markets": lambda: lists.collector_stats(
            markets, since=UNTIL - HOUR
        ),
        "changes of settings": lambda: lists.config_changes(limit=PAGE),
        "changes of one setting": lambda: lists.config_changes(limit=PAGE, key="key-3"),
        "signals without a decision": lambda: PgSignals(pool).undecided(market, before=UNTIL),
        "positions": orders.positions,
        "open orders": orders.open,
        "orders of the last hour, counted": lambda: orders.count_since(UNTIL - HOUR),
        "an hour's passes of all jobs": lambda: statistics.jobs(**recent),
        "31 days' passes of all jobs": lambda: statistics.jobs(
            since=UNTIL - 31 * DAY, until=UNTIL - timedelta(minutes=30)
        ),
        "an hour's model calls": lambda: statistics.model_calls(
            **recent, today=UNTIL.date(), budget_usd=Decimal(2)
        ),
        "the newest candle": lambda: PgMarketData(pool).newest_candle_at(
            market, Timeframe.M1, before=UNTIL + HOUR
        ),
        "when the last signal was": lambda: PgSignals(pool).last_signal_at(market),
        "the newest price of 20 markets, if fresh": lambda: PgMarketData(pool).newest_prices(
            markets, since=UNTIL - HOUR
        ),
        "the portfolio's summary": lambda: portfolio.summary(
            quote="KRW", now=UNTIL, days=[1, 7, 30]
        ),
        "the portfolio's summary of a year": lambda: portfolio.summary(
            quote="KRW", now=UNTIL, days=[1, 7, 30, 366]
        ),
        "a day's equity": lambda: portfolio.equity(
            quote="KRW", since=UNTIL - DAY, until=UNTIL, points=500
        ),
        "a week's equity": lambda: portfolio.equity(
            quote="KRW", since=UNTIL - 7 * DAY, until=UNTIL, points=500
        ),
        "a year's equity": lambda: portfolio.equity(
            quote="KRW", since=UNTIL - year, until=UNTIL, points=500
        ),
        "days": lambda: portfolio.days(quote="KRW", now=UNTIL, limit=PAGE),
        "days, from half a year ago on": lambda: portfolio.days(
            quote="KRW", now=UNTIL, limit=PAGE, before=half_year
        ),
        "days, one market": lambda: portfolio.market_days(market=market, limit=PAGE),
        "days, one market, from half a year ago on": lambda: portfolio.market_days(
            market=market, limit=PAGE, before=half_year
        ),
        "deposits": lambda: PgAccountLists(pool).deposits(limit=PAGE),
        "activity, as health reads it": PgActivity(pool).activity,
    }
