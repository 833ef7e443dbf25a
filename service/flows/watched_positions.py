"""The positions that protection watches, in memory."""

import asyncio
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from service.domain.markets import Market, MarketRules, whole_steps
from service.domain.orders import Breach
from service.domain.positions import Position
from service.domain.protection import ExitLimits, ExitSettings, Protection


@dataclass(slots=True, kw_only=True)
class OngoingExit:
    """A rule's sale of a whole position, in as many orders as it takes. Instants are monotonic.

    Attributes:
        not_before: of the next order.
        failures: orders in a row that sold nothing.
        reads_account: an order failed, so the next one asks first what the account holds.
        is_busy: an order of it is being sent or followed.
    """

    breach: Breach
    began_at: float
    not_before: float = 0.0
    failures: int = 0
    reads_account: bool = False
    is_busy: bool = False


@dataclass(slots=True, kw_only=True)
class WatchedPosition:
    """A position with the prices that sell it.

    Attributes:
        heard_at: when a sane price was heard last, or since when it is watched; monotonic.
        bought_at: the exchange's instant of the newest purchase. A price of an earlier trade is
            not judged: the market may have moved before we bought.
        rules: of its market, as last read; None before.
        is_dust: what is left is below the exchange's smallest order: it is not sold.
        is_small: at its stop it would be dust, so no stop can sell it.
    """

    protection: Protection
    limits: ExitLimits
    heard_at: float
    bought_at: datetime
    rules: MarketRules | None = None
    rules_at: float = 0.0
    exit: OngoingExit | None = None
    is_dust: bool = False
    is_small: bool = False

    @property
    def market(self) -> Market:
        return self.protection.market

    @property
    def position(self) -> Position:
        return self.protection.position

    def is_below(self, rules: MarketRules | None, *, price: Decimal) -> bool:
        """Whether at `price` all of it is worth less than the exchange's smallest order."""
        return rules is not None and whole_steps(self.position.volume) * price < rules.min_funds

    def protect(self, protection: Protection, settings: ExitSettings) -> None:
        """Take a new state of the position, or a higher price. The exit of another one ends."""
        if protection.opened_at != self.protection.opened_at:
            self.exit = None
        if protection.position.volume > self.position.volume:
            self.is_dust = False
        if not whole_steps(protection.position.volume):
            self.is_dust = True  # no order can name so few coins, at any price
        self.protection = protection
        self.limits = protection.limits(settings)


class WatchedPositions(MutableMapping[Market, WatchedPosition]):
    """Attributes: wake: set when an exit may have something to do."""

    def __init__(self) -> None:
        self._by_market: dict[Market, WatchedPosition] = {}
        self.wake = asyncio.Event()

    def __getitem__(self, market: Market) -> WatchedPosition:
        return self._by_market[market]

    def __setitem__(self, market: Market, watched: WatchedPosition) -> None:
        self._by_market[market] = watched

    def __delitem__(self, market: Market) -> None:
        del self._by_market[market]

    def __iter__(self) -> Iterator[Market]:
        return iter(tuple(self._by_market))

    def __len__(self) -> int:
        return len(self._by_market)
