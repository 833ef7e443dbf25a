"""Switches of the histories about prices: each takes ONE safeguard of the limits out."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Final

from service.domain.positions import Position
from service.flows import situations
from service.flows.daily_loss import DailyLossGuard
from service.flows.follow_exits import ExitFollower
from service.flows.leadership import Leadership
from service.flows.live_prices import LivePrices
from service.flows.open_sales import OpenSales
from service.flows.protect import Protector
from service.flows.unstored_orders import UnstoredOrders
from service.flows.volatility import VolatilityGuard
from tests.simulation.truth import ZERO

#: (owner, attribute, replacement): what one switch replaces
Replaced = tuple[object, str, object]


def _jump_believed() -> Sequence[Replaced]:
    """Any price within its own low..high is believed at once."""
    return ((LivePrices, "_is_near_what_is_known", lambda *_: True),)


def _stop_forgotten_at_a_restart() -> Sequence[Replaced]:
    """A new process watches what it buys itself, and not what was held before."""

    async def load(self: Protector) -> None:
        await self._read_settings()
        self._loaded_in = self._leadership.last_known_epoch

    async def nothing(_: Protector) -> None:
        return

    return ((Protector, "load", load), (Protector, "_compare", nothing))


def _price_of_before_the_purchase() -> Sequence[Replaced]:
    """A position is judged by the newest price, also by one that is older than it."""

    def judge(self: Protector, watched: Any, price: Any) -> None:
        watched.bought_at = min(watched.bought_at, price.traded_at)
        _JUDGE(self, watched, price)

    return ((Protector, "_judge", judge),)


_JUDGE: Final = Protector._judge


def _coins_sold_twice() -> Sequence[Replaced]:
    """What an open sale may still take counts as free to be sold."""
    return ((OpenSales, "volume", lambda *_: ZERO),)


def _exit_not_followed() -> Sequence[Replaced]:
    """A rule's sale is tried once, whatever becomes of it."""
    attempt = ExitFollower.attempt

    async def once(self: ExitFollower, watched: Any, one: Any) -> None:
        await attempt(self, watched, one)
        one.not_before = inf

    return ((ExitFollower, "attempt", once),)


def _other_markets_not_counted() -> Sequence[Replaced]:
    """The exposure is that of one market."""
    return ((situations, "_elsewhere", lambda *_: ZERO),)


def _open_positions_not_in_the_loss() -> Sequence[Replaced]:
    """The day's loss is what was sold at a loss; what is held counts when it is sold."""
    ledgers_of = DailyLossGuard._ledgers_of

    def realised(
        self: DailyLossGuard, positions: Collection[Position], *rest: Any
    ) -> Mapping[str, Any]:
        sold = [replace(position, volume=ZERO, cost=ZERO) for position in positions]
        return ledgers_of(self, sold, *rest)

    return ((DailyLossGuard, "_ledgers_of", realised),)


def _moves_not_measured() -> Sequence[Replaced]:
    """A price may move as far as it likes."""
    return ((VolatilityGuard, "_judge", lambda *_: None),)


def _file_not_written() -> Sequence[Replaced]:
    """Without the database an exit is sent, and stands nowhere."""

    async def nothing(*_: Any) -> None:
        return

    return ((UnstoredOrders, "_write", nothing),)


def _file_without_the_lease() -> Sequence[Replaced]:
    """Without the database this process sells for as long as it likes."""

    def epoch(self: Leadership, *, is_alone: bool) -> int:
        del is_alone
        return self._epoch or 0

    return ((Leadership, "unstored_epoch", epoch),)


PRICE_SWITCHES: Final[Mapping[str, Callable[[], Sequence[Replaced]]]] = {
    "jump believed": _jump_believed,
    "stop forgotten at a restart": _stop_forgotten_at_a_restart,
    "price of before the purchase": _price_of_before_the_purchase,
    "coins sold twice": _coins_sold_twice,
    "exit not followed": _exit_not_followed,
    "other markets not counted": _other_markets_not_counted,
    "open positions not in the loss": _open_positions_not_in_the_loss,
    "moves not measured": _moves_not_measured,
    "file not written": _file_not_written,
    "file without the lease": _file_without_the_lease,
}
