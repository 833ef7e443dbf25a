"""The exchange's streams in memory: a test says what they tell."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from service.domain.errors import BoundaryError, ExchangeUnavailable
from service.domain.markets import Market
from service.domain.prices import PriceWord


class FakeConnection:
    """One open connection. Satisfies ports.PriceConnection and ports.OrderConnection."""

    def __init__(self, markets: Sequence[Market] = ()) -> None:
        self.markets = markets
        self.frames = 0
        self.odd: Counter[str] = Counter()
        self.ended: str | None = None
        self._words: list[PriceWord] = []
        self._identifiers: list[str] = []
        self._failure: BoundaryError | None = None
        self._ready = asyncio.Event()

    def tell(self, *news: PriceWord | str) -> None:
        self.frames += len(news)
        self._identifiers += [each for each in news if isinstance(each, str)]
        self._words += [each for each in news if not isinstance(each, str)]
        self._ready.set()

    def lose(self, failure: BoundaryError | None = None) -> None:
        self._failure = failure or ExchangeUnavailable("closed", code="disconnected")
        self._ready.set()

    def end(self, reason: str) -> None:
        self.ended = reason
        self.lose()

    async def prices(self, *, within_s: float) -> Sequence[PriceWord]:
        await self._wait(within_s)
        words, self._words = self._words, []
        self._raise(words)
        return words

    async def orders(self, *, within_s: float) -> Sequence[str]:
        await self._wait(within_s)
        identifiers, self._identifiers = self._identifiers, []
        self._raise(identifiers)
        return identifiers

    async def _wait(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._ready.wait()
        except TimeoutError:
            return
        if self._failure is None:
            self._ready.clear()

    def _raise(self, news: Sequence[object]) -> None:
        if self._failure is not None and not news:
            raise self._failure


class FakeStreams:
    """Satisfies ports.LiveStreams.

    Attributes:
        opened: the connections, oldest first.
        refusals: raised by the next handshakes, one each.
    """

    def __init__(self) -> None:
        self.opened: list[FakeConnection] = []
        self.refusals: list[BoundaryError] = []
        self.is_open = asyncio.Event()  #: set by the next connection; clear it to wait for another

    @asynccontextmanager
    async def prices(self, markets: Sequence[Market]) -> AsyncIterator[FakeConnection]:
        yield self._connected(markets)

    @asynccontextmanager
    async def orders(self) -> AsyncIterator[FakeConnection]:
        yield self._connected(())

    def _connected(self, markets: Sequence[Market]) -> FakeConnection:
        if self.refusals:
            raise self.refusals.pop(0)
        self.opened.append(FakeConnection(markets))
        self.is_open.set()
        return self.opened[-1]


class AwayStreams(FakeStreams):
    """No handshake ever works."""

    def _connected(self, markets: Sequence[Market]) -> FakeConnection:
        raise ExchangeUnavailable("Upbit cannot be reached", code="unreachable")
