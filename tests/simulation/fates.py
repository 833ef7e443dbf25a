"""What the network and the exchange may do to one request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Body = Any  #: JSON


class Kind(StrEnum):
    """The kinds of requests that fates distinguish."""

    POST = "post"
    FIND = "find"
    CANCEL = "cancel"
    LISTS = "lists"
    BALANCES = "balances"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """One request's fate. The default is to be executed and answered at once.

    Attributes:
        kinds: the requests that it may hit.
        connects: False: refused before a byte left.
        connect_s: the range of seconds that connecting takes.
        arrives: whether the exchange executes it.
        travel_s: the range of seconds from leaving to arriving.
        copies: how often it arrives.
        is_lost: no answer comes: the connection breaks, or there is silence.
        status: answered instead of the real answer, `name` with it.
        odd: changes the real answer's body.
        cut: half of the answer comes.
        lag_s: the range of seconds by which a read is behind.
        young_s: hits a look-up only while the order is accepted for less than so many seconds.
    """

    kinds: frozenset[Kind]
    connects: bool = True
    connect_s: tuple[float, float] = (0.0, 0.0)
    arrives: bool = True
    travel_s: tuple[float, float] = (0.0, 0.05)
    copies: int = 1
    is_lost: bool = False
    status: int | None = None
    name: str | None = None
    odd: Callable[[Body], Body] | None = None
    cut: bool = False
    lag_s: tuple[float, float] = (0.0, 0.0)
    young_s: float | None = None


def _all(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


def _done_with_nothing(body: Body) -> Body:
    return _cancel_with_nothing(body) | {"state": "done"}


def _cancel_with_nothing(body: Body) -> Body:
    nothing = {"state": "cancel", "executed_volume": "0", "paid_fee": "0", "trades_count": 0}
    return body | nothing | ({"trades": []} if "trades" in body else {})


def _count_without_trades(body: Body) -> Body:
    return body | ({"trades": []} if "trades" in body else {})


def _fee_trails(body: Body) -> Body:
    return body | {"paid_fee": "0"}


def _half_of_the_trades(body: Body) -> Body:
    trades = body.get("trades", [])
    return body | {"trades": trades[: len(trades) // 2]}


def _each_trade_twice(body: Body) -> Body:
    return body | {"trades": [*body.get("trades", []), *reversed(body.get("trades", []))]}


def _absurd_volume(body: Body) -> Body:
    trades = [trade | {"volume": "900000", "funds": "1"} for trade in body.get("trades", [])]
    return body | {"executed_volume": str(900_000 * len(trades)), "trades": trades}


def _absurd_fee(body: Body) -> Body:
    return body | {"paid_fee": "99999999"}


_K = Kind
_READS: Final = _all(_K.FIND, _K.LISTS, _K.BALANCES, _K.OTHER)
_ANY: Final = frozenset(Kind)
_WRITES: Final = _all(_K.POST, _K.CANCEL)

FATES: Final[Mapping[str, Fate]] = {
    "refused connection": Fate(kinds=_ANY, connects=False),
    "slow connect": Fate(kinds=_ANY, connect_s=(0.3, 2.9)),
    "dropped before": Fate(kinds=_ANY, arrives=False, is_lost=True),
    "dropped after": Fate(kinds=_WRITES, is_lost=True),
    "executed late": Fate(kinds=_WRITES, travel_s=(5.5, 20.0)),
    "executed very late": Fate(kinds=_WRITES, travel_s=(30.0, 50.0)),
    "slow": Fate(kinds=_ANY, travel_s=(0.5, 4.5)),
    "answered twice": Fate(kinds=_all(_K.POST), copies=2),
    "503 before": Fate(kinds=_ANY, arrives=False, status=503),
    "500 after": Fate(kinds=_WRITES, status=500),
    "429": Fate(kinds=_ANY, arrives=False, status=429, name="too_many_requests"),
    "429 after": Fate(kinds=_all(_K.POST), status=429, name="too_many_requests"),
    "418": Fate(kinds=_ANY, arrives=False, status=418),
    "cut answer": Fate(kinds=_ANY, cut=True),
    "done with nothing": Fate(kinds=_all(_K.POST, _K.FIND), odd=_done_with_nothing, young_s=8.0),
    "cancel with nothing": Fate(
        kinds=_all(_K.POST, _K.FIND), odd=_cancel_with_nothing, young_s=8.0
    ),
    "count without trades": Fate(kinds=_all(_K.FIND), odd=_count_without_trades, young_s=20.0),
    "half of the trades": Fate(kinds=_all(_K.FIND), odd=_half_of_the_trades, young_s=20.0),
    "trades twice": Fate(kinds=_all(_K.FIND), odd=_each_trade_twice),
    "fee trails": Fate(kinds=_all(_K.FIND), odd=_fee_trails, young_s=20.0),
    "absurd volume": Fate(kinds=_all(_K.FIND), odd=_absurd_volume),
    "absurd fee": Fate(kinds=_all(_K.FIND), odd=_absurd_fee),
    "lags": Fate(kinds=_all(_K.FIND, _K.LISTS, _K.BALANCES), lag_s=(0.5, 20.0)),
    "not found for a while": Fate(kinds=_all(_K.FIND, _K.LISTS), lag_s=(1e6, 1e6), young_s=12.0),
}
