"""The sums of the API in memory; what was asked is remembered."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from service.domain.markets import Market
from service.ports.queries import Page, PageKey


class FakeStatistics:
    """Satisfies ports.Statistics; remembers the windows asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.budgets: list[tuple[date, Decimal | None]] = []

    async def jobs(self, *, since: datetime, until: datetime) -> bytes:
        return self._noted("jobs", since, until)

    async def requests(self, *, since: datetime, until: datetime) -> bytes:
        return self._noted("requests", since, until)

    async def model_calls(
        self, *, since: datetime, until: datetime, today: date, budget_usd: Decimal | None
    ) -> bytes:
        self.budgets.append((today, budget_usd))
        return self._noted("model_calls", since, until)

    def _noted(self, name: str, since: datetime, until: datetime) -> bytes:
        self.asked.append((name, since, until))
        return b'{"items":[]}'


class FakePortfolio:
    """Satisfies ports.Portfolio; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, object]]] = []
        self.listed = b'[{"day":"2026-01-24"}]'
        self.last: PageKey | None = None

    async def summary(self, *, quote: str, now: datetime, days: Sequence[int]) -> bytes:
        self.asked.append(("summary", {"quote": quote, "now": now, "days": list(days)}))
        return b'{"equity":"10000000"}'

    async def equity(self, *, quote: str, since: datetime, until: datetime, points: int) -> bytes:
        asked = {"quote": quote, "since": since, "until": until, "points": points}
        self.asked.append(("equity", asked))
        return b'{"items":[]}'

    async def days(
        self, *, quote: str, now: datetime, limit: int, before: PageKey | None = None
    ) -> Page:
        asked = {"quote": quote, "now": now, "limit": limit, "before": before}
        self.asked.append(("days", asked))
        return Page(self.listed, self.last)

    async def market_days(
        self, *, market: Market, limit: int, before: PageKey | None = None
    ) -> Page:
        self.asked.append(("market_days", {"market": market, "limit": limit, "before": before}))
        return Page(self.listed, self.last)
