"""The risk rules that a proposal must pass before it becomes an order.

Every rule reads the same `Situation`. It may refuse the order or make it smaller, never larger.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from typing import Final

from service.domain.decimals import decimal_text
from service.domain.markets import Balance, MarketRules, whole_steps
from service.domain.orders import ZERO, Intent, OrderType, Side
from service.domain.positions import Position
from service.domain.signals import Action, Proposal
from service.domain.trading_states import OrderAct, OrderSource, TradingStatus, permits

_LEAST_CONFIDENT: Final = Decimal("0.5")  #: gets the smallest size
_MOST_CONFIDENT: Final = Decimal("0.9")  #: gets the largest size
_HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The operator's limits, read from the settings at one instant."""

    trading_enabled: bool
    min_confidence: Decimal  #: 0..1
    position_size_min_pct: Decimal  #: of the capital, for the least confident signal
    position_size_max_pct: Decimal  #: of the capital, for the most confident signal
    max_position_pct: Decimal  #: of the capital, held in one market at most
    max_orders_per_hour: int  #: in all markets together
    signal_max_age_s: int  #: an older signal is not acted upon


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The facts that a verdict depends on."""

    price: Decimal
    position: Position
    quote: Balance  #: the money of the market
    base: Balance  #: its coins
    rules: MarketRules
    open_orders: int  #: of ours in this market, those of unknown outcome included
    orders_last_hour: int = 0  #: of ours in all markets, in any status
    signal_age_s: float = 0.0
    source: OrderSource = OrderSource.SIGNAL
    status: TradingStatus = TradingStatus.ACTIVE  #: by the halts of this market and of all
    halted: str | None = None  #: the reason of the halt, None without one

    @property
    def capital(self) -> Decimal:
        """Money and coins of this market, in money at the current price."""
        return self.quote.total + self.base.total * self.price


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one rule, stored as evidence."""

    rule: str
    passed: bool
    detail: str  #: one sentence without balances: it is shown, logged and stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    intent: Intent
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Attributes: limit, actual: of an order by hand, what the rule allows and what it found."""

    reason: str  #: name of the rule that refused
    detail: str
    checks: tuple[Check, ...]
    limit: str | None = None
    actual: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The model proposed to do nothing."""

    checks: tuple[Check, ...] = ()


Verdict = Allowed | Refused | Held


@dataclass(frozen=True, slots=True)
class _Draft:
    """An order while the rules size it; `amount` is money for a buy, coins for a sell."""

    side: Side
    amount: Decimal


_Finding = tuple[_Draft, Check]
_Rule = Callable[[_Draft, Proposal, Situation, Limits], _Finding]
#: A rule that asks nothing of the proposal.
_CommonRule = Callable[[_Draft, object, Situation, Limits], _Finding]


def _passes(draft: _Draft, rule: str, detail: str) -> _Finding:
    return draft, Check(rule=rule, passed=True, detail=detail)


def _refuses(draft: _Draft, rule: str, detail: str) -> _Finding:
    return draft, Check(rule=rule, passed=False, detail=detail)


def _enabled(draft: _Draft, _p: object, now: Situation, limits: Limits) -> _Finding:
    act = OrderAct.of(draft.side)
    if not limits.trading_enabled and not permits(TradingStatus.DISABLED, now.source, act):
        return _refuses(draft, "trading_enabled", "trading is switched off (trading_enabled)")
    if not permits(now.status, now.source, act):
        what = "purchases are" if now.status is TradingStatus.REDUCING else "trading is"
        return _refuses(draft, "trading_enabled", f"{what} halted: {now.halted}")
    if not now.rules.active:
        return _refuses(draft, "trading_enabled", "the exchange has suspended this market")
    return _passes(draft, "trading_enabled", "trading is on")


def _confidence(draft: _Draft, proposal: Proposal, _n: Situation, limits: Limits) -> _Finding:
    if proposal.confidence < limits.min_confidence:
        sentence = f"confidence {proposal.confidence} is below {limits.min_confidence}"
        return _refuses(draft, "confidence", sentence)
    return _passes(draft, "confidence", f"confidence {proposal.confidence}")


def _age(draft: _Draft, _p: Proposal, now: Situation, limits: Limits) -> _Finding:
    if now.signal_age_s > limits.signal_max_age_s:
        sentence = f"the signal is older than {limits.signal_max_age_s} s"
        return _refuses(draft, "signal_age", sentence)
    return _passes(draft, "signal_age", "the signal is fresh")


def _rate(draft: _Draft, _p: object, now: Situation, limits: Limits) -> _Finding:
    if now.orders_last_hour >= limits.max_orders_per_hour:
        sentence = f"{now.orders_last_hour} orders in the last hour, the most allowed"
        return _refuses(draft, "order_rate", sentence)
    return _passes(draft, "order_rate", f"{now.orders_last_hour} orders in the last hour")


def _in_flight(draft: _Draft, _p: object, now: Situation, _l: Limits) -> _Finding:
    if now.open_orders:
        return _refuses(
            draft, "open_order", f"{now.open_orders} earlier order(s) here are not settled yet"
        )
    return _passes(draft, "open_order", "no order is open here")


def size_ratio(confidence: Decimal, limits: Limits) -> Decimal:
    """Return the share of capital to buy for, 0..1.

    Linear from position_size_min_pct at confidence 0.5 to position_size_max_pct at 0.9.
    """
    span = _MOST_CONFIDENT - _LEAST_CONFIDENT
    scale = min(max((confidence - _LEAST_CONFIDENT) / span, ZERO), Decimal(1))
    low, high = limits.position_size_min_pct, limits.position_size_max_pct
    return (low + (high - low) * scale) / _HUNDRED


def _size(draft: _Draft, proposal: Proposal, now: Situation, limits: Limits) -> _Finding:
    if draft.side is Side.SELL:
        if not now.position.volume:
            return _refuses(draft, "position_size", "there is no position to sell")
        return _passes(replace(draft, amount=now.position.volume), "position_size", "all of it")
    ratio = size_ratio(proposal.confidence, limits)
    sized = replace(draft, amount=_whole(now.capital * ratio))
    return _passes(sized, "position_size", f"{ratio * _HUNDRED:.2f} % of capital")


def _max_position(draft: _Draft, _p: object, now: Situation, limits: Limits) -> _Finding:
    if draft.side is Side.SELL:
        return _passes(draft, "max_position", "a sale makes the position smaller")
    room = _room(now, limits)
    if room < now.rules.min_funds:
        sentence = f"the position has reached {limits.max_position_pct} % of capital"
        return _refuses(draft, "max_position", sentence)
    cut = replace(draft, amount=min(draft.amount, _whole(room)))
    return _passes(cut, "max_position", f"below {limits.max_position_pct} % of capital")


def _room(now: Situation, limits: Limits) -> Decimal:
    """Return the money for which more may be bought."""
    # All coins of the account count, also those that this service did not buy: the risk is equal.
    return now.capital * limits.max_position_pct / _HUNDRED - now.base.total * now.price


def _balance(draft: _Draft, _p: object, now: Situation, _l: Limits) -> _Finding:
    have = min(draft.amount, _available(draft, now))
    what = "coins" if draft.side is Side.SELL else "money"
    if have <= 0:
        return _refuses(draft, "balance", f"no {what} available for this order")
    return _passes(replace(draft, amount=have), "balance", f"{what} available")


def _available(draft: _Draft, now: Situation) -> Decimal:
    """Return the coins that may be sold, or the money that may be spent before the fee."""
    if draft.side is Side.SELL:
        return whole_steps(now.base.available)
    return _whole(now.quote.available / (1 + now.rules.fee_ratio))


def _order_size(draft: _Draft, _p: object, now: Situation, _l: Limits) -> _Finding:
    funds = draft.amount * (now.price if draft.side is Side.SELL else 1)
    if funds < now.rules.min_funds:
        sentence = f"the order is below the exchange's minimum of {now.rules.min_funds:f}"
        return _refuses(draft, "min_order", sentence)
    if draft.side is Side.BUY:
        draft = replace(draft, amount=min(draft.amount, _whole(now.rules.max_funds)))
    elif funds > now.rules.max_funds:
        draft = replace(draft, amount=whole_steps(now.rules.max_funds / now.price))
    return _passes(draft, "min_order", "within the exchange's order sizes")


#: In this order the rules are stored as evidence; the rule that sizes precedes those that cut.
_RULES: Final[tuple[_Rule, ...]] = (
    _enabled,
    _age,
    _confidence,
    _in_flight,
    _rate,
    _size,
    _max_position,
    _balance,
    _order_size,
)


def decide(proposal: Proposal, now: Situation, limits: Limits) -> Verdict:
    """Return the verdict on `proposal`: an order within every limit, a refusal, or Held.

    The order is a market order: a buy names whole units of money, a sell the coins held.
    """
    if proposal.action is Action.HOLD:
        return Held()
    draft = _Draft(Side(proposal.action.value), ZERO)
    checks: list[Check] = []
    for rule in _RULES:
        draft, check = rule(draft, proposal, now, limits)
        checks.append(check)
        if not check.passed:
            return Refused(reason=check.rule, detail=check.detail, checks=tuple(checks))
    market = now.rules.market
    if draft.side is Side.BUY:
        intent = Intent(market=market, side=Side.BUY, type=OrderType.MARKET, funds=draft.amount)
    else:
        intent = Intent(market=market, side=Side.SELL, type=OrderType.MARKET, volume=draft.amount)
    return Allowed(intent=intent, checks=tuple(checks))


def _held(draft: _Draft, _p: object, now: Situation, _l: Limits) -> _Finding:
    if draft.side is Side.SELL and draft.amount > now.position.volume:
        return _refuses(draft, "position_size", "this service holds less than that")
    return _passes(draft, "position_size", "as asked for")


#: Without those of a signal: its age, its confidence, the size that follows from it.
_RULES_BY_HAND: Final[tuple[_CommonRule, ...]] = (
    _enabled,
    _in_flight,
    _rate,
    _held,
    _max_position,
    _balance,
    _order_size,
)


def decide_by_hand(intent: Intent, now: Situation, limits: Limits) -> Allowed | Refused:
    """Return the verdict on an order that an operator asks for.

    A rule that would make it smaller refuses it: what is sent is what was asked for.
    """
    # A limit order is worth its own price, whatever the market's is.
    at_price = now if intent.price is None else replace(now, price=intent.price)
    amount = intent.volume if intent.side is Side.SELL else _funds(intent)
    draft = _Draft(intent.side, amount or ZERO)
    checks: list[Check] = []
    for rule in _RULES_BY_HAND:
        seen = at_price if rule is _order_size else now
        kept, check = rule(draft, None, seen, limits)
        if check.passed and kept.amount < draft.amount:
            check = Check(rule=check.rule, passed=False, detail=f"too much: {_MOST[check.rule]}")
        checks.append(check)
        if not check.passed:
            limit, actual = _BOUNDS[check.rule](draft, seen, limits)
            return Refused(
                reason=check.rule,
                detail=check.detail,
                checks=tuple(checks),
                limit=limit,
                actual=actual,
            )
    return Allowed(intent=intent, checks=tuple(checks))


#: What a rule that cuts allows at most, without amounts: the sentence is shown and logged.
_MOST: Final = {
    "max_position": "the position would exceed max_position_pct",
    "balance": "the account has less available, the fee included",
    "min_order": "the exchange takes no order of that size",
}


_Bound = Callable[[_Draft, Situation, Limits], tuple[str, str]]


def _state_bound(draft: _Draft, now: Situation, limits: Limits) -> tuple[str, str]:
    """Return trading states, or that the exchange has suspended the market."""
    act = OrderAct.of(draft.side)
    if not (limits.trading_enabled or permits(TradingStatus.DISABLED, now.source, act)):
        return TradingStatus.ACTIVE.value, TradingStatus.DISABLED.value
    is_permitted = permits(now.status, now.source, act)
    return TradingStatus.ACTIVE.value, "SUSPENDED" if is_permitted else now.status.value


def _size_bound(draft: _Draft, now: Situation, _l: Limits) -> tuple[str, str]:
    """Return money, of a sale too."""
    funds = draft.amount * (now.price if draft.side is Side.SELL else 1)
    is_small = funds < now.rules.min_funds
    limit = now.rules.min_funds if is_small else now.rules.max_funds
    return decimal_text(limit), decimal_text(funds)


#: What each rule allows, and what it found. For the risk event, which only signed-in callers see.
_BOUNDS: Final[Mapping[str, _Bound]] = {
    "trading_enabled": _state_bound,
    "open_order": lambda _d, now, _l: ("0", str(now.open_orders)),
    "order_rate": lambda _d, now, limits: (
        str(limits.max_orders_per_hour),
        str(now.orders_last_hour),
    ),
    "position_size": lambda draft, now, _l: (
        decimal_text(now.position.volume),
        decimal_text(draft.amount),
    ),
    "max_position": lambda draft, now, limits: (
        decimal_text(max(_whole(_room(now, limits)), ZERO)),
        decimal_text(draft.amount),
    ),
    "balance": lambda draft, now, _l: (
        decimal_text(max(_available(draft, now), ZERO)),
        decimal_text(draft.amount),
    ),
    "min_order": _size_bound,
}


def _funds(intent: Intent) -> Decimal:
    """Return what a purchase costs at most, without the fee."""
    if intent.price is None or intent.volume is None:
        return intent.funds or ZERO
    return intent.price * intent.volume


def _whole(funds: Decimal) -> Decimal:
    return funds.to_integral_value(ROUND_DOWN)
