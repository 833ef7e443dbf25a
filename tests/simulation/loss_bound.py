"""What a Korean day may lose at most, as one sum of true prices and true trades.

The limit stops purchases and sells nothing. So a day may lose the limit and the step of the price
that passed it; what each open position loses from there to its stop; beyond the stop what a gap
takes before it can be sold; and the slippage and fee of that sale.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

from service.domain.markets import Market
from service.sandbox.exchange.orders import MIN_TOTAL, SandboxTrade
from tests.simulation.exchange import MARKETS
from tests.simulation.truth import ZERO, Holding, Truth

_ROUNDING: Final = Decimal("1.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passed:
    """The day's loss as it was when it passed the limit.

    Attributes:
        at: seconds of the history.
        held: what was held then, each at the price of then.
    """

    day: float
    at: float
    loss: Decimal
    held: dict[Market, tuple[Holding, Decimal]]


@dataclass(slots=True, kw_only=True)
class LossBound:
    """Adds up what each day may lose.

    Attributes:
        stop: of a position, by its average price.
        sells_s: healthy seconds from a breached stop to its sale; later falls are no gap.
        left_at: when an order left its machine, by its identifier.
    """

    truth: Truth
    stop: Callable[[Decimal], Decimal]
    sells_s: float
    left_at: Callable[[str], float]
    _passed: _Passed | None = None
    #: by position: its market and when it was opened
    _floors: dict[tuple[Market, float], Decimal] = field(default_factory=dict)
    _opened_at: dict[Market, float] = field(default_factory=dict)
    _due_s: dict[Market, float] = field(default_factory=dict)
    _looked_at: float = 0.0
    _told: set[float] = field(default_factory=set)

    def look(
        self,
        now: float,
        *,
        limit: Decimal,
        bought_until: float | None,
        is_healthy: Callable[[Market], bool],
    ) -> Iterator[str]:
        """Yield a sentence when the day has lost more than the sum, once a day.

        Args:
            limit: of the day, in money.
            bought_until: a purchase that leaves later than this is against the limit; None: the
                loss is not yet one that the service must have seen.
            is_healthy: whether nothing keeps a market's position from being sold.
        """
        day, loss = self.truth.day_begins(now), self.truth.lost_today(now)
        self._note_floors(now, is_healthy)
        is_new = self._passed is None or self._passed.day != day
        if is_new or (bought_until is None and loss <= limit):
            self._passed = self._now(day, now, loss) if loss > limit else None
        self._looked_at = now
        if self._passed is None or day in self._told:
            return
        until = now if bought_until is None else bought_until
        most = self._passed.loss + sum((self._room(m, until) for m in MARKETS), ZERO)
        if loss > most * _ROUNDING:
            self._told.add(day)
            yield f"the day has lost {loss:.0f}, and {most:.0f} is what limit and stops leave"

    def _now(self, day: float, now: float, loss: Decimal) -> _Passed:
        held = {h.market: (h, self.truth.price(h.market, now)) for h in self.truth.holdings()}
        return _Passed(day=day, at=now, loss=loss, held=held)

    def _note_floors(self, now: float, is_healthy: Callable[[Market], bool]) -> None:
        """Note the lowest price at which each position may be sold."""
        for market in MARKETS:
            holding = self.truth.holding(market)
            sold_at = self._opened_at.get(market)
            if sold_at is not None and (holding is None or holding.opened_at != sold_at):
                # It was sold since the last look, at the prices of that time.
                self._lower((market, sold_at), self._floors[market, sold_at], now)
                del self._opened_at[market]
                self._due_s.pop(market, None)
            if holding is not None:
                self._opened_at[market] = holding.opened_at
                self._note_floor(holding, now, is_healthy=is_healthy(market))

    def _note_floor(self, holding: Holding, now: float, *, is_healthy: bool) -> None:
        market, stop = holding.market, self.stop(holding.average)
        if self._due_s.get(market, 0.0) <= self.sells_s:
            self._lower((market, holding.opened_at), stop, now)
        if self.truth.price(market, now) > stop:
            self._due_s.pop(market, None)
        elif is_healthy:
            self._due_s[market] = self._due_s.get(market, 0.0) + now - self._looked_at

    def _lower(self, position: tuple[Market, float], stop: Decimal, now: float) -> None:
        seen = self.truth.site.prices(position[0], since=self._looked_at, until=now)
        self._floors[position] = min(self._floors.get(position, stop), stop, *seen)

    def _room(self, market: Market, bought_until: float) -> Decimal:
        """Return what the market may lose after the limit was passed."""
        assert self._passed is not None
        room, since = ZERO, self._passed.at
        if market in self._passed.held:
            holding, price = self._passed.held[market]
            since = holding.opened_at
            room = holding.volume * max(ZERO, price - self._floors[market, since])
        later = [low for (of, at), low in self._floors.items() if of == market and at >= since]
        for trade, left_at in self._trades_since(market, self._passed.at):
            if trade.side == "ask":
                room += trade.fee + max(ZERO, self._price_of(trade) * trade.volume - trade.funds)
            elif left_at <= bought_until:
                floor = min(later, default=self.stop(trade.price))
                room += trade.fee + max(ZERO, trade.funds - trade.volume * floor)
        return room + MIN_TOTAL  # what is left as dust

    def _price_of(self, trade: SandboxTrade) -> Decimal:
        at = (trade.created_at - self.truth.site.origin).total_seconds()
        return self.truth.price(Market.parse(trade.market), at)

    def _trades_since(self, market: Market, at: float) -> Iterator[tuple[SandboxTrade, float]]:
        """Yield our trades after an instant, each with when its order left."""
        since = self.truth.site.origin + timedelta(seconds=at)
        for order in self.truth.site.engine.orders.values():
            name = order.request.identifier
            if name is None or order.request.market != market:
                continue
            for trade in order.trades:
                if trade.created_at > since:
                    yield trade, self.left_at(name)
