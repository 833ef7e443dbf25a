"""What each Korean day began with, from the histories' stored equity: the twin of the table."""

from collections.abc import Collection
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from service.domain.days import korean_day, korean_midnight
from service.domain.limits.daily_loss import DayStart
from service.domain.orders import ZERO
from service.domain.portfolio import Equity
from service.ports.loss_days import LossDay, LossDays
from tests.fakes.equities import FakeEquities
from tests.fakes.loss_days import FakeLossDays
from tests.fakes.orders import FakeOrders
from tests.simulation.exchange import MARKETS, ExchangeSite

_FRESH: Final = timedelta(hours=1)


class LossDaysTwin(FakeLossDays):
    """Satisfies ports.LossDayRows. Deposits are too small here to move a day's base."""

    def __init__(self, equities: FakeEquities, orders: FakeOrders) -> None:
        super().__init__()
        self._equities = equities
        self._orders = orders

    async def of(self, day: date, *, quotes: Collection[str]) -> LossDays:
        for quote in {equity.quote for _, equity in self._equities.rows}:
            if (quote, day) not in self.rows and (start := self._start(quote, day)) is not None:
                self.begin(LossDay(start=start))
        self.traded = {
            (self._orders.rows[of].market.quote, korean_day(fill.traded_at))
            for of, fill in self._orders.booked
        }
        return await super().of(day, quotes=quotes)

    def _start(self, quote: str, day: date) -> DayStart | None:
        midnight = korean_midnight(day)
        rows = [(at, equity) for at, equity in self._equities.rows if equity.quote == quote]
        before = [equity for at, equity in rows if midnight - _FRESH <= at < midnight]
        today = [equity for at, equity in rows if korean_day(at) == day]
        chosen = before[-1:] or today[:1]
        if not chosen:
            return None
        return DayStart(quote=quote, day=day, equity=_worth(chosen[0]), pnl=_pnl(chosen[0]))


def begun_with(site: ExchangeSite, orders: FakeOrders) -> LossDaysTwin:
    """Return the days of a history that stores no equity but the one it begins with."""
    coins = (site.engine.account(market.base).balance * site.price(market) for market in MARKETS)
    first = Equity(
        quote="KRW",
        cash=site.engine.account("KRW").balance,
        coins=sum(coins, ZERO),
        realised_pnl=ZERO,
        unrealised_pnl=ZERO,
        fees_paid=ZERO,
    )
    equities = FakeEquities()
    equities.rows.append((site.now(), first))
    return LossDaysTwin(equities, orders)


def _worth(equity: Equity) -> Decimal:
    return equity.cash + equity.coins


def _pnl(equity: Equity) -> Decimal:
    return equity.realised_pnl + equity.unrealised_pnl
