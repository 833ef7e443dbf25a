"""The exchange of a history about prices: paths of its own, and tickers that lie or are silent."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar, Final

from service.domain.markets import Market, Ticker
from service.sandbox.errors import RequestRefused
from service.sandbox.market.prints import (
    MINUTE_STEPS,
    STEP_S,
    Prints,
    instant_of,
    milliseconds,
    step_at,
)
from service.sandbox.market.ticks import decimal
from service.sandbox.upbit_api.quotes import book_body, minute_body
from tests.builders import T0
from tests.simulation.exchange import MARKETS, Body, ExchangeSite, Params
from tests.simulation.paths import PricePath, SparseDepth, drawn

STEPS: Final = 45  #: of each path; after it the price stays
_MIDNIGHT: Final = datetime(2026, 1, 24, 15, tzinfo=UTC)  #: of Korea
_MIDNIGHT_SHARE: Final = 0.35  #: of the histories in which a Korean day ends
_FALLS_TO: Final = 0.98
_AWAY: Final = 503
_GAPS: Final = (0.0, 0.0, 0.0005, 0.002)


class Quotation(StrEnum):
    """The two ways a price comes to the service."""

    STREAM = "stream"
    REST = "REST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a ticker says."""

    price: Decimal
    low: Decimal
    high: Decimal
    traded_at: datetime


#: Makes a lie of the truth.
Lie = Callable[[Quote], Quote]


def _times(factor: str, *, honest_range: bool) -> Lie:
    def told(truth: Quote) -> Quote:
        price = (truth.price * Decimal(factor)).quantize(Decimal("0.01"))
        low, high = min(truth.low, price), max(truth.high, price)
        if honest_range:
            low, high = truth.low, truth.high
        return Quote(price=price, low=low, high=high, traded_at=truth.traded_at)

    return told


def _nothing(truth: Quote) -> Quote:
    price = Decimal("0.01")
    return Quote(price=price, low=truth.low, high=truth.high, traded_at=truth.traded_at)


def _days_old(truth: Quote) -> Quote:
    """The last trade is three days old, at a price of that time."""
    price = (truth.price * Decimal("0.9")).quantize(Decimal(1))
    old = truth.traded_at - timedelta(days=3)
    return Quote(price=price, low=min(truth.low, price), high=truth.high, traded_at=old)


LIES: Final[Mapping[str, Lie]] = {
    "0.01": _nothing,
    "a tenth, outside of its range": _times("0.1", honest_range=True),
    "a tenth": _times("0.1", honest_range=False),
    "three quarters": _times("0.75", honest_range=False),
    "double": _times("2", honest_range=False),
    "ten times, outside of its range": _times("10", honest_range=True),
    "three days old": _days_old,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """For some time one market's prices do not come one way, or are lies."""

    since: float
    until: float
    way: Quotation
    market: Market
    lie: str | None  #: None: silence

    def holds(self, at: float) -> bool:
        return self.since <= at < self.until


class PricedSite(ExchangeSite):
    """Attributes:
    spells: what is wrong with the prices, and when.
    moves: what happens to the prices, counted.
    """

    paths: dict[Market, PricePath]
    moves: Counter[str]

    def __init__(self, seconds: Callable[[], float], rng: random.Random) -> None:
        super().__init__(seconds, rng)
        self.depth = SparseDepth(self.prints, seed=rng.randrange(1000))
        self.depth.gap = rng.choice(_GAPS)
        self.engine._depth = self.depth
        self.spells: list[Spell] = []
        self._truths: dict[tuple[Market, int], Quote] = {}

    def begin(self, rng: random.Random) -> datetime:
        if rng.random() < _MIDNIGHT_SHARE:
            return _MIDNIGHT - timedelta(seconds=rng.uniform(20, 400))
        return T0 + timedelta(seconds=rng.uniform(0, 3 * 3600))

    def market(self, rng: random.Random) -> Mapping[Market, Prints]:
        self.paths, self.moves = {}, Counter()
        for market in MARKETS:
            prices, moves = self.draw(rng, market)
            self.paths[market] = PricePath(prices, first=step_at(self.origin))
            self.moves += moves
        return {market: Prints(path) for market, path in self.paths.items()}

    def draw(self, rng: random.Random, market: Market) -> tuple[Sequence[int], Counter[str]]:
        """Return the path of one market, and what happens in it."""
        return drawn(rng, market, steps=STEPS)

    def prices(self, market: Market, *, since: float, until: float) -> Sequence[Decimal]:
        """Return the true prices between two instants of the history, oldest first."""
        begin, end = (step_at(self.origin + timedelta(seconds=at)) for at in (since, until))
        return [decimal(price) for price in self.paths[market].between(begin, end)]

    def falls(self, market: Market) -> Sequence[float]:
        """Return the seconds at which the price falls by 2 % or more at once."""
        first = step_at(self.origin)
        path = self.paths[market].between(first, first + STEPS)
        pairs = enumerate(pairwise(path), 1)
        begin_s = (instant_of(first) - self.origin).total_seconds()
        return [begin_s + STEP_S * n for n, (old, new) in pairs if new < old * _FALLS_TO]

    # --- what is said of the prices --------------------------------------------------------------

    def quote(self, market: Market, way: Quotation) -> Quote | None:
        """Return what is said of the market now, true or not; None: nothing is said."""
        truth = self._truth(market)
        for spell in self.spells:
            if (spell.market, spell.way) == (market, way) and spell.holds(self._seconds()):
                return None if spell.lie is None else LIES[spell.lie](truth)
        return truth

    def ticker(self, market: Market, way: Quotation) -> Ticker | None:
        quote = self.quote(market, way)
        if quote is None:
            return None
        return Ticker(
            market=market,
            price=quote.price,
            high=quote.high,
            low=quote.low,
            volume_24h=Decimal(1),
            change_since_close_ratio=Decimal(0),
            traded_at=quote.traded_at,
        )

    def _truth(self, market: Market) -> Quote:
        step = step_at(self.now())
        known = self._truths.get((market, step))
        if known is None:
            seen = self.paths[market].between(step_at(self.origin), step)
            at = instant_of(self.prints[market].newest(step).step)
            price, low, high = (decimal(one) for one in (seen[-1], min(seen), max(seen)))
            known = Quote(price=price, low=low, high=high, traded_at=at)
            self._truths[market, step] = known
        return known

    def _quote(self, market: Market) -> Body:
        said = self.quote(market, Quotation.REST)
        if said is None:
            raise RequestRefused(_AWAY, _AWAY, "no ticker right now")
        return super()._quote(market) | {
            "trade_price": float(said.price),
            "high_price": float(said.high),
            "low_price": float(said.low),
            "trade_timestamp": milliseconds(said.traded_at),
        }

    def _minutes(self, params: Params, _: float) -> Body:
        """Return the candles since the quiet hour; the day before had one print alone."""
        market, now = Market.parse(params["market"]), step_at(self.now())
        prints, count = self.prints[market], int(params.get("count", "1"))
        before = step_at(datetime.fromisoformat(params["to"])) if "to" in params else now + 1
        bodies: list[Body] = []
        first = min(now, before - 1) // MINUTE_STEPS * MINUTE_STEPS
        while len(bodies) < count and first >= self.paths[market].begins_at:
            if (bar := prints.bar(first, MINUTE_STEPS, now=now)) is not None:
                bodies.append(minute_body(market, bar, unit=1))
            first -= MINUTE_STEPS
        return bodies

    def _books(self, params: Params, _: float) -> Body:
        now = self.now()
        asked = [Market.parse(name) for name in params["markets"].split(",")]
        return [book_body(one, self.engine.book(one, now), count=30, now=now) for one in asked]

    _routes: ClassVar[Mapping[tuple[str, str], Callable[..., Body]]] = {
        **ExchangeSite._routes,
        ("GET", "/v1/candles/minutes/1"): _minutes,
        ("GET", "/v1/orderbook"): _books,
    }
