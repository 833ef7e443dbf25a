"""The newest sane price of every market, in memory: the one place where a price is believed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.domain.markets import Market, Ticker
from service.domain.prices import (
    Jump,
    LivePrice,
    PriceDoubt,
    PriceLimits,
    PriceSource,
    PriceWord,
    is_near,
    is_stale,
)
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.price_feed import PriceFigures
from service.ports.store import MarketData
from service.settings.settings import Settings
from service.settings.table import MAX_PRICE_AGE_SECONDS, MAX_PRICE_JUMP_PCT

REFRESH_EVERY_S: Final = 1.0  #: real; how soon a changed limit counts, and a jump is asked again
_REFUSALS: Final = (PriceDoubt.OUTSIDE_LOW_HIGH, PriceDoubt.JUMP)
ANCHORS_FROM: Final = timedelta(days=7)  #: stored prices older than this say little about today
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class _Known:
    """What is known of one market.

    Attributes:
        latest: the newest price that was believed.
        word: the newest word that was believed.
        anchor: the newest stored price or candle close.
        is_contradicted: the anchor came after `latest`, and far from it.
        jump: words that may become the price.
        doubt: why the newest word was refused; None: it was believed.
        is_quiet: there is neither jump nor doubt nor contradiction: the next price needs to be near
            the last one, and nothing else. Most are, thousands of times a second.
    """

    latest: LivePrice | None = None
    word: PriceWord | None = None
    anchor: Decimal | None = None
    is_contradicted: bool = False
    jump: Jump | None = None
    doubt: PriceDoubt | None = None
    is_quiet: bool = False


class LivePrices:
    """Judges every word about a price, keeps the newest that is sane and tells its subscribers.

    Attributes:
        limits: in force; `refresh` reads them from the settings.
        heard: words by source.
        refused: words by doubt.
    """

    def __init__(
        self,
        *,
        clock: MarketClock,
        settings: Settings,
        price_lasts: timedelta = timedelta(),
        on_jump: Callable[[], None] = lambda: None,
    ) -> None:
        """Bind what gives time and limits.

        Args:
            price_lasts: no last trade is stale before this age. A fast market's seconds are shorter
                than any answer takes.
            on_jump: called when a jump waits for another source to confirm it.
        """
        self._clock, self._settings = clock, settings
        self._price_lasts, self._on_jump = price_lasts, on_jump
        self._markets: dict[Market, _Known] = {}
        self._subscribers: list[Callable[[LivePrice], None]] = []
        self.limits = PriceLimits(
            max_age=max(timedelta(seconds=MAX_PRICE_AGE_SECONDS.default), price_lasts),
            max_jump_pct=MAX_PRICE_JUMP_PCT.default,
        )
        self.heard: Counter[PriceSource] = Counter()
        self.refused: Counter[PriceDoubt] = Counter()

    # --- words that come in ---------------------------------------------------------------

    def hear(self, ticker: PriceWord, *, source: PriceSource) -> LivePrice | None:
        """Return the newest sane price of the market after this word; None: the word is refused.

        A word about an older trade than the newest one changes nothing.
        """
        self.heard[source] += 1
        return self._hear(ticker, source, self._clock.now())

    def hear_all(self, words: Sequence[PriceWord], *, source: PriceSource) -> None:
        """Hear what came at one instant; the clock is read once."""
        self.heard[source] += len(words)
        now = self._clock.now()
        for word in words:
            self._hear(word, source, now)

    def _hear(self, ticker: PriceWord, source: PriceSource, now: datetime) -> LivePrice | None:
        market, price, traded_at = ticker.market, ticker.price, ticker.traded_at
        known = self._markets.get(market) or self._known(market)
        if not ticker.low <= price <= ticker.high:
            self._refuse(market, known, PriceDoubt.OUTSIDE_LOW_HIGH)
            return None
        # A trade from the future would make every later one look old: our clock may be slow.
        traded_at = min(traded_at, now)
        latest = known.latest
        if latest is not None and _is_older(traded_at, now, latest):
            return latest
        word = LivePrice(market, price, traded_at, now, source)
        if latest is not None and known.is_quiet and is_near(price, latest.price, self.limits):
            known.latest, known.word = word, ticker
            self._tell(word)
            return word
        believed = self._judge(word, known)
        if believed is not None:
            known.word = ticker
        return believed

    def anchor(self, market: Market, price: Decimal) -> None:
        """Take the newest stored price, or the newest candle's close, to measure jumps from."""
        known = self._known(market)
        known.anchor, known.is_quiet = price, False
        if known.jump is not None and is_near(known.jump.word.price, price, self.limits):
            word, known.jump = known.jump.word, None
            self._believe(word, known)
            return
        known.jump = None
        known.is_contradicted = known.latest is not None and not is_near(
            known.latest.price, price, self.limits
        )

    def subscribe(self, callback: Callable[[LivePrice], None]) -> None:
        """Have `callback` called with every sane price, in order, in the step that heard it."""
        self._subscribers.append(callback)

    # --- questions ------------------------------------------------------------------------

    def latest(self, market: Market) -> LivePrice | None:
        return self._known(market).latest

    def ticker(self, market: Market) -> Ticker | None:
        """Return the whole ticker of `latest`; None where a candle confirmed that price."""
        known = self._known(market)
        if known.latest is None or known.word is None:
            return None
        return known.word.whole() if known.word.price == known.latest.price else None

    def age_s(self, market: Market) -> float | None:
        """Return the market's seconds since a sane price was heard; None: never."""
        latest = self._known(market).latest
        return None if latest is None else (self._clock.now() - latest.heard_at).total_seconds()

    def doubt(self, market: Market) -> PriceDoubt | None:
        """Return why the newest word on `market` is no price to trade on; None: it is one."""
        known = self._known(market)
        if known.doubt is not None:
            return known.doubt
        if known.latest is None:
            return PriceDoubt.NOT_HEARD
        if known.is_contradicted:
            return PriceDoubt.JUMP
        now = self._clock.now()
        return PriceDoubt.STALE if is_stale(known.latest, now=now, limits=self.limits) else None

    def figures(self) -> PriceFigures:
        """Return what is shown of the prices."""
        ages = {market: self.age_s(market) for market in self._markets}
        doubts = {market: self.doubt(market) for market in self._markets}
        return PriceFigures(
            heard={source.value: self.heard[source] for source in PriceSource},
            refused={doubt.value: self.refused[doubt] for doubt in _REFUSALS},
            age_s={market: age_s for market, age_s in ages.items() if age_s is not None},
            doubts={market: doubt.value for market, doubt in doubts.items() if doubt is not None},
        )

    def unconfirmed(self) -> Sequence[Market]:
        """Return the markets with a jump that waits to be confirmed."""
        return tuple(market for market, known in self._markets.items() if known.jump is not None)

    # --- upkeep ---------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read the limits in force. Raises the store's errors; the old limits stay then."""
        age_s = await self._settings.get(MAX_PRICE_AGE_SECONDS)
        jump_pct = await self._settings.get(MAX_PRICE_JUMP_PCT)
        self.limits = PriceLimits(
            max_age=max(timedelta(seconds=age_s), self._price_lasts), max_jump_pct=jump_pct
        )

    async def anchor_stored(self, markets: Sequence[Market], market_data: MarketData) -> None:
        """Take the newest stored price of each market as its anchor. Raises the store's errors."""
        since = self._clock.now() - ANCHORS_FROM
        for market, price in (await market_data.newest_prices(markets, since=since)).items():
            self.anchor(market, price)

    async def anchor_held(
        self, averages: Mapping[Market, Decimal], market_data: MarketData
    ) -> None:
        """Leave no market of a position without an anchor. Raises the store's errors.

        It is the newest stored price, however old it is, or else the average price of the position:
        what is far from it has to be confirmed before it sells the position (ADR 0044).
        """
        bare = [market for market in averages if self._known(market).anchor is None]
        stored = await market_data.newest_prices(bare, since=_EVER)
        for market in bare:
            self._doubt_first(market, stored.get(market, averages[market]))

    def _doubt_first(self, market: Market, price: Decimal) -> None:
        """Take the first anchor; a price that was believed without one is a jump if it is far."""
        self.anchor(market, price)
        known = self._known(market)
        latest = known.latest
        if latest is not None and not is_near(latest.price, price, self.limits):
            known.latest, known.is_contradicted = None, False
            self._begin_jump(latest, known)

    async def confirm(self, exchange: Exchange) -> None:
        """Ask REST about every jump. Raises: ServiceError; the jump waits on."""
        if markets := self.unconfirmed():
            await self.ask(exchange, markets)

    async def ask(self, exchange: Exchange, markets: Sequence[Market]) -> None:
        """Ask REST for the prices of `markets` and hear them. Raises: ServiceError."""
        for ticker in await exchange.tickers(markets):
            self.hear(ticker, source=PriceSource.REST)

    # --- judgement ------------------------------------------------------------------------

    def _known(self, market: Market) -> _Known:
        known = self._markets.get(market)
        if known is None:
            known = self._markets[market] = _Known()
        return known

    def _judge(self, word: LivePrice, known: _Known) -> LivePrice | None:
        if self._is_near_what_is_known(word, known):
            return self._believe(word, known)
        jump = known.jump
        if jump is not None and jump.is_followed_by(word, self.limits):
            if jump.is_confirmed_by(word):
                known.jump = None
                return self._believe(word, known)
            known.jump = jump.and_then(word)
            self._refuse(word.market, known, PriceDoubt.JUMP)
        else:
            self._begin_jump(word, known)
        return None

    def _begin_jump(self, word: LivePrice, known: _Known) -> None:
        known.jump = Jump(word=word, began_at=word.heard_at)
        self._on_jump()
        self._refuse(word.market, known, PriceDoubt.JUMP)

    def _is_near_what_is_known(self, word: LivePrice, known: _Known) -> bool:
        latest, anchor, limits = known.latest, known.anchor, self.limits
        if latest is not None and is_near(word.price, latest.price, limits):
            return True
        if anchor is not None:
            return is_near(word.price, anchor, limits)
        return latest is None  # the first word ever has nothing to be measured from

    def _believe(self, word: LivePrice, known: _Known) -> LivePrice:
        known.latest = word
        # A jump that is younger than this word is not contradicted by it.
        if known.jump is not None and word.traded_at >= known.jump.word.traded_at:
            known.jump = None
        if known.doubt is not None and known.jump is None:
            logger.bind(event="risk", market=str(word.market)).info("a price is believed again")
            known.doubt = None
        if known.is_contradicted and known.anchor is not None:
            known.is_contradicted = not is_near(word.price, known.anchor, self.limits)
        known.is_quiet = known.jump is None and known.doubt is None and not known.is_contradicted
        self._tell(word)
        return word

    def _tell(self, word: LivePrice) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(word)
            except Exception:  # noqa: BLE001 - a bug of one must not keep a price from the others
                logger.bind(event="risk", market=str(word.market)).exception(
                    "a subscriber failed on a price"
                )

    def _refuse(self, market: Market, known: _Known, doubt: PriceDoubt) -> None:
        self.refused[doubt] += 1
        known.is_quiet = False
        if known.doubt is not doubt:
            logger.bind(event="risk", market=str(market), doubt=doubt.value).warning(
                "a price is not believed"
            )
        known.doubt = doubt


def _is_older(traded_at: datetime, now: datetime, latest: LivePrice) -> bool:
    """Whether a word is about an older trade. After our clock was set back nothing is older."""
    return traded_at < latest.traded_at and now >= latest.heard_at
