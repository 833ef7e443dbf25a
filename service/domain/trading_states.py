"""Say what each trading state permits.

One table: the verdict, the insert of the order and the last step before the request apply it.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import product
from typing import Final, Literal

from service.domain.orders import Side


class TradingStatus(StrEnum):
    """Mildest first; what one permits, every milder one permits too."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"  #: no purchases; ends by its condition, or by an operator
    DISABLED = "DISABLED"  #: the setting trading_enabled is false
    HALTED = "HALTED"  #: ends by an operator only
    STANDBY = "STANDBY"  #: this process does not trade


HaltKind = Literal[TradingStatus.REDUCING, TradingStatus.HALTED]
HALT_KINDS: Final[Mapping[str, HaltKind]] = {
    "REDUCING": TradingStatus.REDUCING,
    "HALTED": TradingStatus.HALTED,
}
#: `condition`: the rule that halted resumes too; an operator may do so earlier.
Ends = Literal["operator", "condition"]
#: Reasons of the halts by a limit of the operator's; both are REDUCING and end by condition.
DAILY_LOSS: Final = "daily_loss_limit"
VOLATILITY: Final = "volatility"
#: Reasons of the halts while the exchange rejects us; both are REDUCING and end by condition.
KEY_REJECTED: Final = "key_rejected"
RIGHT_REJECTED: Final = "right_rejected"
KEY_GUARD: Final = "system:key"  #: the actor of both


class OrderSource(StrEnum):
    """What an order comes from."""

    SIGNAL = "SIGNAL"
    RULE = "RULE"  #: stop-loss, take-profit, trailing stop
    HAND = "HAND"  #: a caller's own order
    FLATTEN = "FLATTEN"  #: the sale of everything that this service holds


class OrderAct(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    CANCEL = "CANCEL"

    @classmethod
    def of(cls, side: Side) -> "OrderAct":
        return cls(side.value)


_T, _S, _A = TradingStatus, OrderSource, OrderAct
_NONE: Final[frozenset[OrderAct]] = frozenset()
_CANCEL: Final = frozenset({_A.CANCEL})
_REDUCE: Final = frozenset({_A.SELL, _A.CANCEL})
_ALL: Final = frozenset(OrderAct)

PERMITS: Final[Mapping[tuple[TradingStatus, OrderSource], frozenset[OrderAct]]] = {
    (_T.ACTIVE, _S.SIGNAL): _ALL,
    (_T.ACTIVE, _S.RULE): _ALL,
    (_T.ACTIVE, _S.HAND): _ALL,
    (_T.ACTIVE, _S.FLATTEN): _REDUCE,
    (_T.REDUCING, _S.SIGNAL): _REDUCE,
    (_T.REDUCING, _S.RULE): _REDUCE,
    (_T.REDUCING, _S.HAND): _REDUCE,
    (_T.REDUCING, _S.FLATTEN): _REDUCE,
    (_T.DISABLED, _S.SIGNAL): _CANCEL,
    (_T.DISABLED, _S.RULE): _REDUCE,
    (_T.DISABLED, _S.HAND): _REDUCE,
    (_T.DISABLED, _S.FLATTEN): _REDUCE,
    (_T.HALTED, _S.SIGNAL): _CANCEL,
    (_T.HALTED, _S.RULE): _CANCEL,
    (_T.HALTED, _S.HAND): _CANCEL,
    (_T.HALTED, _S.FLATTEN): _REDUCE,
    **dict.fromkeys(product([_T.STANDBY], OrderSource), _NONE),
}

_REFUSALS: Final[Mapping[TradingStatus, str]] = {
    _T.ACTIVE: "trading is on",
    _T.REDUCING: "purchases are halted",
    _T.DISABLED: "trading is switched off (trading_enabled)",
    _T.HALTED: "trading is halted",
    _T.STANDBY: "this process does not trade",
}
_COUNTED: Final[Mapping[str, str]] = {
    "order_rate": "as many orders as max_orders_per_hour allows were written in the last hour",
    "max_order": "the purchase would exceed max_order_krw",
    "max_daily_order": "the day's purchases would exceed max_daily_order_krw",
}
_BY_STRICTNESS: Final = tuple(TradingStatus)


def permits(status: TradingStatus, source: OrderSource, act: OrderAct) -> bool:
    """Whether `act` is allowed in `status` when it comes from `source`."""
    return act in PERMITS[status, source]


def strictest(statuses: Iterable[TradingStatus]) -> TradingStatus:
    """Return the strictest of several that hold at once; ACTIVE when there is none."""
    return max(statuses, key=_BY_STRICTNESS.index, default=TradingStatus.ACTIVE)


def refusal_text(rule: str, status: TradingStatus) -> str:
    """Return the sentence for an order that was refused as it was written.

    Args: rule: `trading_enabled`, or one of the counts.  status: the state at that moment.
    """
    return _COUNTED.get(rule, _REFUSALS[status])
