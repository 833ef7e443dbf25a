"""The operator's limits as an oracle of its own sees them: true prices, true trades.

It asks no flow and no row what was right, and it is lenient: a price may have been read some
seconds before an order leaves, and each check takes the price of that time that excuses most.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from typing import Any, Final

from service.domain.markets import Market
from service.domain.orders import ExitRule, Order, Side
from service.domain.trading_states import TradingStatus
from service.sandbox.market.order_book import LEVELS
from service.sandbox.market.ticks import tick_size
from tests.simulation.exchange import MARKETS
from tests.simulation.loss_bound import LossBound
from tests.simulation.priced import PricedSite
from tests.simulation.truth import ZERO, Holding, Truth
from tests.simulation.world import World

_HUNDRED: Final = Decimal(100)
#: The account may have been read so long before its order leaves.
_READ_S: Final = 40.0
#: A halt of a limit may come so late: its job, and an order that is on its way.
_HALTS_S: Final = 45.0
#: A loss must last for so many healthy seconds to be seen for certain.
_SEEN_S: Final = 6.0
#: Healthy seconds from a breached stop to the request that sells.
_SELLS_S: Final = 15.0
#: So long after a fault of the network, the store or the price the service counts as recovering.
_RECOVERS_S: Final = 40.0
#: Whatever happens, an alert comes within this time of a breach that is not sold: a process that
#: died starts again within 15 s, and its alerts come after 30 s.
_TOLD_WITHIN_S: Final = 120.0
_ROUNDING: Final = Decimal("1.001")


@dataclass(slots=True)
class PriceOracle:
    """Watches one history about prices.

    Attributes:
        can_sell: whether a process trades, and no operator's halt forbids an exit there.
        told_since: whether an alert stands, or came since then, that it is not protected.
    """

    world: World
    site: PricedSite
    can_sell: Callable[[Market], bool]
    told_since: Callable[[Market, float], bool]
    truth: Truth = field(init=False)
    loss_bound: LossBound = field(init=False)
    owner_acted_at: float = -inf
    _breached_s: dict[Market, float] = field(default_factory=dict)
    _breached_at: dict[Market, float] = field(default_factory=dict)
    _passed_s: float = 0.0
    _began_with: dict[float, Decimal] = field(default_factory=dict)
    _lost_since: dict[float, float] = field(default_factory=dict)  #: the day's begin -> seconds

    def __post_init__(self) -> None:
        self.truth = Truth(self.site)
        self.loss_bound = LossBound(
            truth=self.truth, stop=self._stop, sells_s=_SELLS_S, left_at=self._left_at
        )

    # --- an order leaves -------------------------------------------------------------------------

    def leaves(self, order: Order) -> None:
        """Hold an order that leaves now against every limit."""
        checks = self._entry if order.intent.side is Side.BUY else self._exit
        for sentence in checks(order):
            self.world.violated(f"{order.identifier}: {sentence}")

    def _entry(self, order: Order) -> Iterator[str]:
        if order.decision_id is None:
            return  # by hand: an operator may do as the insert permits
        yield from self._sizes(order, _cost(order))
        yield from self._price(order)
        yield from self._loss()
        yield from self._moves(order.market)

    def _sizes(self, order: Order, cost: Decimal) -> Iterator[str]:
        limit, now = self._limit, self.world.loop.time()
        truth, money = self.truth, self.truth.money
        low = {market: min(self._recent(market)) for market in MARKETS}
        if not self._account_moved():
            coins = truth.coins(order.market) * low[order.market]
            if coins + cost > (money + coins) * limit("max_position_pct") / _HUNDRED * _ROUNDING:
                yield f"past max_position_pct: {coins + cost:.0f} of {money + coins:.0f}"
            ours = sum((h.volume * low[h.market] for h in truth.holdings()), ZERO)
            if ours + cost > (money + ours) * limit("max_exposure_pct") / _HUNDRED * _ROUNDING:
                yield f"past max_exposure_pct: {ours + cost:.0f} of {money + ours:.0f}"
        if (most := self._cap("max_order_krw")) is not None and cost > most:
            yield f"past max_order_krw: {cost}"
        most = self._cap("max_daily_order_krw")
        if most is not None and (spent := truth.spent_today(now)) + cost > most:
            yield f"past max_daily_order_krw: {spent} and {cost}"

    def _price(self, order: Order) -> Iterator[str]:
        if (price := order.intent.price) is None:
            return
        # Where this account had taken the best levels, one further away was the best.
        taken = 1 + Decimal(str(self.site.depth.gap)) * LEVELS
        dearest = max(self._recent(order.market)) * taken
        slip = 1 + self._limit("max_slippage_pct") / _HUNDRED
        if price > dearest * slip + (LEVELS + 2) * tick_size(dearest):
            yield f"offers {price} where the price was {dearest} at most"

    def _moves(self, market: Market) -> Iterator[str]:
        """A purchase leaves although the price has moved too far within the window."""
        now = self.world.loop.time()
        since = max(0.0, now - 60 * (float(self._limit("volatility_window_minutes")) - 1))
        if self.world.last_fault_at > since or self._is_hidden(market, since=since, until=now):
            return
        seen = self.site.prices(market, since=since, until=max(since, now - _HALTS_S))
        moved = (max(seen) - min(seen)) / max(seen) * _HUNDRED
        if moved > self._limit("volatility_threshold_pct") * _ROUNDING:
            yield f"leaves although the price has moved by {moved:.1f} %"

    def _loss(self) -> Iterator[str]:
        """A purchase leaves although the day's loss has passed the limit for a while."""
        since = self._lost_since.get(self.truth.day_begins(self.world.loop.time()))
        if since is not None and self.world.loop.time() - since > _HALTS_S:
            yield f"leaves although the day's limit is passed since {since:.0f} s"

    def _exit(self, order: Order) -> Iterator[str]:
        rule = order.rule
        holding = self.truth.holding(order.market)
        volume = order.intent.volume or ZERO
        held = holding.volume if holding is not None else ZERO
        on_their_way = self._selling(order)
        if volume + on_their_way > held:
            yield f"sells {volume} besides {on_their_way} on their way, and {held} are held"
        if rule is not None and holding is not None and not self._is_reached(rule, holding):
            yield f"{rule} sells although no true price has reached it"

    def _selling(self, order: Order) -> Decimal:
        """Return what other orders that left before still sell."""
        total = ZERO
        for sent in self.world.leavings:
            row = self.world.row(sent.identifier)
            if row is None or row.identifier == order.identifier or row.market != order.market:
                continue
            if row.intent.side is Side.BUY or not row.is_open:
                continue
            done = self._executed(sent.identifier)
            total += max((row.intent.volume or ZERO) - done, ZERO)
        return total

    def _executed(self, identifier: str) -> Decimal:
        found = [
            one for one in self.site.engine.orders.values() if one.request.identifier == identifier
        ]
        return found[0].executed_volume if found else ZERO

    def _is_reached(self, rule: ExitRule, holding: Holding) -> bool:
        seen = self.site.prices(
            holding.market, since=holding.opened_at, until=self.world.loop.time()
        )
        if rule is ExitRule.STOP_LOSS:
            return min(seen) <= self._stop(holding.dearest)
        if rule is ExitRule.TAKE_PROFIT:
            gain = self._cap("take_profit_pct")
            return gain is not None and max(seen) >= holding.cheapest * (1 + gain / _HUNDRED)
        fall, highest = self._cap("trailing_stop_pct"), holding.dearest
        for price in seen:
            highest = max(highest, price)
            if fall is not None and price <= highest * (1 - fall / _HUNDRED):
                return True
        return False

    # --- each second -----------------------------------------------------------------------------

    def look(self, passed_s: float) -> None:
        """Args: passed_s: since the last look."""
        now = self.world.loop.time()
        self._note_loss(now, passed_s)
        self._hold_to_the_sum(now)
        for market in MARKETS:
            holding = self.truth.holding(market)
            price = self.truth.price(market, now)
            if (
                holding is None
                or not holding.is_worth_selling(price)
                or price > self._stop(holding.average)
                or self._sells(holding.market)
            ):
                self._breached_s.pop(market, None)
                self._breached_at[market] = now
            else:
                self._untold(market, now)
                if self._is_healthy(market, now):
                    self._overdue(market, passed_s)

    def _untold(self, market: Market, now: float) -> None:
        """Whatever is in the way: for how long may nothing be sold, and no alert come."""
        since = self._breached_at.setdefault(market, now)
        is_halted = self.world.tables.trading_state.of(market) is TradingStatus.HALTED
        if is_halted or now - since < _TOLD_WITHIN_S or self.told_since(market, since):
            return
        self._breached_at[market] = now
        self.world.violated(f"the stop of {market} is breached, nothing is sold and nothing told")

    def _overdue(self, market: Market, passed_s: float) -> None:
        spent_s = self._breached_s.get(market, 0.0) + passed_s
        self._breached_s[market] = spent_s
        if _SELLS_S < spent_s <= _SELLS_S + passed_s:
            self.world.violated(f"the stop of {market} is breached, and nothing is sold")

    def unsold(self) -> Iterator[str]:
        """Yield each position below its stop that nothing sells, at the end."""
        now = self.world.loop.time()
        for holding in self.truth.holdings():
            price = self.truth.price(holding.market, now)
            is_due = price <= self._stop(holding.average) and holding.is_worth_selling(price)
            if is_due and self.can_sell(holding.market) and not self._sells(holding.market):
                yield f"{holding.market} is below its stop at the end, and nothing is sold"

    def _sells(self, market: Market) -> bool:
        """Whether an order for the coins is on its way, or its outcome is not known yet."""
        return any(
            row.is_open and row.intent.side is Side.SELL and row.market == market
            for row in self.world.orders.rows.values()
        )

    def _note_loss(self, now: float, passed_s: float) -> None:
        """Note since when the day's limit is passed, once the service must have seen it."""
        day = self.truth.day_begins(now)
        if day not in self._began_with:
            self._began_with[day] = self.truth.equity(now)
        if day in self._lost_since:
            return
        if self.truth.lost_today(now) <= self._day_limit(day) * _ROUNDING:
            self._passed_s = 0.0
        elif all(self._is_healthy(market, now) for market in MARKETS):
            self._passed_s += passed_s
            if self._passed_s >= _SEEN_S:
                self._lost_since[day] = now

    def _hold_to_the_sum(self, now: float) -> None:
        day = self.truth.day_begins(now)
        since = self._lost_since.get(day)
        for sentence in self.loss_bound.look(
            now,
            limit=self._day_limit(day),
            bought_until=None if since is None else since + _HALTS_S,
            is_healthy=lambda market: self._is_healthy(market, now) and not self._sells(market),
        ):
            self.world.violated(sentence)

    def _day_limit(self, day: float) -> Decimal:
        return self._began_with[day] * self._limit("daily_loss_limit_pct") / _HUNDRED

    def _left_at(self, identifier: str) -> float:
        """Return when the order's request left; 0 for one that no machine of ours sent."""
        sent = (one.at for one in self.world.leavings if one.identifier == identifier)
        return next(sent, 0.0)

    # --- what excuses ----------------------------------------------------------------------------

    def _is_healthy(self, market: Market, now: float) -> bool:
        """Whether nothing keeps the service from selling at once."""
        is_hidden = self._is_hidden(market, since=now - _RECOVERS_S, until=now)
        is_past = now - self.world.last_fault_at > _RECOVERS_S
        return is_past and not is_hidden and self.can_sell(market)

    def _is_hidden(self, market: Market, *, since: float, until: float) -> bool:
        """Whether a price of the market was silent or a lie in this time."""
        return any(
            spell.market == market and spell.since <= until and since < spell.until
            for spell in self.site.spells
        )

    def _account_moved(self) -> bool:
        return self.world.loop.time() - self.owner_acted_at <= _READ_S

    def _recent(self, market: Market) -> list[Decimal]:
        now = self.world.loop.time()
        return list(self.site.prices(market, since=max(0.0, now - _READ_S), until=now))

    def _stop(self, average: Decimal) -> Decimal:
        return average * (1 - self._limit("stop_loss_pct") / _HUNDRED)

    def _limit(self, key: str) -> Decimal:
        found = self._cap(key)
        assert found is not None, key
        return found

    def _cap(self, key: str) -> Decimal | None:
        found: Any = self.world.settings[key]
        return None if found is None else Decimal(found)


def _cost(order: Order) -> Decimal:
    """Return what a purchase may cost at most, without its fee."""
    intent = order.intent
    if intent.price is not None and intent.volume is not None:
        return intent.price * intent.volume
    return intent.funds or ZERO
