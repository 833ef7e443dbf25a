"""When a position is sold without a signal: stop-loss, trailing stop, take-profit.

Prices are compared exactly. A limit need not lie on the tick: a price on the tick reaches it just
when it reaches the tick next to it on the side that sells, which `ExitLimits.on_tick` returns.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from service.domain.markets import Market, MarketRules
from service.domain.orders import Breach, ExitRule, Fill, Side
from service.domain.positions import Position

_HUNDRED: Final = Decimal(100)


class Unwatched(StrEnum):
    """Why no stop would sell a position now, whatever its price did."""

    NO_LEASE = "no_trading_lease"  #: another process watches it
    RECONCILING = "reconciling_open_orders"  #: this one does not trade yet
    NOT_LOADED = "not_loaded"  #: it is not known in memory yet
    SOLD = "sold"  #: to the last coin; its fills are booked once the database is back
    TRADING_STOPPED = "trading_stopped"  #: HALTED, or the state was never read
    LEASE_LAPSED = "lease_lapsed"  #: the database is away, another process may trade by now
    JOURNAL_DOWN = "journal_down"  #: the database is away, and the exit journal as well
    DUST = "dust"  #: it is worth less than the exchange's smallest order
    SMALL = "small"  #: at its stop it is worth less than that: a gain alone may sell it
    NO_PRICE = "no_price"  #: none was believed for 30 seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitSettings:
    """What the operator sets, each in per cent. None: the rule is off."""

    stop_loss_pct: Decimal
    take_profit_pct: Decimal | None
    trailing_stop_pct: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitLimits:
    """The prices that sell one position, quote money for a coin. None: the rule is off."""

    stop_loss: Decimal
    trailing_stop: Decimal | None
    take_profit: Decimal | None

    @property
    def stop(self) -> Decimal:
        """Return the higher one of both stops: a falling price reaches it first."""
        return self.stop_loss if self.trailing_stop is None else max(self._stops())

    def breach(self, price: Decimal) -> Breach | None:
        """Return the rule that `price` reaches, the stop-loss before the others."""
        if price <= self.stop_loss:
            return Breach(rule=ExitRule.STOP_LOSS, price=price, limit=self.stop_loss)
        if self.trailing_stop is not None and price <= self.trailing_stop:
            return Breach(rule=ExitRule.TRAILING_STOP, price=price, limit=self.trailing_stop)
        if self.take_profit is not None and price >= self.take_profit:
            return Breach(rule=ExitRule.TAKE_PROFIT, price=price, limit=self.take_profit)
        return None

    def on_tick(self, rules: MarketRules) -> "ExitLimits":
        """Return the prices on the tick at which the rules sell: none sells more, none less."""

        def below(price: Decimal) -> Decimal:
            return rules.price_on_tick(price, up=False)

        take_profit = self.take_profit
        return ExitLimits(
            stop_loss=below(self.stop_loss),
            trailing_stop=None if self.trailing_stop is None else below(self.trailing_stop),
            take_profit=None if take_profit is None else rules.price_on_tick(take_profit, up=True),
        )

    def _stops(self) -> tuple[Decimal, ...]:
        return tuple(one for one in (self.stop_loss, self.trailing_stop) if one is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One open position, and the highest price since it was opened."""

    position: Position
    highest: Decimal  #: never below the average price at which it was opened; never falls

    @classmethod
    def of(cls, position: Position, *, highest: Decimal | None = None) -> "Protection":
        """Args: highest: a price since it was opened, None where none is known.

        Raises: ValueError, for a position without coins.
        """
        average = position.average_price
        if average is None:
            raise ValueError(f"{position.market}: there is no position to protect")
        return cls(position=position, highest=average if highest is None else max(average, highest))

    @property
    def market(self) -> Market:
        return self.position.market

    @property
    def opened_at(self) -> datetime:
        assert self.position.opened_at is not None  # noqa: S101 - it has coins
        return self.position.opened_at

    def seen(self, price: Decimal) -> "Protection":
        return self if price <= self.highest else replace(self, highest=price)

    def moved_to(self, position: Position) -> "Protection | None":
        """Return the protection of the position as it is now; None when nothing is left of it."""
        if not position.volume:
            return None
        is_same = position.opened_at == self.position.opened_at
        return Protection.of(position, highest=self.highest if is_same else None)

    def limits(self, settings: ExitSettings) -> ExitLimits:
        average = self.position.average_price
        assert average is not None  # noqa: S101 - it has coins
        trailing, gain = settings.trailing_stop_pct, settings.take_profit_pct
        return ExitLimits(
            stop_loss=stop_price(average, settings.stop_loss_pct),
            trailing_stop=None if trailing is None else stop_price(self.highest, trailing),
            take_profit=None if gain is None else average * (1 + gain / _HUNDRED),
        )


def stop_price(from_price: Decimal, pct: Decimal) -> Decimal:
    """Return the price that lies `pct` per cent below `from_price`."""
    return from_price * (1 - pct / _HUNDRED)


def distance_pct(stop: Decimal, *, price: Decimal) -> Decimal:
    """Return how far `price` has to fall to the stop, in per cent of it; 0 or less: it has."""
    return (price - stop) / price * _HUNDRED


def booked(position: Position, side: Side, fill: Fill) -> Position:
    """Return the position after `fill`; as in the store, a sale of more than is held ends it."""
    if side is Side.SELL and fill.volume > position.volume:
        fill = position.part_held(fill)
    return position.after(side, fill)
