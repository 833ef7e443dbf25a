"""Read side: the stored history that the web shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from service.domain.markets import Market, Timeframe
from service.domain.orders import OrderStatus
from service.domain.stuck_orders import OpenOrder


@dataclass(frozen=True, slots=True)
class PageKey:
    """The last row of a page (keyset pagination): lists are ordered newest first by (at, id)."""

    at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    items: bytes  #: a JSON array, ready to send
    last: PageKey | None  #: of the last item, None when nothing follows


class Lists(Protocol):
    """Lists of the API. Each method is one statement that returns ready JSON, newest first.

    Money is decimal strings, instants are RFC 3339 UTC.
    """

    async def market_history(
        self, market: Market, *, limit: int, before: PageKey | None = None
    ) -> Page: ...

    async def market_price(self, market: Market) -> bytes | None:
        """Return the newest row of `market`, None before the first."""

    async def market_latest(self, markets: Sequence[Market]) -> bytes:
        """Return a JSON array: the newest ticker row of each market."""

    async def market_candles(
        self, market: Market, timeframe: Timeframe, *, limit: int, before: PageKey | None = None
    ) -> Page: ...

    async def market_summary(self, market: Market, *, since: datetime) -> bytes:
        """Return a JSON object: count, first, last, low, high, average, change since `since`."""

    async def collector_stats(self, markets: Sequence[Market], *, since: datetime) -> bytes:
        """Return a JSON array: rows stored since `since`, newest row, longest gap, a market."""

    async def signals(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        market: Market | None = None,
        action: str | None = None,
        market_data_id: int | None = None,
    ) -> Page:
        """Args: market_data_id: only signals made from this row of prices."""

    async def signal(self, signal_id: int) -> bytes | None: ...

    async def signals_latest(self, markets: Sequence[Market]) -> bytes: ...

    async def orders(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        market: Market | None = None,
        status: OrderStatus | None = None,
        now: datetime | None = None,
    ) -> Page:
        """Args: now: the market's instant, which decides what is stuck; None: nothing is."""

    async def order(self, order_id: int, *, now: datetime | None = None) -> bytes | None:
        """Return the order with its fills, its decision's checks and its signal's id."""

    async def fills(
        self, *, limit: int, before: PageKey | None = None, market: Market | None = None
    ) -> Page: ...

    async def config_changes(
        self, *, limit: int, before: PageKey | None = None, key: str | None = None
    ) -> Page: ...

    async def audit(
        self, *, limit: int, before: PageKey | None = None, action: str | None = None
    ) -> Page:
        """Return what callers asked for, e.g. by `order.place`."""

    async def alerts(
        self,
        *,
        limit: int,
        before: PageKey | None = None,
        state: str | None = None,
        severity: str | None = None,
    ) -> Page: ...

    async def alert(self, alert_id: int) -> bytes | None: ...

    async def risk_events(
        self, *, limit: int, before: PageKey | None = None, event: str | None = None
    ) -> Page: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Recent activity for the health report."""

    last_signal_at: datetime | None
    last_order_at: datetime | None
    last_order_status: OrderStatus | None
    #: A status without orders is absent.
    open_orders: Mapping[OrderStatus, int] = field(default_factory=dict)
    #: Those with a bound (domain/stuck_orders.py), the first to pass it first; a hundred at most.
    bounded: Sequence[OpenOrder] = ()
    bounded_total: int = 0

    @property
    def is_whole(self) -> bool:
        """Return whether `bounded` has all of them."""
        return len(self.bounded) == self.bounded_total

    def stuck(self, now: datetime) -> Sequence[OpenOrder]:
        """Return the orders that have passed their bound."""
        return tuple(order for order in self.bounded if order.is_stuck(now))


class RecentActivity(Protocol):
    async def activity(self) -> Activity: ...


class Statistics(Protocol):
    """Statistics that the database computes; each method returns a JSON object."""

    async def jobs(self, *, since: datetime, until: datetime) -> bytes:
        """Args: since, until: the market's instants."""

    async def requests(self, *, since: datetime, until: datetime) -> bytes:
        """Args: since, until: real instants."""

    async def model_calls(
        self, *, since: datetime, until: datetime, today: date, budget_usd: Decimal | None
    ) -> bytes:
        """Args:
        since, until: the market's instants, midnights in UTC.
        today: the Korean day whose spending is shown beside its budget.
        budget_usd: None without a limit.
        """


class Portfolio(Protocol):
    """Results of trading. Each method is one statement that returns ready JSON."""

    async def summary(self, *, quote: str, now: datetime, days: Sequence[int]) -> bytes:
        """Return the newest snapshot, and one period for each of `days`.

        A period is that many Korean days, with today as the last.
        """

    async def equity(self, *, quote: str, since: datetime, until: datetime, points: int) -> bytes:
        """Return at most `points` values of the window, oldest first, and its deepest drawdown.

        Args: until: exclusive.
        """

    async def days(
        self, *, quote: str, now: datetime, limit: int, before: PageKey | None = None
    ) -> Page:
        """Return the account's Korean days without a gap, today first.

        The first one is that of the first snapshot or fill.
        """

    async def market_days(
        self, *, market: Market, limit: int, before: PageKey | None = None
    ) -> Page:
        """Return the statistics of the Korean days on which `market` traded, the newest first."""
