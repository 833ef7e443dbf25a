"""The faults, one row each: how to put it in, what health says meanwhile, what the log holds.

Names as in the operations list (docs/faults.md). What must hold after every one of them stands in
`trial.py` once: healthy again, identities kept, no bug, no dead task, no strange answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults import checks, order_checks
from tests.faults.checks import STORE_AWAY
from tests.faults.injections import (
    Injection,
    cancelled,
    changed,
    clock_off,
    cut,
    locked,
    model,
    network_refuses,
    network_swallows,
    no_connection_left,
    nothing,
    notifications_cut,
    planned,
    postgres_down,
    postgres_killed,
    quota_used_up,
    read_only,
    refusal,
    renamed,
    sessions_terminated,
    stopped,
    together,
    upbit,
    writes_fail,
)
from tests.faults.order_checks import halted_during
from tests.faults.stack import Stack

FaultLane = Literal["exchange", "orders", "outage", "model", "postgres", "process"]
Line = Mapping[str, Any]  #: fields that one log line has
Check = Callable[[Stack, int], Awaitable[None]]  #: with the log's mark before the fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    name: str
    what: str
    lane: FaultLane
    inject: Injection
    sees: Mapping[str, tuple[str, str]] = field(default_factory=dict)  #: component: status, reason
    logs: tuple[Line, ...] = ()  #: each must come while the fault is in
    check: Check | None = None  #: run while the fault is in
    also_afterwards: Check | None = None
    api: frozenset[int] = frozenset()  #: what the API may answer besides 200
    bugs: frozenset[str] = frozenset()  #: messages of bugs that this fault provokes on purpose
    quick: bool = False  #: part of `make test`
    proves: tuple[str, ...] = ()  #: rows of docs/specification.md

    def __str__(self) -> str:
        return f"{self.name} {self.what}"


_GIVEN_UP = {"event": "job", "level": "ERROR", "success": False}
_UNUSABLE = {"event": "ai", "outcome": "unusable", "level": "WARNING"}


def _job(name: str, error: str, **more: Any) -> Line:
    return _GIVEN_UP | {"job": name, "error": error} | more


#: Upbit's answer to GET /v1/accounts of an account without coins.
ONLY_MONEY = (
    '[{"currency": "KRW", "balance": "1000000", "locked": "0", "avg_buy_price": "0",'
    ' "avg_buy_price_modified": true, "unit_currency": "KRW"}]'
)
COLLECT, SIGNAL, SYNC = "collect_market_data", "generate_trading_signal", "sync_pending_orders"

EXCHANGE = (
    Fault(
        name="F08",
        what="401 once",
        lane="exchange",
        inject=planned(refusal(401, "jwt_verification", path="/v1/orders/chance", times=1)),
        logs=(_job(SIGNAL, "ExchangeRefused", code="jwt_verification", attempts=1),),
        quick=True,
    ),
    Fault(
        name="F08",
        what="401 for good",
        lane="exchange",
        inject=planned(refusal(401, "invalid_access_key", path="/v1/accounts")),
        sees={"upbit_api": ("unhealthy", "auth_rejected")},
        logs=(_job(SIGNAL, "ExchangeRefused", code="invalid_access_key"),),
    ),
    Fault(
        name="F08",
        what="orders refused",
        lane="exchange",
        inject=planned(refusal(400, "insufficient_funds_bid", method="POST", path="/v1/orders")),
        sees={"recent_order": ("warning", "last_order_failed")},
        logs=({"event": "order", "status": "FAILED", "reason": "insufficient_funds_bid"},),
    ),
    Fault(
        name="F09",
        what="our address is not allowed",
        lane="exchange",
        inject=planned(refusal(401, "no_authorization_ip", group="default")),
        sees={"upbit_api": ("unhealthy", "auth_rejected")},
    ),
    Fault(
        name="F09",
        what="the key has expired",
        lane="exchange",
        inject=planned(refusal(401, "expired_access_key", group="default")),
        sees={"upbit_api": ("unhealthy", "key_expired")},
    ),
    Fault(
        name="F10",
        what="429 on candles only",
        lane="exchange",
        inject=planned(refusal(429, "too_many_requests", group="candles")),
        sees={"scheduler": ("warning", "loop_dead")},
        logs=(_job(COLLECT, "ExchangeUnavailable", code="too_many_requests"),),
        check=checks.asks_rarely,
    ),
    Fault(
        name="F10",
        what="429 on prices and account",
        lane="exchange",
        inject=planned(
            refusal(429, "too_many_requests", group="ticker"),
            refusal(429, "too_many_requests", group="default"),
        ),
        sees={"upbit_api": ("unhealthy", "rate_limited")},
    ),
    Fault(
        name="F11",
        what="418, blocked for seconds",
        lane="exchange",
        inject=planned(
            {"path": "/v1/ticker", "status": 418, "body": "blocked for 40 sec", "times": 1},
            {"path": "/v1/[!m]*"},  # spoils nothing, counts everything
        ),
        sees={"upbit_api": ("unhealthy", "banned_until")},
        check=checks.sends_nothing_while_banned,
    ),
    Fault(
        name="F55",
        what="our clock and the exchange's differ",
        lane="outage",
        inject=clock_off,
        sees={"upbit_api": ("warning", "clock_skew")},
        check=checks.a_wrong_clock_halts_purchases,
        also_afterwards=checks.trading_goes_on,
    ),
    Fault(
        name="F22",
        what="the exchange holds no coins of ours",
        lane="process",
        # Bought and not sold again, so that there is something to miss a minute later too.
        inject=together(
            model("reckless"),
            planned({"path": "/v1/accounts", "status": 200, "body": ONLY_MONEY}),
        ),
        sees={"recent_order": ("unhealthy", "reconcile_mismatch")},
    ),
    Fault(
        name="F12",
        what="every answer is 503",
        lane="outage",
        proves=("S4.2", "S4.3"),
        inject=upbit(status=503),
        sees={"upbit_api": ("unhealthy", "bad_response")},
        logs=(_job(COLLECT, "ExchangeUnavailable", code="http_503"),),
        also_afterwards=checks.no_minute_is_missing,
    ),
    Fault(
        name="F13",
        what="ten seconds of latency",
        lane="outage",
        inject=upbit(delay_s=10),
        sees={"upbit_api": ("unhealthy", "timeout")},
        logs=(_job(COLLECT, "ExchangeUnavailable", code="timeout"),),
        api=frozenset({503}),
    ),
    Fault(
        name="F14",
        what="the body comes byte by byte",
        lane="outage",
        inject=upbit(drip_s=0.5),
        sees={"upbit_api": ("unhealthy", "timeout")},
        logs=(_job(COLLECT, "ExchangeUnavailable", code="timeout"),),
    ),
    Fault(
        name="F14",
        what="exchange and model are a black hole",
        lane="outage",
        inject=stopped("sandbox"),
        sees={"upbit_api": ("unhealthy", "timeout")},
        logs=(_job(COLLECT, "ExchangeUnavailable", code="timeout"),),
    ),
    Fault(
        name="F01",
        what="orders executed, answers lost, look-ups fail",
        lane="exchange",
        inject=planned(
            {"method": "POST", "path": "/v1/orders", "drop_after": True},
            {"method": "GET", "path": "/v1/order", "status": 503},
        ),
        sees={"recent_order": ("unhealthy", "unknown_orders")},
        logs=({"event": "order", "status": "UNKNOWN", "level": "WARNING"},),
    ),
)

_POST = {"method": "POST", "path": "/v1/orders"}
_LOOK = {"method": "GET", "path": "/v1/order"}
_CANCEL = {"method": "DELETE", "path": "/v1/order"}
#: An hour of the market is twelve seconds here.
_LONG_ORDERS = changed(limit_order_max_age_minutes=10_080)
_IN_DOUBT = {"event": "order", "status": "UNKNOWN", "level": "WARNING"}
_UNKNOWN = {"recent_order": ("unhealthy", "unknown_orders")}


def _odd(oddity: str) -> Line:
    return {"event": "order", "oddity": oddity, "level": "WARNING"}


ORDERS = (
    Fault(
        name="F02",
        what="an order is dropped before executing",
        lane="orders",
        inject=planned(_POST | {"drop_before": True, "times": 1}),
        sees=_UNKNOWN,
        logs=(_IN_DOUBT,),
        check=order_checks.it_is_given_up_as_never_placed,
    ),
    Fault(
        name="F03",
        what="502 after executing an order",
        lane="orders",
        inject=planned(_POST | {"status": 502, "executes": True, "times": 1}),
        logs=(_IN_DOUBT,),
        check=order_checks.it_is_followed_to_its_end,
    ),
    Fault(
        name="F04",
        what="half of each answer about an order",
        lane="orders",
        inject=planned(
            _POST | {"truncate": True, "times": 1}, _LOOK | {"truncate": True, "times": 5}
        ),
        logs=(_IN_DOUBT,),
        check=order_checks.it_is_followed_to_its_end,
    ),
    Fault(
        name="F05",
        what="an order is executed twenty seconds late",
        lane="orders",
        inject=planned(_POST | {"delay_s": 20, "times": 1}),
        sees=_UNKNOWN,
        logs=(_IN_DOUBT,),
        check=order_checks.it_is_followed_to_its_end,
    ),
    Fault(
        name="F06",
        what="an accepted order is not found for ten seconds",
        lane="orders",
        inject=planned(refusal(404, "order_not_found", for_s=10, **_LOOK)),
        logs=(_odd("order_gone"),),
        check=order_checks.it_is_followed_to_its_end,
    ),
    Fault(
        name="F06",
        what="the answer is lost and the order is not found for ten seconds",
        lane="orders",
        inject=planned(
            _POST | {"drop_after": True, "times": 1},
            refusal(404, "order_not_found", for_s=10, **_LOOK),
        ),
        sees=_UNKNOWN,
        logs=(_IN_DOUBT,),
        check=order_checks.it_is_followed_to_its_end,
    ),
    Fault(
        name="F07",
        what="400 to each order",
        lane="orders",
        inject=planned(refusal(400, "under_min_total_bid", **_POST)),
        sees={"recent_order": ("warning", "last_order_failed")},
        logs=({"event": "order", "status": "FAILED", "reason": "under_min_total_bid"},),
    ),
    Fault(
        name="F07",
        what="400 to each look at an order",
        lane="orders",
        inject=planned(
            _POST | {"drop_after": True, "times": 1}, refusal(400, "validation_error", **_LOOK)
        ),
        sees=_UNKNOWN,
        logs=(_IN_DOUBT, _odd("lookup_refused")),
    ),
    Fault(
        name="F16",
        what="the count of requests left is nonsense",
        lane="orders",
        inject=planned(
            {
                "method": "GET",
                "path": "/v1/order*",
                "headers": {"Remaining-Req": "group=nonsense; min=0; sec=0"},
                "every_nth": 2,
            },
            {
                "path": "/v1/*",
                "headers": {"Remaining-Req": "group=\xff; min=; sec=-1e9; sec=999999999999"},
            },
        ),
        logs=({"event": "order", "status": "EXECUTED"},),
    ),
    Fault(
        name="F18",
        what="fills are told twice, backwards, and in part",
        lane="orders",
        inject=together(
            _LONG_ORDERS,
            planned(
                _LOOK | {"trades": "half", "every_nth": 3},
                _LOOK | {"trades": "backwards", "every_nth": 2},
                _LOOK | {"trades": "twice"},
            ),
        ),
        check=order_checks.twenty_parts_then_a_cancel,
    ),
    Fault(
        name="F18",
        what="fills are missing",
        lane="orders",
        inject=planned(_LOOK | {"trades": "missing", "for_s": 5}),
        logs=(_odd("trades_missing"),),
        check=order_checks.it_is_followed_to_its_end,
    ),
    Fault(
        name="F21",
        what="new fields and new words",
        lane="orders",
        inject=planned(
            {
                "path": "/v1/[!m]*",
                "merge": {"brand_new": {"a": [1, None, "\u0000"]}, "smp_type": "brand_new"},
            }
        ),
        logs=({"event": "order", "status": "EXECUTED"},),
    ),
    Fault(
        name="F21",
        what="numbers, nulls and states that cannot be, of orders",
        lane="orders",
        inject=planned(
            *(
                _LOOK | {"merge": odd, "times": 3}
                for odd in (
                    {"state": "frozen"},
                    {"state": None},
                    {"executed_volume": None},
                    {"executed_volume": "NaN"},
                    {"paid_fee": "-0.0001"},
                    {"paid_fee": "1e400"},
                    {"trades_count": 1.5},
                    {"trades": [None]},
                    {"uuid": "a\u0000b"},
                    {"created_at": "yesterday"},
                )
            )
        ),
        logs=(_odd("lookup_unreadable"),),
        check=order_checks.it_is_followed_to_its_end,
    ),
    Fault(
        name="F21",
        what="a fee of a hundred million",
        lane="orders",
        inject=planned(_LOOK | {"merge": {"paid_fee": "99999999"}}),
        sees={"recent_order": ("unhealthy", "reconcile_mismatch")},
        logs=({"event": "order", "status": "UNKNOWN", "reason": "fee_too_high", "level": "ERROR"},),
        also_afterwards=order_checks.trading_is_resumed,
    ),
    Fault(
        name="F21",
        what="a price of null",
        lane="orders",
        # The signal asks for a price of its own, whatever the stream tells.
        inject=planned({"path": "/v1/ticker", "merge": {"trade_price": None}}),
        sees={"upbit_api": ("unhealthy", "bad_response")},
        logs=(_job(SIGNAL, "ExchangeUnavailable", code="bad_answer"),),
    ),
    Fault(
        name="F21",
        what="candles of null",
        lane="orders",
        inject=planned({"path": "/v1/candles/minutes/1", "merge": {"trade_price": None}}),
        logs=(_job(COLLECT, "ExchangeUnavailable", code="bad_answer"),),
        also_afterwards=checks.no_minute_is_missing,
    ),
    Fault(
        name="F21",
        what="a balance that is no number",
        lane="orders",
        inject=planned({"path": "/v1/accounts", "merge": {"balance": "1,000,000"}}),
        sees={"upbit_api": ("unhealthy", "bad_response")},
        logs=(_job(SIGNAL, "ExchangeUnavailable", code="bad_answer"),),
    ),
    Fault(
        name="F23",
        what="the market is suspended",
        lane="orders",
        inject=planned({"path": "/v1/orders/chance", "merge": {"market": {"state": "suspended"}}}),
        logs=(
            {
                "event": "risk",
                "reason": "trading_enabled",
                "detail": "the exchange has suspended this market",
            },
        ),
    ),
    Fault(
        name="F23",
        what="the market goes offline between verdict and order",
        lane="orders",
        inject=planned(refusal(400, "market_offline", **_POST)),
        sees={"recent_order": ("warning", "last_order_failed")},
        logs=({"event": "order", "status": "FAILED", "reason": "market_offline"},),
    ),
    Fault(
        name="F23",
        what="the tick is another one",
        lane="orders",
        inject=planned(
            {"path": "/v1/orderbook/instruments", "merge": {"tick_size": "7000"}},
        ),
        check=order_checks.a_price_off_the_new_tick_is_refused_here,
    ),
    Fault(
        name="F23",
        what="the tick is another one and we do not know it",
        lane="orders",
        inject=planned(refusal(400, "invalid_price_bid", **_POST)),
        check=order_checks.an_order_by_hand_is_refused_there,
    ),
    Fault(
        name="F17",
        what="twenty parts are filled, then the rest is cancelled",
        lane="exchange",
        inject=_LONG_ORDERS,
        check=order_checks.twenty_parts_then_a_cancel,
    ),
    Fault(
        name="F20",
        what="a fill overtakes the cancel",
        lane="exchange",
        inject=together(_LONG_ORDERS, planned(_CANCEL | {"delay_s": 4, "times": 1})),
        check=order_checks.a_fill_overtakes_the_cancel,
    ),
    Fault(
        name="F20",
        what="a part is filled before the cancel",
        lane="exchange",
        inject=together(_LONG_ORDERS, planned(_CANCEL | {"delay_s": 4, "times": 1})),
        check=order_checks.a_part_is_filled_before_the_cancel,
    ),
    Fault(
        name="F19",
        what="the owner trades by hand",
        lane="exchange",
        inject=nothing,
        check=order_checks.the_owners_orders_are_shown_and_never_touched,
    ),
    Fault(
        name="F59",
        what="a halt in a storm of orders",
        lane="model",
        inject=halted_during(nothing),
        check=order_checks.a_halt_is_answered,
    ),
    Fault(
        name="F59",
        what="a halt while answers about orders are lost",
        lane="model",
        inject=halted_during(planned(_POST | {"drop_after": True}, _LOOK | {"status": 503})),
        sees=_UNKNOWN,
        check=order_checks.a_halt_is_answered,
    ),
    Fault(
        name="F59",
        what="a halt while every answer is 503",
        lane="model",
        inject=halted_during(upbit(status=503)),
        sees={"upbit_api": ("unhealthy", "bad_response")},
        check=order_checks.a_halt_is_answered,
        api=frozenset({503}),
    ),
    Fault(
        name="F59",
        what="a halt while PostgreSQL is down",
        lane="model",
        inject=halted_during(postgres_down),
        sees={"database": ("unhealthy", "connection_refused")},
        check=order_checks.a_halt_is_answered,
        api=STORE_AWAY,
    ),
)

MODEL = (
    Fault(
        name="F29",
        what="429 with a wait",
        lane="model",
        proves=("FR-010",),
        inject=together(changed(signal_interval_minutes=30), model("rate_limited", times=1)),
        logs=(
            {"job": SIGNAL, "attempt": 1, "wait_s": 7.5, "code": "rate_limited"},
            {"job": SIGNAL, "success": True, "attempts": 2},
        ),
    ),
    Fault(
        name="F29",
        what="429, the day's quota",
        lane="model",
        inject=quota_used_up,
        sees={"gemini_api": ("unhealthy", "quota_exhausted")},
        logs=(_job(SIGNAL, "ModelQuotaUsedUp", code="quota_exhausted", attempts=1),),
        quick=True,
    ),
    Fault(
        name="F30",
        what="503 three times: 1, 2, 4 seconds",
        lane="model",
        proves=("FR-007",),
        # A period that has room for all four attempts, however slow the machine is.
        inject=together(
            changed(signal_interval_minutes=30),
            planned({"path": "*:generateContent", "status": 503, "times": 3}),
        ),
        logs=(
            *({"job": SIGNAL, "attempt": n, "wait_s": 2.0 ** (n - 1)} for n in (1, 2, 3)),
            {"job": SIGNAL, "success": True, "attempts": 4},
        ),
    ),
    Fault(
        name="F31",
        what="the model hangs",
        lane="model",
        inject=planned({"path": "*:generateContent", "delay_s": 3600, "times": 1}),
        logs=({"event": "ai", "outcome": "error", "why": "timeout"},),
    ),
    *(
        Fault(
            name="F32",
            what=f"the answer is {kind}",
            lane="model",
            inject=model(kind),
            logs=(_UNUSABLE if kind != "empty" else {"event": "ai", "level": "WARNING"},),
            check=checks.no_signal_is_made,
        )
        for kind in ("empty", "safety", "max_tokens", "prose", "nonsense")
    ),
    Fault(
        name="F33",
        what="buys with full confidence, again and again",
        lane="model",
        inject=model("reckless"),
        logs=({"event": "risk", "verdict": "REFUSED", "reason": "max_position"},),
        check=checks.orders_stay_within_the_limits,
    ),
    Fault(
        name="F34",
        what="orders to the reader and HTML in the answer",
        lane="model",
        inject=model("hostile"),
        check=checks.hostile_words_stay_words,
        quick=True,
    ),
    Fault(
        name="F35",
        what="nobody says what it cost",
        lane="model",
        inject=model("no_usage"),
        logs=({"event": "ai", "outcome": "ok", "cost_usd": None, "input_tokens": None},),
    ),
    Fault(
        name="F35",
        what="a model without a price",
        lane="model",
        inject=together(model("renamed"), changed(price_table=[])),
        logs=(
            {"event": "ai", "outcome": "ok", "cost_usd": None},
            {"event": "signal", "model": "gemini-99-unheard-of"},
        ),
    ),
    Fault(
        name="F36",
        what="403",
        lane="model",
        proves=("S5.3",),
        inject=planned(
            {
                "path": "*:generateContent",
                "status": 403,
                "body": '{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}}',
            }
        ),
        sees={
            "gemini_api": ("unhealthy", "auth_rejected"),
            "recent_signal": ("warning", "signal_older_than_1h"),
        },
        logs=(_job(SIGNAL, "ModelRefused", code="auth_rejected", attempts=1),),
    ),
    Fault(
        name="F57",
        what="nearly a megabyte and line breaks in what gets logged",
        lane="model",
        inject=model("huge"),
        logs=({"event": "signal"},),
        check=checks.lines_stay_lines,
    ),
    Fault(
        name="F57",
        what="line breaks and broken UTF-8 in the exchange's refusals",
        lane="model",
        inject=planned(
            {"path": "/v1/accounts", "status": 400, "times": 3, "body_base64": "//79CiJ7Cg=="},
            refusal(400, "a\nb\u2028c" * 40_000, path="/v1/orders/chance", times=3),
        ),
        logs=(_job(SIGNAL, "ExchangeRefused", code="http_400"),),
        check=checks.lines_stay_lines,
    ),
    Fault(
        name="F60",
        what="no more orders in an hour than allowed",
        lane="model",
        inject=together(model("reckless"), changed(max_orders_per_hour=2)),
        logs=({"event": "risk", "verdict": "REFUSED", "reason": "order_rate"},),
        check=checks.two_orders_an_hour_at_most,
    ),
    Fault(
        name="F64",
        what="a proxy repeats our request, key and all",
        lane="model",
        proves=("S7.3", "FR-011"),
        inject=planned(
            {"path": "/v1/accounts", "status": 502, "echo": True, "times": 4},
            {"method": "POST", "path": "/v1/orders", "status": 400, "echo": True, "times": 2},
            {"path": "*:generateContent", "status": 400, "echo": True, "times": 2},
        ),
        logs=({"event": "ai", "outcome": "error"},),
        quick=True,
    ),
)

_DOWN = {"database": ("unhealthy", "connection_refused")}
POSTGRES = (
    Fault(
        name="F37",
        what="kill -9 of PostgreSQL",
        lane="postgres",
        inject=postgres_killed,
        sees=_DOWN,
        api=STORE_AWAY,
    ),
    Fault(
        name="F38",
        what="PostgreSQL is down",
        lane="postgres",
        proves=("S5.2",),
        inject=postgres_down,
        sees=_DOWN,
        check=checks.nothing_is_sent_without_a_database,
        api=STORE_AWAY,
        also_afterwards=checks.no_minute_is_missing,
    ),
    Fault(
        name="F39",
        what="every session is terminated",
        lane="postgres",
        inject=sessions_terminated,
        check=checks.new_sessions_work,
        api=STORE_AWAY,
        quick=True,
    ),
    Fault(
        name="F39",
        what="notifications are cut, all else works",
        lane="postgres",
        inject=together(model("reckless"), notifications_cut),
        sees={"database": ("warning", "notifications_lost")},
        check=checks.a_switch_turned_behind_our_back_holds,
    ),
    Fault(
        name="F40",
        what="PostgreSQL is stopped in its tracks",
        lane="postgres",
        inject=stopped("postgres"),
        sees={"database": ("unhealthy", "timeout|pool_exhausted|connection_refused")},
        api=STORE_AWAY,
    ),
    Fault(
        name="F40",
        what="the way to PostgreSQL is a black hole",
        lane="postgres",
        proves=("S5.2",),
        inject=network_swallows,
        sees={"database": ("unhealthy", "timeout|pool_exhausted|connection_refused")},
        api=STORE_AWAY,
    ),
    Fault(
        name="F38",
        what="the way to PostgreSQL is refused",
        lane="postgres",
        inject=network_refuses,
        sees=_DOWN,
        api=STORE_AWAY,
    ),
    *(
        Fault(
            name="F41",
            what=f"statements on {table} are cancelled",
            lane="postgres",
            inject=cancelled(table),
            logs=(_job(job, "StoreTimeout", code="57014"),),
            api=STORE_AWAY,
        )
        for table, job in (
            ("candles", COLLECT),
            ("trading_signals", SIGNAL),
            ("orders", SYNC),
        )
    ),
    Fault(
        name="F41",
        what="the trading lease cannot be written",
        lane="postgres",
        inject=cancelled("leader"),
        sees={"database": ("unhealthy", "timeout")},
        api=STORE_AWAY,
    ),
    *(
        Fault(
            name="F42",
            what=what,
            lane="postgres",
            inject=writes_fail(state, "market_data", "ai_calls", "decisions", "fills"),
            logs=(_job(COLLECT, "StoreBusy", code=state),),
            api=STORE_AWAY,
            quick=state == "40P01",
        )
        for state, what in (("40001", "serialisation failures"), ("40P01", "deadlocks"))
    ),
    Fault(
        name="F42",
        what="the orders are locked",
        lane="postgres",
        inject=locked("orders", "fills"),
        logs=(_job(SYNC, "StoreTimeout", code="55P03"),),
        api=STORE_AWAY,
    ),
    Fault(
        name="F43",
        what="readers wait for a lock and more come",
        lane="postgres",
        inject=locked("market_data"),
        check=checks.a_crowd_is_turned_away_and_health_answers,
        api=STORE_AWAY,
    ),
    Fault(
        name="F43",
        what="the server has no connection left",
        lane="postgres",
        inject=no_connection_left,
        sees={"database": ("unhealthy", "pool_exhausted")},
        api=STORE_AWAY,
    ),
    Fault(
        name="F44",
        what="a COMMIT is cut before it arrives",
        lane="postgres",
        inject=together(model("reckless"), cut("COMMIT", "before", times=2)),
        check=checks.the_cuts_were_made,
        api=STORE_AWAY,
    ),
    Fault(
        name="F44",
        what="a COMMIT's answer is lost",
        lane="postgres",
        inject=together(model("reckless"), cut("COMMIT", "after", times=2)),
        check=checks.the_cuts_were_made,
        api=STORE_AWAY,
        quick=True,
    ),
    Fault(
        name="F44",
        what="an order is written, the answer is lost",
        lane="postgres",
        inject=cut("INSERT INTO orders", "after"),
        check=checks.the_cuts_were_made,
        api=STORE_AWAY,
    ),
    Fault(
        name="F45",
        what="the disk is full",
        lane="postgres",
        inject=writes_fail("53100", "market_data", "candles", "leader", "ai_calls", "orders"),
        sees={"database": ("unhealthy", "disk_full")},
        api=STORE_AWAY,
    ),
    Fault(
        name="F45",
        what="the database is read-only",
        lane="postgres",
        inject=read_only,
        sees={"database": ("unhealthy", "disk_full")},
        api=STORE_AWAY,
    ),
    Fault(
        name="F51",
        what="a loop raises what nobody foresaw",
        lane="postgres",
        inject=renamed("candles"),
        sees={"scheduler": ("warning", "loop_dead")},
        bugs=frozenset({"the job has a bug or hung", "a handler failed", "request"}),
        api=frozenset({500}),
    ),
)

PROCESS = (
    Fault(
        name="F52",
        what="the process stands still for three seconds",
        lane="process",
        inject=checks.stands_still(3),
    ),
    Fault(
        name="F52",
        what="the process stands still for eight seconds",
        lane="process",
        inject=checks.stood_still(8),
        sees={"scheduler": ("unhealthy", "event_loop_lag")},
    ),
    Fault(
        name="F49",
        what="the process stands still for thirty-five seconds",
        lane="process",
        inject=checks.stands_still(35),
        also_afterwards=checks.the_standstill_was_told,
    ),
    Fault(
        name="F53",
        what="no file descriptor is left",
        lane="process",
        inject=checks.few_descriptors,
        check=checks.callers_find_no_descriptor,
        bugs=frozenset({"socket.accept() out of system resource"}),  # asyncio's own words
        api=STORE_AWAY,
    ),
)

TABLE = (*EXCHANGE, *ORDERS, *MODEL, *POSTGRES, *PROCESS)
