"""The read side of the API on real PostgreSQL: shapes, filters, pages, plans."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.domain.instants import rfc3339
from service.domain.markets import Market, Timeframe
from service.domain.orders import OrderStatus, OrderType, Side
from service.domain.risk.verdicts import Check, Refused
from service.domain.signals import Action
from service.domain.stuck_orders import ADVICE, ADVICE_ASIDE
from service.domain.trading_states import TradingStatus
from service.ports.queries import Page, PageKey
from service.store.database.pool import Pool
from service.store.queries.lists import AUDIT, CONFIG_CHANGES, PgLists
from service.store.queries.market import CANDLES, HISTORY, SUMMARY
from service.store.queries.orders import FILLS, ORDERS, STUCK_ARGS
from service.store.queries.page import INSTANT
from service.store.queries.risk import RISK_EVENTS
from service.store.queries.signals import SIGNALS
from service.store.tables.audit import PgAudit
from service.store.tables.market_data import PgMarketData
from service.store.tables.orders import PgOrders
from service.store.tables.settings import PgSettingRows
from service.store.tables.signals import PgSignals
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC, T0, a_candle, a_fill, a_proposal, a_ticker
from tests.integration.store.seeds import (
    CHECKS,
    a_stored_decision,
    a_stored_order,
    a_stored_signal,
    an_allowed,
    execute,
    filled,
    rows,
)

KRW_ETH = Market("KRW", "ETH")
_S = OrderStatus
MINUTE = timedelta(minutes=1)


def read(page: Page | bytes | None) -> Any:
    assert page is not None
    return json.loads(page.items if isinstance(page, Page) else page)


async def every_id(
    turn: Callable[[PageKey | None], Awaitable[Page]], field: str = "id"
) -> list[Any]:
    """Page through to the end, as a client does."""
    ids, before = [], None
    while True:
        page = await turn(before)
        ids += [item[field] for item in read(page)]
        if page.last is None:
            return ids
        before = page.last


# --- market ---------------------------------------------------------------------------------------


async def test_a_price_row_has_exact_decimals_and_utc_instants(pool: Pool) -> None:
    ticker = a_ticker(
        price=Decimal("0.00000120"),
        change_since_close_ratio=Decimal("-0.0123"),
        traded_at=T0 - timedelta(microseconds=1),
    )
    await PgMarketData(pool).add_tickers([ticker], at=T0)

    page = await PgLists(pool).market_history(KRW_BTC, limit=10)

    assert read(page) == [
        {
            "id": 1,
            "market": "KRW-BTC",
            "price": "0.0000012",
            "high": "101000000",
            "low": "99000000",
            "volume_24h": "123.456",
            "change_since_close_ratio": "-0.0123",
            "traded_at": "2026-01-24T08:59:59.999999Z",
            "collected_at": "2026-01-24T09:00:00.000000Z",
        }
    ]
    assert page.last is None


async def test_the_latest_prices_come_in_the_order_asked_for(pool: Pool) -> None:
    market_data, lists = PgMarketData(pool), PgLists(pool)
    for n in range(3):
        await market_data.add_tickers([a_ticker(), a_ticker(market=KRW_ETH)], at=T0 + n * MINUTE)

    latest = read(await lists.market_latest([KRW_ETH, Market("KRW", "XRP"), KRW_BTC]))

    assert [item["id"] for item in latest] == [6, 5]
    assert latest[1] == read(await lists.market_history(KRW_BTC, limit=1))[0]


async def test_the_price_of_one_market_is_the_object_that_the_list_of_all_holds(pool: Pool) -> None:
    market_data, lists = PgMarketData(pool), PgLists(pool)
    for n in range(2):
        await market_data.add_tickers([a_ticker(), a_ticker(market=KRW_ETH)], at=T0 + n * MINUTE)

    price = await lists.market_price(KRW_BTC)

    assert price is not None
    assert b"[" + price + b"]" == await lists.market_latest([KRW_BTC])
    assert await lists.market_price(Market("KRW", "XRP")) is None


async def test_candles_are_paged_by_their_opening(pool: Pool) -> None:
    lists = PgLists(pool)
    openings = [T0 + n * MINUTE for n in range(7)]
    await PgMarketData(pool).put_candles(
        [a_candle(opened_at=at) for at in openings]
        + [a_candle(timeframe=Timeframe.H1), a_candle(market=KRW_ETH)]
    )

    first = await lists.market_candles(KRW_BTC, Timeframe.M1, limit=3)
    opened = await every_id(
        lambda before: lists.market_candles(KRW_BTC, Timeframe.M1, limit=3, before=before),
        "opened_at",
    )

    assert first.last == PageKey(openings[4], 0)
    assert opened == [at.strftime("%Y-%m-%dT%H:%M:%S.000000Z") for at in openings[::-1]]
    assert read(first)[0] == {
        "market": "KRW-BTC",
        "timeframe": "1m",
        "opened_at": "2026-01-24T09:06:00.000000Z",
        "open": "100000000",
        "high": "100200000",
        "low": "99900000",
        "close": "100100000",
        "volume": "1.5",
        "funds": "150000000",
    }


async def test_a_summary_is_computed_from_the_rows_since_then(pool: Pool) -> None:
    market_data = PgMarketData(pool)
    for n, price in enumerate((1, 100, 80, 130, 110)):
        await market_data.add_tickers(
            [a_ticker(price=Decimal(price)), a_ticker(market=KRW_ETH)], at=T0 + n * MINUTE
        )

    summary = read(await PgLists(pool).market_summary(KRW_BTC, since=T0 + MINUTE))

    assert summary == {
        "market": "KRW-BTC",
        "since": "2026-01-24T09:01:00.000000Z",
        "count": 4,
        "first": "100",
        "last": "110",
        "low": "80",
        "high": "130",
        "average": "105",
        "change": "10",
        "change_ratio": "0.1",
        "first_at": "2026-01-24T09:01:00.000000Z",
        "last_at": "2026-01-24T09:04:00.000000Z",
    }


async def test_a_summary_of_nothing_counts_zero(pool: Pool) -> None:
    summary = read(await PgLists(pool).market_summary(KRW_BTC, since=T0))

    assert summary.pop("count") == 0
    assert (summary.pop("market"), summary.pop("since")[:4]) == ("KRW-BTC", "2026")
    assert set(summary.values()) == {None}


async def test_collector_statistics_show_the_longest_gap_of_each_market(pool: Pool) -> None:
    market_data = PgMarketData(pool)
    for second in (-900, 0, 10, 45, 55):
        await market_data.add_tickers([a_ticker()], at=T0 + timedelta(seconds=second))
    await market_data.add_tickers([a_ticker(market=KRW_ETH)], at=T0 - timedelta(hours=1))

    stats = read(
        await PgLists(pool).collector_stats([KRW_BTC, KRW_ETH, Market("KRW", "XRP")], since=T0)
    )

    assert stats == [
        {
            "market": "KRW-BTC",
            "rows": 4,
            "newest_at": "2026-01-24T09:00:55.000000Z",
            "longest_gap_seconds": 35,
        },
        {
            "market": "KRW-ETH",
            "rows": 0,
            "newest_at": "2026-01-24T08:00:00.000000Z",
            "longest_gap_seconds": None,
        },
        {"market": "KRW-XRP", "rows": 0, "newest_at": None, "longest_gap_seconds": None},
    ]


# --- signals --------------------------------------------------------------------------------------


async def test_a_signal_shows_what_became_of_it(pool: Pool) -> None:
    proposal = a_proposal(confidence=Decimal("0.70"), reasoning='up "and" 오름세\n<b>')
    signal = await a_stored_signal(pool, proposal=proposal, market_data_id=42)
    decision_id = await PgSignals(pool).add_decision(
        signal_id=signal.id, verdict=an_allowed(), at=T0
    )
    failed = await a_stored_order(pool, "uat-1", decision_id=decision_id)
    await PgOrders(pool).advance(failed.moved_to(_S.FAILED), seen=_S.PENDING, at=T0)
    order = await a_stored_order(pool, "uat-2", decision_id=decision_id)
    lists = PgLists(pool)

    listed = read(await lists.signals(limit=10))

    assert listed == [
        {
            "id": signal.id,
            "market": "KRW-BTC",
            "action": "BUY",
            "confidence": "0.7",
            "reasoning": proposal.reasoning,
            "model": "gemini-3.8-flash",
            "price": "100000000",
            "market_data_id": 42,
            "trigger": "schedule",
            "created_at": "2026-01-24T09:00:00.000000Z",
            "decision": {"verdict": "ALLOWED", "reason": None, "detail": None, "lapsed": None},
            "order_id": order.id,
        }
    ]
    assert read(await lists.signals_latest([KRW_BTC])) == listed
    assert read(await lists.signal(signal.id)) == listed[0] | {
        "facts": {"price": "100000000"},
        "checks": [check_shown(check) for check in CHECKS],
    }


async def test_a_failed_attempt_is_shown_when_it_was_the_only_one(pool: Pool) -> None:
    decision_id = await a_stored_decision(pool, an_allowed())
    failed = await a_stored_order(pool, "uat-1", decision_id=decision_id)
    await PgOrders(pool).advance(failed.moved_to(_S.FAILED), seen=_S.PENDING, at=T0)

    (signal,) = read(await PgLists(pool).signals(limit=10))

    assert signal["order_id"] == failed.id


async def test_a_signal_without_decision_or_order_says_null(pool: Pool) -> None:
    undecided = await a_stored_signal(pool)
    refused = await a_stored_signal(pool, at=T0 + MINUTE)
    await PgSignals(pool).add_decision(
        signal_id=refused.id, verdict=Refused(reason="balance", detail="none", checks=()), at=T0
    )
    lists = PgLists(pool)

    newest, oldest = read(await lists.signals(limit=10))

    assert newest["decision"] == {
        "verdict": "REFUSED", "reason": "balance", "detail": "none", "lapsed": None,
    }  # fmt: skip
    assert (newest["order_id"], oldest["decision"], oldest["order_id"]) == (None, None, None)
    assert read(await lists.signal(undecided.id))["checks"] == []
    assert read(await lists.signals_latest([KRW_BTC, KRW_ETH])) == [newest]


async def test_an_unknown_signal_or_order_is_none(pool: Pool) -> None:
    assert await PgLists(pool).signal(99) is None
    assert await PgLists(pool).order(99) is None


async def test_signals_are_filtered_by_market_action_and_price_row(pool: Pool) -> None:
    hold = a_proposal(action=Action.HOLD)
    await a_stored_signal(pool, market_data_id=1)
    await a_stored_signal(pool, proposal=hold, market_data_id=2)
    await a_stored_signal(pool, proposal=hold, market=KRW_ETH, market_data_id=2)
    lists = PgLists(pool)

    async def ids(**filters: Any) -> set[int]:
        return {item["id"] for item in read(await lists.signals(limit=10, **filters))}

    assert await ids() == {1, 2, 3}
    assert await ids(market=KRW_BTC) == {1, 2}
    assert await ids(action="HOLD") == {2, 3}
    assert await ids(market=KRW_BTC, action="HOLD") == {2}
    assert await ids(market_data_id=2) == {2, 3}
    assert await ids(market=Market("KRW", "XRP")) == set()


# --- orders and fills -----------------------------------------------------------------------------


async def test_an_allowed_signal_without_an_order_says_why_it_has_none(pool: Pool) -> None:
    signal, signals, lists = await a_stored_signal(pool), PgSignals(pool), PgLists(pool)
    decision_id = await signals.add_decision(signal_id=signal.id, verdict=an_allowed(), at=T0)
    await signals.lapse(
        decision_id,
        market=KRW_BTC,
        reason="signal_age",
        detail="older than 300 s",
        at=T0,
        check=Check(
            rule="signal_age", passed=False, detail="", limit="300", actual="301.000", until=T0
        ),
    )

    (listed,) = read(await lists.signals(limit=10))
    (latest,) = read(await lists.signals_latest([KRW_BTC]))
    (event,) = read(await lists.risk_events(limit=10))

    shown = {"verdict": "ALLOWED", "reason": None, "detail": None, "lapsed": "signal_age"}
    assert listed["decision"] == latest["decision"] == shown
    assert read(await lists.signal(signal.id))["decision"] == shown
    assert (event["event"], event["reason"], event["detail"]) == (
        "LAPSED", "signal_age", {
            "detail": "older than 300 s", "limit": "300", "actual": "301.000",
            "until": "2026-01-24T09:00:00.000Z",
        },
    )  # fmt: skip


async def test_an_order_shows_its_state_fills_and_evidence(pool: Pool) -> None:
    signal = await a_stored_signal(pool)
    decision_id = await PgSignals(pool).add_decision(
        signal_id=signal.id, verdict=an_allowed(), at=T0
    )
    order = await a_stored_order(pool, decision_id=decision_id)
    await filled(
        pool,
        order,
        a_fill(fee=Decimal("50.000000000001")),
        a_fill(trade_uuid="t-2", volume=Decimal("0.002"), funds=Decimal("200100.5")),
    )
    lists = PgLists(pool)

    listed = read(await lists.orders(limit=10))
    fills = read(await lists.fills(limit=10))

    assert listed == [
        {
            "id": order.id,
            "identifier": "uat-1",
            "exchange_uuid": None,
            "market": "KRW-BTC",
            "side": "BUY",
            "type": "MARKET",
            "price": None,
            "volume": None,
            "funds": "100000",
            "status": "EXECUTED",
            "reason": None,
            "executed_volume": "0.003",
            "executed_funds": "300100.5",
            "average_price": "100033500",
            "paid_fee": "100.000000000001",
            "decision_id": decision_id,
            "created_at": "2026-01-24T09:00:00.000000Z",
            "sent_at": "2026-01-24T09:00:00.000000Z",
            "updated_at": "2026-01-24T09:00:00.000000Z",
            "stuck": False,
            "what_to_do": None,
            "origin": "SERVICE",
            "rule": None,
            "quarantined_at": None,
            "quarantine_reason": None,
        }
    ]
    assert fills[1] == {
        "id": 1,
        "trade_uuid": "t-1",
        "order_id": order.id,
        "market": "KRW-BTC",
        "side": "BUY",
        "price": "100000000",
        "volume": "0.001",
        "funds": "100000",
        "fee": "50.000000000001",
        "realised_pnl": "-50.000000000001",
        "traded_at": "2026-01-24T09:00:00.000000Z",
        "recorded_at": "2026-01-24T09:00:00.000000Z",
    }
    assert read(await lists.order(order.id)) == listed[0] | {
        "quarantine_detail": None,
        "signal_id": signal.id,
        "checks": [check_shown(check) for check in CHECKS],
        "fills": fills[::-1],
    }


@pytest.mark.parametrize(
    ("status", "age_s", "is_stuck"),
    [
        (_S.PENDING, 59, False),
        (_S.PENDING, 60, True),
        (_S.UNKNOWN, 60, True),
        (_S.SUBMITTED, 299, False),
        (_S.SUBMITTED, 300, True),
        (_S.PARTIALLY_FILLED, 300, True),
        (_S.EXECUTED, 99_999, False),
        (_S.FAILED, 99_999, False),
    ],
)
async def test_a_stuck_order_says_what_an_operator_can_do(
    pool: Pool, status: OrderStatus, age_s: int, is_stuck: bool
) -> None:
    order = await a_stored_order(pool)
    await execute(pool, "UPDATE orders SET status = %(status)s", {"status": status.value})
    lists, now = PgLists(pool), T0 + timedelta(seconds=age_s)

    (listed,) = read(await lists.orders(limit=1, now=now))
    shown = read(await lists.order(order.id, now=now))

    assert listed["stuck"] == shown["stuck"] == is_stuck
    assert listed["what_to_do"] == shown["what_to_do"] == (ADVICE[status] if is_stuck else None)


async def test_an_order_that_is_put_aside_is_stuck_at_once(pool: Pool) -> None:
    order = await a_stored_order(pool)
    await execute(
        pool,
        "UPDATE orders SET status = 'UNKNOWN', quarantined_at = sent_at,"
        " quarantine_reason = 'over_fill'",
    )
    lists = PgLists(pool)

    (listed,) = read(await lists.orders(limit=1, now=T0))
    shown = read(await lists.order(order.id, now=T0))

    assert listed["what_to_do"] == shown["what_to_do"] == ADVICE_ASIDE


async def test_a_limit_order_on_the_book_is_not_stuck(pool: Pool) -> None:
    order = await a_stored_order(
        pool, type=OrderType.LIMIT, price=Decimal(1), volume=Decimal(1), funds=None
    )
    await execute(pool, "UPDATE orders SET status = 'SUBMITTED'")

    shown = read(await PgLists(pool).order(order.id, now=T0 + timedelta(days=2)))

    assert shown["stuck"] is False


async def test_a_manual_order_without_fills_shows_empty_lists(pool: Pool) -> None:
    order = await a_stored_order(pool, side=Side.SELL, volume=Decimal("0.5"), funds=None)

    shown = read(await PgLists(pool).order(order.id))

    assert (shown["fills"], shown["checks"], shown["signal_id"]) == ([], [], None)
    assert (shown["volume"], shown["average_price"], shown["paid_fee"]) == ("0.5", None, "0")


async def test_orders_and_fills_are_filtered(pool: Pool) -> None:
    lists = PgLists(pool)
    await filled(pool, await a_stored_order(pool, "uat-1"))
    await filled(pool, await a_stored_order(pool, "uat-2", market=KRW_ETH))
    await a_stored_order(pool, "uat-3", market=KRW_ETH)

    async def ids(**filters: Any) -> set[str]:
        return {item["identifier"] for item in read(await lists.orders(limit=10, **filters))}

    assert await ids() == {"uat-1", "uat-2", "uat-3"}
    assert await ids(status=_S.EXECUTED) == {"uat-1", "uat-2"}
    assert await ids(market=KRW_ETH) == {"uat-2", "uat-3"}
    assert await ids(market=KRW_ETH, status=_S.PENDING) == {"uat-3"}
    assert await ids(status=_S.UNKNOWN) == set()
    fills = read(await lists.fills(limit=10, market=KRW_ETH))
    assert [fill["trade_uuid"] for fill in fills] == ["t-uat-2"]


async def test_changes_of_settings_are_listed_with_both_values(pool: Pool) -> None:
    settings, lists = PgSettingRows(pool), PgLists(pool)
    for n, value in enumerate(("0.6", None, ["x"])):
        await settings.change(
            {"a": value}, defaults={"a": 1}, by="cli", at=T0 + n * MINUTE, request_id="r-1"
        )
    await settings.change({"b": True}, defaults={"b": False}, by="cli", at=T0, request_id=None)

    of_a = read(await lists.config_changes(limit=10, key="a"))

    assert [(c["old_value"], c["new_value"]) for c in of_a] == [
        (None, ["x"]),
        ("0.6", None),
        (1, "0.6"),
    ]
    assert of_a[0] == {
        "id": 3,
        "key": "a",
        "old_value": None,
        "new_value": ["x"],
        "changed_by": "cli",
        "changed_at": "2026-01-24T09:02:00.000000Z",
        "request_id": "r-1",
    }
    assert len(read(await lists.config_changes(limit=10))) == 4


async def test_risk_events_are_listed_with_what_they_are_of(pool: Pool) -> None:
    state, lists = PgTradingState(pool), PgLists(pool)
    what: dict[str, Any] = {"reason": "books", "actor": "system:books", "market": KRW_BTC}
    await state.halt(**what, kind=TradingStatus.REDUCING, at=T0, detail={"coins": 2})
    await state.resume(**what, at=T0 + MINUTE, detail={})

    newest, oldest = read(await lists.risk_events(limit=10))

    assert oldest == {
        "id": 1,
        "event": "HALTED",
        "state": "REDUCING",
        "market": "KRW-BTC",
        "reason": "books",
        "actor": "system:books",
        "detail": {"coins": 2},
        "occurred_at": "2026-01-24T09:00:00.000000Z",
    }
    assert newest["event"] == "RESUMED"
    assert [e["id"] for e in read(await lists.risk_events(limit=10, event="HALTED"))] == [1]


# --- pages ----------------------------------------------------------------------------------------

# Several rows share an instant, so that a page may end between them.
MANY_PRICES = """
    INSERT INTO market_data (
           market, price, high, low, volume_24h, change_since_close_ratio, traded_at, collected_at)
    SELECT CASE WHEN n %% 5 = 0 THEN 'KRW-ETH' ELSE 'KRW-BTC' END, 1, 1, 1, 0, 0, %(at)s,
           %(at)s + (n / 4) * interval '1 microsecond'
      FROM generate_series(1, %(count)s) AS n
"""
MANY_CALLS = """
    INSERT INTO ai_calls (purpose, model, started_at, duration_ms, outcome)
    VALUES ('signal', 'm', %(at)s, 1, 'ok')
"""
MANY_SIGNALS = """
    INSERT INTO trading_signals (
           market, action, confidence, reasoning, model, price, market_data_id, ai_call_id,
           trigger, facts, created_at)
    SELECT 'KRW-' || n %% 20, 'BUY', 0.7, '', 'm', 1, n, 1, 'schedule', '{}',
           %(at)s + (n / 4) * interval '1 microsecond'
      FROM generate_series(1, %(count)s) AS n
"""
# Statuses as they are in a used database: nearly all orders are done.
MANY_ORDERS = """
    INSERT INTO orders (
           identifier, market, side, type, funds, status, leader_epoch, created_at, sent_at,
           updated_at)
    SELECT 'uat-' || n, 'KRW-' || n %% 20, 'BUY', 'MARKET', 1,
           CASE WHEN n %% 100 = 0 THEN 'FAILED' WHEN n %% 1000 = 1 THEN 'UNKNOWN'
                ELSE 'EXECUTED' END,
           1, %(at)s + (n / 4) * interval '1 microsecond', %(at)s, %(at)s
      FROM generate_series(1, %(count)s) AS n
"""
MANY_CANDLES = """
    INSERT INTO candles (market, timeframe, opened_at, open, high, low, close, volume, funds)
    SELECT CASE WHEN n %% 5 = 0 THEN 'KRW-ETH' ELSE 'KRW-BTC' END,
           CASE WHEN n %% 2 = 0 THEN '1m' ELSE '1h' END,
           %(at)s + n * interval '1 minute', 1, 1, 1, 1, 0, 0
      FROM generate_series(1, %(count)s) AS n
"""
MANY_FILLS = """
    INSERT INTO fills (
           trade_uuid, order_id, market, side, price, volume, funds, fee, realised_pnl, traded_at,
           recorded_at)
    SELECT 't-' || id, id, market, side, 1, 1, 1, 0, 0, created_at, created_at
      FROM orders
"""
MANY_CHANGES = """
    INSERT INTO config_changes (key, new_value, changed_by, changed_at)
    SELECT 'key-' || n %% 20, '1', 'cli', %(at)s + (n / 4) * interval '1 microsecond'
      FROM generate_series(1, %(count)s) AS n
"""


MANY_RISK_EVENTS = """
    INSERT INTO risk_events (event, reason, actor, at)
    SELECT CASE WHEN n %% 100 = 0 THEN 'RESUMED' ELSE 'REFUSED' END, 'order_rate', 'system:orders',
           %(at)s + (n / 4) * interval '1 microsecond'
      FROM generate_series(1, %(count)s) AS n
"""
MANY_ACTS = """
    INSERT INTO audit_log (at, actor, action, subject)
    SELECT %(at)s + (n / 4) * interval '1 microsecond', 'cli', 'order.sync', 'orders'
      FROM generate_series(1, %(count)s) AS n
"""


async def fill_tables(pool: Pool, count: int) -> None:
    for sql in (
        MANY_PRICES,
        MANY_CANDLES,
        MANY_CALLS,
        MANY_SIGNALS,
        MANY_ORDERS,
        MANY_FILLS,
        MANY_CHANGES,
        MANY_RISK_EVENTS,
        MANY_ACTS,
    ):
        await execute(pool, sql, {"at": T0, "count": count})


@pytest.mark.parametrize("limit", [1, 7, 40, 100])
async def test_paging_meets_every_row_exactly_once(pool: Pool, limit: int) -> None:
    await fill_tables(pool, 40)
    lists = PgLists(pool)
    newest_first = list(range(40, 0, -1))

    async def prices(before: PageKey | None) -> Page:
        return await lists.market_history(KRW_BTC, limit=limit, before=before)

    async def signals(before: PageKey | None) -> Page:
        return await lists.signals(limit=limit, before=before)

    async def orders(before: PageKey | None) -> Page:
        return await lists.orders(limit=limit, before=before)

    async def fills(before: PageKey | None) -> Page:
        return await lists.fills(limit=limit, before=before)

    async def changes(before: PageKey | None) -> Page:
        return await lists.config_changes(limit=limit, before=before)

    async def risk_events(before: PageKey | None) -> Page:
        return await lists.risk_events(limit=limit, before=before)

    assert await every_id(prices) == [n for n in newest_first if n % 5]
    for turn in (signals, orders, fills, changes, risk_events):
        assert await every_id(turn) == newest_first


async def test_rows_that_arrive_while_paging_neither_hide_nor_repeat_others(pool: Pool) -> None:
    market_data, lists = PgMarketData(pool), PgLists(pool)
    for n in range(10):
        await market_data.add_tickers([a_ticker()], at=T0 + n * MINUTE)
    arrivals = iter(range(10, 100))

    async def turn(before: PageKey | None) -> Page:
        await market_data.add_tickers([a_ticker()] * 2, at=T0 + next(arrivals) * MINUTE)
        return await lists.market_history(KRW_BTC, limit=3, before=before)

    met = await every_id(turn)

    assert met == [*range(12, 0, -1)]


async def test_a_page_that_ends_with_the_last_row_has_no_next(pool: Pool) -> None:
    await fill_tables(pool, 40)

    page = await PgLists(pool).orders(limit=40)

    assert (len(read(page)), page.last) == (40, None)


async def test_an_empty_list_is_an_empty_array(pool: Pool) -> None:
    lists = PgLists(pool)

    for page in (
        await lists.market_history(KRW_BTC, limit=5),
        await lists.market_candles(KRW_BTC, Timeframe.M1, limit=5),
        await lists.signals(limit=5),
        await lists.orders(limit=5),
        await lists.fills(limit=5),
        await lists.config_changes(limit=5),
    ):
        assert page == Page(items=b"[]", last=None)
    assert await lists.market_latest([]) == b"[]"
    assert await lists.signals_latest([]) == b"[]"
    assert await lists.collector_stats([], since=T0) == b"[]"


async def test_the_key_of_a_page_is_exact_and_in_utc(pool: Pool) -> None:
    at = datetime(2026, 1, 24, 9, 0, 0, 123457, tzinfo=UTC)
    await PgMarketData(pool).add_tickers([a_ticker()], at=T0)
    await PgMarketData(pool).add_tickers([a_ticker()], at=at)

    page = await PgLists(pool).market_history(KRW_BTC, limit=1)

    assert page.last == PageKey(at, 2)
    assert page.last.at.utcoffset() == timedelta()


# --- plans ----------------------------------------------------------------------------------------


def reads(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (node type, index or table) of every node that reads a table, outermost first."""
    name = plan.get("Index Name") or plan.get("Relation Name")
    own = [(plan["Node Type"], name)] if name else []
    return own + [read for child in plan.get("Plans", ()) for read in reads(child)]


def rows_read(plan: Mapping[str, Any]) -> list[int]:
    """Return how many rows each node took out of a table."""
    own = [int(plan["Actual Rows"] * plan["Actual Loops"])] if "Relation Name" in plan else []
    return own + [number for child in plan.get("Plans", ()) for number in rows_read(child)]


NO_KEY = {"before_at": None, "before_id": None}
KEY = {"before_at": T0 + timedelta(microseconds=1000), "before_id": 4001}
SIGNAL_FILTERS = {"market": None, "action": None, "market_data_id": None}
ORDER_FILTERS = {"market": None, "status": None, "now": T0, **STUCK_ARGS}


@pytest.mark.proves("S3.1", "S3.2", "S3.3", "FR-002")
async def test_every_list_reads_its_index_and_never_the_whole_table(pool: Pool) -> None:
    await fill_tables(pool, 20_000)
    await execute(pool, "ANALYZE")

    async def first_read(sql: str, **args: object) -> tuple[str, str]:
        given = {"limit": 50, "instant": INSTANT} | args
        ((plan,),) = await rows(pool, "EXPLAIN (FORMAT JSON) " + sql, given)
        lines = reads(plan[0]["Plan"])
        assert not [line for line in lines if line[0] == "Seq Scan" and line[1] != "decisions"]
        return lines[0]

    for key in (NO_KEY, KEY):
        for status in ("FAILED", "UNKNOWN", "PENDING"):
            assert await first_read(ORDERS, **ORDER_FILTERS | {"status": status} | key) == (
                "Index Scan",
                "orders_status_created_at",
            )
        # Nearly all orders are EXECUTED: walking them by time is as good as by status and time.
        kind, _ = await first_read(ORDERS, **ORDER_FILTERS | {"status": "EXECUTED"} | key)
        assert kind == "Index Scan"
        for sql, args, index in (
            (ORDERS, ORDER_FILTERS, "orders_created_at"),
            (ORDERS, ORDER_FILTERS | {"market": "KRW-3"}, "orders_market_created_at"),
            (SIGNALS, SIGNAL_FILTERS, "trading_signals_created_at"),
            (
                SIGNALS,
                SIGNAL_FILTERS | {"market": "KRW-3"},
                "trading_signals_market_created_at",
            ),
            (SIGNALS, SIGNAL_FILTERS | {"market_data_id": 77}, "trading_signals_market_data_id"),
            (FILLS, {"market": None}, "fills_traded_at"),
            (FILLS, {"market": "KRW-3"}, "fills_market_traded_at"),
            (RISK_EVENTS, {"event": None}, "risk_events_at"),
            (RISK_EVENTS, {"event": "RESUMED"}, "risk_events_event_at"),
            (AUDIT, {"action": None}, "audit_log_at"),
            (CONFIG_CHANGES, {"key": None}, "config_changes_changed_at"),
            (CONFIG_CHANGES, {"key": "key-3"}, "config_changes_key_changed_at"),
            (HISTORY, {"market": "KRW-BTC"}, "market_data_2026_01_pkey"),
            (CANDLES, {"market": "KRW-BTC", "timeframe": "1m"}, "candles_pkey"),
        ):
            assert await first_read(sql, **args | key) == ("Index Scan", index)


BY_STATUS = ORDER_FILTERS | NO_KEY | {"status": "FAILED", "limit": 50, "instant": INSTANT}
BY_PRICE = SIGNAL_FILTERS | NO_KEY | {"market_data_id": 77, "limit": 50, "instant": INSTANT}


async def explained(pool: Pool, sql: str, args: Mapping[str, object]) -> dict[str, Any]:
    """Run `sql` and return its plan with what it really read."""
    explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
    ((plan,),) = await rows(pool, explain + sql, args)
    whole: dict[str, Any] = plan[0]["Plan"]
    return whole


def pages_read(plan: Mapping[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.proves("S3.1", "S3.3", "FR-002", "SC-003")
async def test_orders_of_one_status_are_found_by_an_index_that_saves_most_of_the_reading(
    pool: Pool,
) -> None:
    """S3.1 and S3.3: newest first, among 20,000 orders."""
    await fill_tables(pool, 20_000)
    await execute(pool, "ANALYZE")

    with_index = await explained(pool, ORDERS, BY_STATUS)
    await execute(pool, "DROP INDEX orders_status_created_at")
    without = await explained(pool, ORDERS, BY_STATUS)

    assert reads(with_index) == [("Index Scan", "orders_status_created_at")]
    assert rows_read(with_index) == [51]
    assert pages_read(with_index) * 2 < pages_read(without)
    assert with_index["Total Cost"] * 2 < without["Total Cost"]


@pytest.mark.proves("S3.2", "S3.3", "FR-002", "SC-003")
async def test_signals_of_a_price_are_found_by_its_id_through_an_index(pool: Pool) -> None:
    """S3.2 and S3.3, among 20,000 signals."""
    await fill_tables(pool, 20_000)
    await execute(pool, "ANALYZE")

    with_index = await explained(pool, SIGNALS, BY_PRICE)
    await execute(pool, "DROP INDEX trading_signals_market_data_id")
    without = await explained(pool, SIGNALS, BY_PRICE)

    assert ("Index Scan", "trading_signals_market_data_id") in reads(with_index)
    assert pages_read(with_index) * 10 < pages_read(without)


async def test_a_summary_reads_its_rows_once(pool: Pool) -> None:
    await fill_tables(pool, 20_000)
    await execute(pool, "ANALYZE")

    plan = await explained(pool, SUMMARY, {"market": "KRW-ETH", "since": T0, "instant": INSTANT})

    # One row each for the first and the last price, all of the market's for the rest.
    assert sorted(rows_read(plan)) == [1, 1, 4_000]


# --- the audit log --------------------------------------------------------------------------------


async def test_the_audit_log_pages_newest_first_and_by_action(pool: Pool) -> None:
    audit = PgAudit(pool)
    for n, action in enumerate(("order.place", "job.run", "order.place")):
        await audit.add(
            actor="admin@127.0.0.1",
            action=action,
            subject="KRW-BTC",
            detail={"volume": "0.1"},
            request_id="r-1",
            at=T0 + n // 2 * MINUTE,
        )
    lists = PgLists(pool)

    every = await every_id(lambda before: lists.audit(limit=2, before=before))
    placed = read(await lists.audit(limit=10, action="order.place"))

    assert every == [3, 2, 1]
    assert [row["id"] for row in placed] == [3, 1]
    assert placed[1] == {
        "id": 1,
        "occurred_at": "2026-01-24T09:00:00.000000Z",
        "actor": "admin@127.0.0.1",
        "action": "order.place",
        "subject": "KRW-BTC",
        "detail": {"volume": "0.1"},
        "request_id": "r-1",
    }


def check_shown(check: Check) -> dict[str, object]:
    """Return a rule's result as the API shows it."""
    return {
        "rule": check.rule,
        "passed": check.passed,
        "detail": check.detail,
        "limit": check.limit,
        "actual": check.actual,
        "until": None if check.until is None else rfc3339(check.until),
    }
