"""What this service holds, by the exchange's own record: no row and no flow of ours is asked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Final

from service.domain.markets import Market
from service.sandbox.exchange.orders import MIN_TOTAL, SandboxTrade
from tests.simulation.exchange import MARKETS
from tests.simulation.priced import PricedSite

ZERO: Final = Decimal(0)
_KOREA: Final = timezone(timedelta(hours=9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Our coins of one market at one instant.

    Attributes:
        dearest, cheapest: of the average prices since it was opened; more may have been bought.
        opened_at: seconds of the history.
    """

    market: Market
    volume: Decimal
    average: Decimal
    dearest: Decimal
    cheapest: Decimal
    opened_at: float

    def is_worth_selling(self, price: Decimal) -> bool:
        """Whether the exchange takes an order for it; a little less is dust."""
        return self.volume * price >= MIN_TOTAL


class Truth:
    """Attributes: site: the exchange, whose trades are true and whose tickers may not be."""

    def __init__(self, site: PricedSite) -> None:
        self.site = site
        self._all: list[SandboxTrade] = []
        self._now: dict[Market, Holding | None] = {}
        self._begun_with: dict[float, Decimal] = {}

    def price(self, market: Market, at: float) -> Decimal:
        return self.site.prices(market, since=at, until=at)[-1]

    def trades(self) -> list[SandboxTrade]:
        """Return every trade of an order of this service, oldest first."""
        orders = self.site.engine.orders.values()
        ours = [order for order in orders if order.request.identifier is not None]
        if sum(len(order.trades) for order in ours) != len(self._all):
            found = (trade for order in ours for trade in order.trades)
            self._all = sorted(found, key=lambda trade: trade.created_at)
            self._now = {}
        return self._all

    def holding(self, market: Market) -> Holding | None:
        """Return what is held now."""
        trades = self.trades()
        if market not in self._now:
            self._now[market] = self._held(market, trades)
        return self._now[market]

    def holdings(self) -> Iterator[Holding]:
        for market in MARKETS:
            if (holding := self.holding(market)) is not None:
                yield holding

    def _held(self, market: Market, trades: Iterable[SandboxTrade]) -> Holding | None:
        volume = cost = ZERO
        averages: list[Decimal] = []
        opened_at = 0.0
        for trade in trades:
            if trade.market != str(market):
                continue
            if trade.side == "ask":
                cost -= cost * trade.volume / volume if volume else ZERO
                volume -= trade.volume
                if volume <= 0:
                    volume, cost, averages = ZERO, ZERO, []
                continue
            if not volume:
                opened_at = (trade.created_at - self.site.origin).total_seconds()
            volume, cost = volume + trade.volume, cost + trade.funds
            averages.append(cost / volume)
        if not volume:
            return None
        return Holding(
            market=market,
            volume=volume,
            average=cost / volume,
            dearest=max(averages),
            cheapest=min(averages),
            opened_at=opened_at,
        )

    # --- a day's loss ----------------------------------------------------------------------------

    def day_begins(self, at: float) -> float:
        """Return when the Korean day began, in seconds of the history; 0: before it."""
        now = self._instant(at).astimezone(_KOREA)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return max(0.0, (midnight - self.site.origin).total_seconds())

    def lost_today(self, at: float) -> Decimal:
        """Return what our trades and positions lost since the Korean day began, fees included."""
        begin = self.day_begins(at)
        if begin not in self._begun_with:
            self._begun_with[begin] = self._worth_at(begin)
        worth = sum((h.volume * self.price(h.market, at) for h in self.holdings()), ZERO)
        begun_at, paid = self._instant(begin), ZERO
        for trade in self.trades():
            if trade.created_at > begun_at:
                paid += (trade.funds if trade.side == "bid" else -trade.funds) + trade.fee
        return self._begun_with[begin] + paid - worth

    def _worth_at(self, at: float) -> Decimal:
        """Return what was held at an instant, at the prices of that instant."""
        end = self._instant(at)
        trades = [trade for trade in self.trades() if trade.created_at <= end]
        held = ((market, self._held(market, trades)) for market in MARKETS)
        return sum((h.volume * self.price(m, at) for m, h in held if h is not None), ZERO)

    def spent_today(self, at: float) -> Decimal:
        """Return what this Korean day's purchases cost so far, without fees."""
        begin = self._instant(self.day_begins(at))
        bids = (trade for trade in self.trades() if trade.side == "bid")
        return sum((trade.funds for trade in bids if trade.created_at >= begin), ZERO)

    def equity(self, at: float) -> Decimal:
        """Return money and all coins of the account as they are now, at the prices of `at`."""
        coins = (self.coins(market) * self.price(market, at) for market in MARKETS)
        return self.money + sum(coins, ZERO)

    @property
    def money(self) -> Decimal:
        account = self.site.engine.account("KRW")
        return account.balance + account.locked

    def coins(self, market: Market) -> Decimal:
        account = self.site.engine.account(market.base)
        return account.balance + account.locked

    def _instant(self, at: float) -> datetime:
        return self.site.origin + timedelta(seconds=at)
