"""Reads the frames of one connection as fast as they come, and keeps what is not taken yet.

Nothing waits for the taker: a slow one loses older prices, never memory and never an order's news.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiohttp
import orjson
from loguru import logger

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.market_events import MarketEvents
from service.adapters.upbit.record import Record
from service.adapters.upbit.stream.tickers import StreamedPrice, TickerReader
from service.domain.errors import BoundaryError, ExchangeRefused, ExchangeUnavailable
from service.domain.markets import Market

#: So many odd frames without a good one between them end the connection.
MOST_ODD: Final = 20
#: Real seconds without a word to Upbit after its complaint: its limit counts by the minute too.
SLOW_DOWN_S: Final = 60.0
_SLOW_DOWN: Final = "Too Many Requests"
_BLOCKED: Final = "I'm a teapot"
_LONGEST_NAME: Final = 32
_Frame = dict[str, Any]  # Any: JSON


class FrameReader:
    """One connection's frames; satisfies ports.NewsConnection. A kind of frame is a subclass.

    What ends the connection is kept, and raised to the taker after what came before it.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        self._ready = asyncio.Event()  #: there is news, or the connection has ended
        self._failure: BoundaryError | None = None
        self._odd_in_a_row = 0
        self.frames = 0
        self.odd: Counter[str] = Counter()

    async def read(self) -> None:
        """Read until the connection ends; the taker hears of every end."""
        try:
            while self._failure is None:
                message = await self._socket.receive()
                if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                    self.hear(message.data)
                else:
                    self._fail(_lost(message.data))
        finally:
            self._fail(ExchangeUnavailable("the stream is no longer read", code="disconnected"))

    def end(self, reason: str) -> None:
        self._fail(ExchangeUnavailable(f"the stream is given up: {reason}", code="timeout"))

    def _take(self, frame: _Frame, raw: bytes) -> bool:
        """Keep the news in `frame`; return whether there is any. Raises: OddAnswer."""
        raise NotImplementedError

    async def _wait(self, within_s: float) -> None:
        """Wait for news or the end, `within_s` real seconds at most."""
        if not self._ready.is_set():
            try:
                # Only the event is waited for: a wait that is cut short loses no frame.
                async with asyncio.timeout(within_s):
                    await self._ready.wait()
            except TimeoutError:
                return
        if self._failure is None:
            self._ready.clear()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def hear(self, raw: bytes) -> None:
        """Take one frame."""
        self.frames += 1
        try:
            frame = orjson.loads(raw)
            if type(frame) is dict and self._take(frame, raw):
                self._odd_in_a_row = 0
                self._ready.set()
            else:
                _check(frame)
        except orjson.JSONDecodeError:
            self._note_odd("not_json", "not JSON")
        except OddAnswer as exc:
            self._note_odd("not_readable", str(exc))
        except (ExchangeUnavailable, ExchangeRefused) as exc:
            self._fail(exc)

    def _note_odd(self, what: str, cause: str) -> None:
        """Count a frame that cannot be used, and warn about the first of its kind."""
        self.odd[what] += 1
        self._odd_in_a_row += 1
        if self.odd[what] == 1:
            logger.bind(event="app", odd=what, cause=cause).warning(
                "a frame of the stream cannot be used"
            )
        if self._odd_in_a_row >= MOST_ODD:
            self._fail(ExchangeUnavailable("Upbit's frames cannot be read", code="bad_answer"))

    def _fail(self, failure: BoundaryError) -> None:
        if self._failure is None:
            self._failure = failure
        self._ready.set()


class PriceReader(FrameReader):
    """Keeps the newest ticker frame of each market. Satisfies ports.PriceConnection."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse[bool],
        markets: Iterable[Market],
        market_events: MarketEvents | None = None,
    ) -> None:
        super().__init__(socket)
        self._market_events = market_events
        self._tickers = {str(market): TickerReader(market) for market in markets}
        self._newest: dict[str, tuple[_Frame, bytes]] = {}

    async def prices(self, *, within_s: float) -> Sequence[StreamedPrice]:
        await self._wait(within_s)
        newest, self._newest = self._newest, {}
        if not newest:
            self._raise_failure()
        words: list[StreamedPrice] = []
        for code, (frame, raw) in newest.items():
            if self._market_events is not None:
                self._market_events.hear(self._tickers[code].market, frame)
            try:
                words.append(self._tickers[code].word(frame, raw))
            except OddAnswer as exc:
                self._note_odd("not_readable", str(exc))
        return words

    def _take(self, frame: _Frame, raw: bytes) -> bool:
        code = frame.get("code")
        # Other types and codes were not asked for; they are Upbit's to add.
        if frame.get("type") != "ticker" or code not in self._tickers:
            return False
        self._newest[code] = frame, raw
        return True


class OrderReader(FrameReader):
    """Keeps which orders there is news of. Satisfies ports.OrderConnection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        super().__init__(socket)
        self._identifiers: dict[str, None] = {}  #: in the order of their first news

    async def orders(self, *, within_s: float) -> Sequence[str]:
        await self._wait(within_s)
        identifiers, self._identifiers = self._identifiers, {}
        if not identifiers:
            self._raise_failure()
        return tuple(identifiers)

    def _take(self, frame: _Frame, raw: bytes) -> bool:  # noqa: ARG002 - the method of all kinds
        if frame.get("type") != "myOrder":
            return False
        identifier = Record(frame, "myOrder").text_or_none("identifier")
        if identifier is not None:
            self._identifiers[identifier] = None
        return identifier is not None


def _check(frame: object) -> None:
    """Look at a frame without news: Upbit may add types, but not leave the form of an object.

    Raises: OddAnswer; BoundaryError, Upbit's complaint.
    """
    if type(frame) is not dict:
        raise OddAnswer("frame: no object")
    if "error" in frame:
        raise _complaint(frame)


def _lost(error: object) -> BoundaryError:
    """Return why no frame comes any more. An error's own text stays out: it may quote a frame.

    Args: error: that the last message holds, if it holds one.
    """
    if isinstance(error, aiohttp.ServerTimeoutError):
        return ExchangeUnavailable("Upbit's stream answers no pings", code="timeout")
    if isinstance(error, aiohttp.WebSocketError):
        text = f"Upbit's stream broke its protocol ({int(error.code)})"
        return ExchangeUnavailable(text, code="bad_answer")
    return ExchangeUnavailable("Upbit's stream was closed", code="disconnected")


def _complaint(frame: _Frame) -> BoundaryError:
    """Return what an error frame means: wait, or what was asked for is refused."""
    name = Record(frame, "frame").record("error").text("name")
    if name == _SLOW_DOWN:
        return ExchangeUnavailable(
            "Upbit asks us to slow down", code="too_many_requests", retry_after_s=SLOW_DOWN_S
        )
    if name == _BLOCKED:
        return ExchangeUnavailable(
            "Upbit has blocked us for sending too much", code="banned", retry_after_s=SLOW_DOWN_S
        )
    known = name if len(name) <= _LONGEST_NAME and name.isidentifier() else "unnamed"
    return ExchangeRefused(f"Upbit refused the subscription: {known}", code=known.lower())
