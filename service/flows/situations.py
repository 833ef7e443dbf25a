"""Gather the facts that the risk rules read, at one instant."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from service.domain.days import korean_day, korean_midnight
from service.domain.markets import Balance, Market
from service.domain.orders import ZERO, Order, Side
from service.domain.positions import Position
from service.domain.prices import PriceSource
from service.domain.risk.facts import Situation, StandingHalt
from service.domain.trading_states import OrderSource
from service.flows.live_prices import LivePrices
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import JSON, Equities, Halt, MarketData, Orders, TradingStates

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_KRW: Final = "KRW"


def _no_doubts(_: Market) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situations:
    """Asks exchange and database for what a verdict depends on.

    Attributes: doubts: the limits that cannot be judged for a market, and why.
    """

    exchange: Exchange
    orders: Orders
    state: TradingStates
    market_data: MarketData
    equities: Equities
    live_prices: LivePrices
    clock: MarketClock
    doubts: Callable[[Market], Mapping[str, str]] = _no_doubts

    async def of(
        self,
        market: Market,
        *,
        source: OrderSource,
        made_at: datetime | None = None,
        is_entry: bool = False,
    ) -> Situation:
        """Raises: BoundaryError, when a fact is not available: no rule is skipped.

        Args:
            made_at: of the signal.
            is_entry: whether it wants to buy: then the order book is asked for.
        """
        rules = await self.exchange.rules(market)
        balances = await self.exchange.balances()
        price = await self._price(market)
        best = await self.exchange.best_prices(market) if is_entry else None
        state, halts = await self.state.trading_state(), await self.state.standing()
        positions, open_orders = await self.orders.positions(), await self.orders.open()
        newest = await self._newest(market, positions, self.clock.now())
        # Read last: each answer may have taken seconds, which count to the signal's age.
        now = self.clock.now()
        latest = self.live_prices.latest(market)
        midnight = korean_midnight(korean_day(now))
        equities = await self.equities.lowest_since(now - _HOUR)
        bought = await self.orders.bought_since(midnight)
        return Situation(
            price=price,
            price_doubt=self.live_prices.doubt(market),
            price_age_s=None if latest is None else (now - latest.traded_at).total_seconds(),
            best=best,
            price_max_age_s=self.live_prices.limits.max_age.total_seconds(),
            position=_position(market, positions),
            quote=balances.get(market.quote) or _nothing_of(market.quote),
            base=balances.get(market.base) or _nothing_of(market.base),
            rules=rules,
            open_orders=sum(order.market == market for order in open_orders),
            orders_last_hour=await self.orders.count_since(now - _HOUR),
            signal_age_s=0.0 if made_at is None else (now - made_at).total_seconds(),
            source=source,
            status=state.of(market),
            halted=state.why(market),
            halts=tuple(_standing(halt) for halt in halts if halt.market in {None, market}),
            doubts=self.doubts(market),
            elsewhere=_elsewhere(market, positions, newest),
            on_order=_on_order(market.quote, open_orders),
            known_equity=equities.get(market.quote),
            krw_per_quote=_krw_per(market.quote, newest),
            bought_today_krw=_in_krw(bought, newest),
            day_ends_at=midnight + _DAY,
        )

    async def _price(self, market: Market) -> Decimal:
        """Return the newest price that is believed, or where there is none the exchange's word.

        What is stale or in doubt is asked for again. `LivePrices` judges the answer, and the rules
        read from it whether there is a price to trade on.
        """
        latest = self.live_prices.latest(market)
        if latest is not None and self.live_prices.doubt(market) is None:
            return latest.price
        (ticker,) = await self.exchange.tickers([market])
        self.live_prices.hear(ticker, source=PriceSource.REST)
        latest = self.live_prices.latest(market)
        return ticker.price if latest is None else latest.price

    async def _newest(
        self, market: Market, positions: Sequence[Position], now: datetime
    ) -> Mapping[Market, Decimal]:
        """Return the newest collected prices of what is held, and of money that is no KRW."""
        held = {position.market for position in positions if position.volume}
        money = {Market(_KRW, quote) for quote in (market.quote, *(one.quote for one in held))}
        wanted = sorted((held | money) - {market, Market(_KRW, _KRW)})
        if not wanted:
            return {}
        return await self.market_data.newest_prices(wanted, since=now - _DAY)


def _position(market: Market, positions: Collection[Position]) -> Position:
    found = (position for position in positions if position.market == market)
    return next(found, Position(market=market))


def _elsewhere(
    market: Market, positions: Collection[Position], newest: Mapping[Market, Decimal]
) -> Decimal:
    """Return what our other positions of this money are worth.

    One without a price, which is no longer collected, counts with what it cost.
    """
    return sum(
        (
            position.value_at(newest[position.market])
            if position.market in newest
            else position.cost
            for position in positions
            if position.market != market and position.market.quote == market.quote
        ),
        ZERO,
    )


def _on_order(quote: str, open_orders: Collection[Order]) -> Decimal:
    """Return the money that open purchases may still spend; what they bought is in positions."""
    return sum(
        (
            max(order.intent.most_funds - order.executed_funds, ZERO)
            for order in open_orders
            if order.intent.side is Side.BUY and order.market.quote == quote
        ),
        ZERO,
    )


def _in_krw(bought: Mapping[str, Decimal], newest: Mapping[Market, Decimal]) -> Decimal | None:
    """Return the sum; None where the price of some money is not known."""
    rates = {quote: _krw_per(quote, newest) for quote in bought}
    known = [funds * rate for quote, funds in bought.items() if (rate := rates[quote]) is not None]
    return sum(known, ZERO) if len(known) == len(bought) else None


def _krw_per(quote: str, newest: Mapping[Market, Decimal]) -> Decimal | None:
    return Decimal(1) if quote == _KRW else newest.get(Market(_KRW, quote))


def _standing(halt: Halt) -> StandingHalt:
    detail = halt.detail
    return StandingHalt(
        kind=halt.kind,
        reason=halt.reason,
        limit=_text(detail.get("limit")),
        actual=_text(detail.get("actual")),
        until=_instant(detail.get("until")),
    )


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) else None


def _instant(value: JSON) -> datetime | None:
    """Return what a halt's detail says; an odd text is no reason to leave the halt out."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo is not None else None


def _nothing_of(currency: str) -> Balance:
    return Balance(currency=currency, available=ZERO, locked=ZERO)
