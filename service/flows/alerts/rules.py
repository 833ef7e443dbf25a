"""The table of events that become alerts. docs/alerts.md says the same.

Texts are made of names, closed lists and our own identifiers. They never contain text from outside
or an amount of money.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from service.domain.alerts import Alert, Notice, Recovery, Severity
from service.domain.orders import ExitRule, Order, OrderOrigin, OrderStatus
from service.domain.trading_states import KEY_GUARD, KEY_REJECTED, RIGHT_REJECTED
from service.ports.settings import SettingChange
from service.ports.store import RiskEvent
from service.settings.table import TRADING_ENABLED

_KEY_HALTS: Final = frozenset({KEY_REJECTED, RIGHT_REJECTED})
SEEDED_BY: Final = "system:"  #: settings that the service stores at its first start are no alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Args: over: title of the recovery; None for an event without duration."""

    key: str
    severity: Severity
    title: str
    body: str
    over: str | None


def _unhealthy(severity: Severity) -> Rule:
    return Rule(
        key="component:{component}",
        severity=severity,
        title="{component} is unhealthy",
        body="{message}",
        over="{component} is healthy again",
    )


def _halted(key: str, what: str, effect: str) -> Rule:
    return Rule(
        key=key,
        severity="critical",
        title=f"{what} halted",
        body=f"Reason: {{reason}}. {effect}",
        over=f"{what} no longer halted",
    )


RULES: Final[Mapping[str, Rule]] = {
    "job_given_up": Rule(
        key="job:{job}",
        severity="error",
        title="Job {job} fails",
        body="{error}, given up after {attempts} attempt(s). The next period starts as usual.",
        over="Job {job} works again",
    ),
    "order_unknown": Rule(
        key="order:{identifier}:unknown",
        severity="warning",
        title="A {side} order for {market} may or may not be on the book",
        body="Order {identifier} is being looked up and is never sent again.",
        over="The fate of the {side} order for {market} is known",
    ),
    "order_stuck": Rule(
        key="order:{identifier}:stuck",
        severity="error",
        title="An order is not final long after it should be",
        body="Order {identifier} ({side} {market}) is {status}, and its market makes no other"
        " order. {advice}",
        over="An order that was not final is final",
    ),
    "order_failed": Rule(
        key="order:{identifier}:failed",
        severity="warning",
        title="A {side} order for {market} failed",
        body="Order {identifier} was never on the book: {reason}.",
        over=None,
    ),
    "stop_executed": Rule(
        key="order:{identifier}:executed",
        severity="warning",
        title="{rule} sold in {market}",
        body="Order {identifier} is executed. GET /api/v1/trading/orders/{order_id} shows the"
        " numbers, GET /api/v1/risk/events?event=EXIT the price that reached the limit.",
        over=None,
    ),
    "position_unprotected": Rule(
        key="position:{market}:unprotected",
        severity="critical",
        title="The position in {market} is unprotected",
        body="The database is away and no stop can sell it: {reason}. Bring the database back, or"
        " sell at the exchange.",
        over="The position in {market} is protected again",
    ),
    "exit_journal_damaged": Rule(
        key="exit_journal:damaged",
        severity="error",
        title="The exit journal is damaged",
        body="{cause}. A sale that it lacks is found in the exchange's lists. The file is kept"
        " beside the new one.",
        over=None,
    ),
    "position_unwatched": Rule(
        key="position:{market}:unwatched",
        severity="critical",
        title="The position in {market} is not watched",
        body="No price of it could be believed for 30 seconds: its stop-loss cannot act. Check the"
        " exchange, or sell by hand.",
        over="The position in {market} is watched again",
    ),
    "exit_undone": Rule(
        key="position:{market}:exit",
        severity="critical",
        title="A stop of {market} is breached and not all is sold",
        body="A rule of protection has been selling for 30 seconds. It goes on; the log and"
        " GET /api/v1/trading/orders say what is in its way.",
        over="The exit of {market} is done",
    ),
    "order_quarantined": Rule(
        key="order:{identifier}:quarantined",
        severity="critical",
        title="A {side} order for {market} is put aside",
        body="What the exchange says of order {identifier} cannot be booked: {reason}. Its market"
        " makes no purchase. GET /api/v1/trading/orders/{order_id} shows the numbers.",
        over="The {side} order for {market} is settled after all",
    ),
    "order_recovered": Rule(
        key="order:{identifier}:recovered",
        severity="critical",
        title="A {side} order for {market} turned up at the exchange",
        body="Order {identifier} counted as failed or had no row. It is booked now. Its market"
        " makes no purchase until an operator resumes it. Should another installation trade on this"
        " account, end one of them: each takes in the other's orders.",
        over=None,
    ),
    "model_unusable": Rule(
        key="model:unusable",
        severity="warning",
        title="The model's answers are unusable",
        body="{count} in a row, no signal was made of them: {why}.",
        over="The model's answers are usable again",
    ),
    "disk_filling": Rule(
        key="machine:disk:filling",
        severity="warning",
        title="The disk of the data directory fills up",
        body="More than 70 % are used. GET /api/v1/admin/system shows how much is free.",
        over="The disk of the data directory has room again",
    ),
    "disk_nearly_full": Rule(
        key="machine:disk:nearly_full",
        severity="error",
        title="The disk of the data directory is nearly full",
        body="More than 90 % are used. A full disk stops the database, and with it all orders."
        " Make room.",
        over="The disk of the data directory is no longer nearly full",
    ),
    "model_budget_near": Rule(
        key="model:budget:{day}:near",
        severity="warning",
        title="The model's budget of the day is nearly used up",
        body="Four fifths of ai_daily_budget_usd are used on {day}.",
        over=None,
    ),
    "model_budget_used_up": Rule(
        key="model:budget:{day}:used_up",
        severity="error",
        title="The model's budget of the day is used up",
        body="No signal is made until {day} is over in Korea, or until ai_daily_budget_usd is"
        " raised. Orders and positions are followed as before.",
        over=None,
    ),
    "database_unhealthy": _unhealthy("critical"),
    "scheduler_unhealthy": _unhealthy("critical"),
    "upbit_api_unhealthy": _unhealthy("error"),
    "gemini_api_unhealthy": _unhealthy("error"),
    "recent_signal_unhealthy": _unhealthy("error"),
    "recent_order_unhealthy": _unhealthy("error"),
    "trading_halted": _halted(
        "trading:halted", "Trading is", "No order is made until trading resumes."
    ),
    "trading_reducing": _halted(
        "trading:reducing",
        "Purchases are",
        "Sales go on, nothing is bought until trading resumes.",
    ),
    "key_rejected": Rule(
        key="trading:key",
        severity="critical",
        title="The exchange rejects our key or this machine's address",
        body="It answers {refusal}. Purchases are halted until it accepts them; sales and cancels"
        " are refused as well. Check UPBIT_ACCESS_KEY, its expiry and its allowed addresses.",
        over="The exchange accepts our key again",
    ),
    "right_rejected": Rule(
        key="trading:right",
        severity="critical",
        title="The exchange refuses {endpoint} to our key",
        body="It answers {refusal}. Purchases are halted until it is accepted; the key needs the"
        " rights to view assets, view orders and order.",
        over="The exchange allows our key again what it refused",
    ),
    "market_halted": _halted(
        "trading:halted:{market}",
        "Trading of {market} is",
        "No order is made in this market until it resumes.",
    ),
    "market_reducing": _halted(
        "trading:reducing:{market}",
        "Purchases of {market} are",
        "Sales go on, nothing is bought in this market until it resumes.",
    ),
    "daily_loss_near": Rule(
        key="loss:{quote}:{day}",
        severity="warning",
        title="The day's loss in {quote} is near its limit",
        body="On {day} (Korea) 80 % of daily_loss_limit_pct are lost. At the limit purchases stop"
        " for the rest of the day.",
        over=None,
    ),
    "feed_lost": Rule(
        key="feed",
        severity="warning",
        title="The exchange's stream of prices is away",
        body="Prices are asked for every ten seconds instead, so what acts on them acts later.",
        over="The exchange's stream of prices is back",
    ),
    "market_unheard": Rule(
        key="feed:{market}",
        severity="warning",
        title="The exchange's stream tells no price of {market}",
        body="Its price is asked for every ten seconds instead. Is it still traded there?",
        over="The exchange's stream tells prices of {market}",
    ),
    "lease_lost": Rule(
        key="trading:lease",
        severity="warning",
        title="This process no longer trades",
        body="It has lost the trading lease: another process took over, or the database was away.",
        over=None,
    ),
    "trading_switched": Rule(
        key="setting:trading_enabled:{switch}:{when}",
        severity="warning",
        title="Trading is switched {switch}",
        body="The setting trading_enabled was changed by {by}.",
        over=None,
    ),
}


_RULE_NAMES: Final[Mapping[ExitRule | None, str]] = {
    ExitRule.STOP_LOSS: "The stop-loss",
    ExitRule.TRAILING_STOP: "The trailing stop",
    ExitRule.TAKE_PROFIT: "The take-profit",
}


def alert(event: str, *, at: datetime, **values: object) -> Alert:
    """Return the alert of `event`; `values` fill in its rule's texts."""
    rule = RULES[event]
    return Alert(
        key=rule.key.format_map(values),
        severity=rule.severity,
        title=rule.title.format_map(values),
        body=rule.body.format_map(values),
        at=at,
        lasts=rule.over is not None,
    )


def recovery(event: str, *, at: datetime, **values: object) -> Recovery:
    """Return the recovery of `event`. Raises: ValueError, for an event without duration."""
    rule = RULES[event]
    if rule.over is None:
        raise ValueError(f"{event} has no duration, so it has no recovery")
    return Recovery(key=rule.key.format_map(values), title=rule.over.format_map(values), at=at)


# --- events that are rows: their alerts are stored in the same transaction --------------------


def order_notices(order: Order, seen: OrderStatus, at: datetime) -> Sequence[Notice]:
    """Return the notices of `order`, which was in status `seen` until now."""
    aside = order.quarantine
    notices: list[Notice] = []
    values = {
        "identifier": order.identifier,
        "order_id": order.id,
        "market": order.intent.market,
        "side": order.intent.side.value,
        "rule": _RULE_NAMES.get(order.rule, ""),
        "reason": (aside.reason if aside else order.reason) or "no reason given",
    }

    def tell(event: str) -> None:
        notices.append(alert(event, at=at, **values))

    def end(event: str) -> None:
        notices.append(recovery(event, at=at, **values))

    if seen is OrderStatus.FAILED and order.origin is OrderOrigin.RECOVERED:
        tell("order_recovered")
    if aside is not None and aside.at == at:
        tell("order_quarantined")
    if order.status is seen:
        return notices
    if seen is OrderStatus.UNKNOWN:
        end("order_unknown")
        end("order_quarantined")
    if order.status is OrderStatus.UNKNOWN and aside is None:
        tell("order_unknown")
    if order.status is OrderStatus.FAILED:
        tell("order_failed")
    if order.rule is not None and order.status is OrderStatus.EXECUTED:
        tell("stop_executed")
    return notices


def risk_notices(event: RiskEvent) -> Sequence[Notice]:
    """Return one problem for each kind of halt and market; it is over with the last such halt."""
    name = f"{'trading' if event.market is None else 'market'}_{event.kind.value.lower()}"
    if event.event == "HALTED":
        halted = alert(name, at=event.at, reason=event.reason, market=event.market)
        return (halted, *_key_notices(event))
    ended = (recovery(name, at=event.at, market=event.market),) if event.is_last else ()
    return (*ended, *_key_notices(event))


def _key_notices(event: RiskEvent) -> Sequence[Notice]:
    """Return what else is told of a halt because the exchange rejects us: it has its remedy."""
    if event.reason not in _KEY_HALTS:
        return ()
    if event.event == "RESUMED":  # by an operator too
        return (recovery(event.reason, at=event.at),)
    if event.actor != KEY_GUARD:
        return ()
    values = {name: event.detail.get(name) for name in ("refusal", "endpoint")}
    return (alert(event.reason, at=event.at, **values),)


def loss_notice(quote: str, day: date, at: datetime) -> Notice:
    return alert("daily_loss_near", at=at, quote=quote, day=day.isoformat())


def setting_notices(change: SettingChange) -> Sequence[Notice]:
    if change.key != TRADING_ENABLED.name or change.changed_by.startswith(SEEDED_BY):
        return ()
    if change.old == change.new:  # the default was stored: the value did not change
        return ()
    # Each switch is an alert of its own, however soon it follows the last one.
    values = {"switch": "on" if change.new else "off", "by": change.changed_by}
    at = change.changed_at
    return (alert("trading_switched", at=at, **values | {"when": at.isoformat()}),)
