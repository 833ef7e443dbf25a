"""What the exchange tells by itself: prices, and what happens to our orders."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from service.domain.markets import Market
from service.domain.prices import PriceWord


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """What is shown of one stream."""

    connected: bool
    frames: int  #: since the start of the process
    odd: int  #: frames that could not be used
    reconnects: int
    quiet_s: float | None  #: real seconds since the newest news; None: none yet


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFigures:
    """What is shown of the prices that are believed.

    Attributes:
        heard: words by source, since the start of the process.
        refused: words that were not believed, by doubt.
        age_s: market seconds since a price was heard, by market; absent before the first.
        doubts: by market, where there is one.
    """

    heard: Mapping[str, int]
    refused: Mapping[str, int]
    age_s: Mapping[Market, float]
    doubts: Mapping[Market, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFigures:
    """What is shown of the streams, by name, and of the prices."""

    streams: Mapping[str, StreamState]
    prices: PriceFigures


class NewsConnection(Protocol):
    """One open connection.

    Attributes:
        frames: read so far, the odd ones included.
        odd: frames that could not be used, by what was odd; short names of ours.
    """

    @property
    def frames(self) -> int: ...

    @property
    def odd(self) -> Mapping[str, int]: ...

    def end(self, reason: str) -> None:
        """Have the next call raise ExchangeUnavailable with the code "timeout" and this reason."""


class PriceConnection(NewsConnection, Protocol):
    async def prices(self, *, within_s: float) -> Sequence[PriceWord]:
        """Return the newest word of each market that had one since the last call.

        It waits for the first one, `within_s` real seconds at most; then it returns nothing. An
        older word that the caller was too slow for is left out.

        Raises: ExchangeUnavailable, when the connection is lost; ExchangeRefused, when the exchange
            refuses what was asked for.
        """


class OrderConnection(NewsConnection, Protocol):
    async def orders(self, *, within_s: float) -> Sequence[str]:
        """Return the identifiers of orders of which there is news since the last call.

        None is ever left out; several news of one order are told as one. Waits and raises as
        `prices` does. An order without an identifier is not ours, and not told.
        """


class LiveStreams(Protocol):
    """Opens connections. A handshake that fails raises as `prices` does."""

    def prices(self, markets: Sequence[Market]) -> AbstractAsyncContextManager[PriceConnection]:
        """Subscribe to the prices of `markets`: the present ones come first.

        A market that the exchange does not know is silent.
        """

    def orders(self) -> AbstractAsyncContextManager[OrderConnection]:
        """Subscribe to what happens to the orders of the account, from now on."""
