"""The feed: which connection reads what, and the frames that the exchange's events make.

Each frame is built and encoded once a format, however many connections read it. Without readers
nothing is built.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import uuid4

from aiohttp import WSCloseCode

from service.sandbox.exchange.events import OrderEvent
from service.sandbox.exchange.orders import SandboxAccount
from service.sandbox.market.prints import instant_of
from service.sandbox.reply import Body
from service.sandbox.stream.account_frames import my_asset, my_order
from service.sandbox.stream.connection import StreamConnection
from service.sandbox.stream.formats import encoded
from service.sandbox.stream.market_frames import MarketFrames
from service.sandbox.stream.requests import PRIVATE, Format, StreamRequest, Topic, TypeRequest

#: Steps that are sent at most after a jump of the clock: an hour of prints.
_MOST_STEPS: Final = 360
_INSTANT: Final = timedelta(microseconds=1)
Side = Literal["public", "private"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What is not sent, while pings may still be answered. Empty sets mean everything."""

    types: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()

    def covers(self, body: Body) -> bool:
        return (not self.types or body["type"] in self.types) and (
            not self.codes or body.get("code") in self.codes
        )


@dataclass(slots=True, kw_only=True)
class _Subscription:
    format: Format = "DEFAULT"
    types: Sequence[TypeRequest] = field(default_factory=list)
    topics: list[Topic] = field(default_factory=list)  #: those whose real-time frames are sent


class Feed:
    """An `ExchangeObserver` that sends to WebSocket connections."""

    def __init__(
        self,
        frames: MarketFrames,
        *,
        now: Callable[[], datetime],
        matched_now: Callable[[], datetime],
    ) -> None:
        """Args: now: the market's instant; matched_now: the same, once all prints are matched."""
        self._frames = frames
        self._now = now
        self._matched_now = matched_now
        self._subscriptions: dict[StreamConnection, _Subscription] = {}
        self._readers: dict[Topic, list[StreamConnection]] = {}
        self._steps: tuple[int, int] | None = None  #: matched, not yet sent
        self.silence: Silence | None = None
        self.answers_pings = True

    @property
    def is_read(self) -> bool:
        """Whether any connection subscribes to the market."""
        return any(topic.type not in PRIVATE for topic in self._readers)

    def connections(self, side: Side | None = None) -> list[StreamConnection]:
        return [
            each
            for each in self._subscriptions
            if side is None or each.is_private == (side == "private")
        ]

    def shown(self, connection: StreamConnection) -> list[Body]:
        """Return the connection's real-time subscriptions, as LIST_SUBSCRIPTIONS does."""
        return [
            {"type": each.type} | ({"codes": list(each.codes)} if each.codes else {})
            for each in self._subscriptions[connection].types
            if each.is_realtime
        ]

    # --- connections --------------------------------------------------------------------------

    def join(self, connection: StreamConnection) -> None:
        connection.answers_pings = self.answers_pings
        self._subscriptions[connection] = _Subscription()

    def leave(self, connection: StreamConnection) -> None:
        self._subscriptions.pop(connection, None)
        self._index()

    async def close(self) -> None:
        """Say goodbye to every connection, for the sandbox's end."""
        goodbyes = (each.close(WSCloseCode.GOING_AWAY) for each in self.connections())
        await asyncio.gather(*goodbyes)

    def subscribe(self, connection: StreamConnection, request: StreamRequest) -> None:
        """Replace the connection's subscriptions and send the snapshots asked for."""
        subscription = self._subscriptions[connection]
        subscription.format = request.format
        if request.is_listing:
            answer: Body = {"method": "LIST_SUBSCRIPTIONS", "result": self.shown(connection)}
            connection.put(encoded(answer | {"ticket": request.ticket}, request.format))
        if not request.types:
            return
        subscription.types = request.types
        subscription.topics = []
        self._index()
        self._begin(connection, request.types, _topics(request.types))

    def _begin(
        self,
        connection: StreamConnection,
        types: Sequence[TypeRequest],
        left: Iterator[tuple[Topic, TypeRequest]],
    ) -> None:
        """Send the next snapshot and follow its topic from then on, until none is left.

        One in each turn of the event loop: a market's first snapshot takes tens of milliseconds.
        """
        subscription = self._subscriptions.get(connection)
        if subscription is None or subscription.types is not types:
            return  # it has left, or has asked for something else
        now = self._matched_now()
        # What is due goes to the readers of before: the snapshot shows it already.
        self._send_steps()
        for topic, asked in left:
            if asked.is_realtime:
                subscription.topics.append(topic)
                self._readers.setdefault(topic, []).append(connection)
            if asked.has_snapshot:
                for body in self._frames.snapshot(topic, now):
                    self._tell(body, [connection])
                asyncio.get_running_loop().call_soon(self._begin, connection, types, left)
                return

    def _index(self) -> None:
        self._readers = {}
        for connection, subscription in self._subscriptions.items():
            for topic in subscription.topics:
                self._readers.setdefault(topic, []).append(connection)

    # --- the exchange -------------------------------------------------------------------------

    def advanced(self, *, after: int, until: int) -> None:
        if not self._readers:
            return
        if self._steps is None:
            # Sent after the command: the answer to a request does not wait for the frames.
            asyncio.get_running_loop().call_soon(self._send_steps)
            self._steps = (after, until)
        self._steps = (self._steps[0], until)

    def committed(self, events: Sequence[OrderEvent], accounts: Sequence[SandboxAccount]) -> None:
        if not self._readers:
            return
        now = self._now()
        for event in events:
            body = my_order(event, now)
            code = str(event.order.request.market)
            for topic in (Topic("myOrder", ""), Topic("myOrder", code)):
                self._tell(body, self._readers.get(topic, ()))
        topic = Topic("myAsset", "")
        if accounts and (readers := self._readers.get(topic, ())):
            self._tell(my_asset(accounts, now, uuid=str(uuid4())), readers)

    def _send_steps(self) -> None:
        if self._steps is None:
            return
        (after, until), self._steps = self._steps, None
        after = max(after, until - _MOST_STEPS)
        # A frame shows what has been matched, also when the clock has moved on since.
        now = min(self._now(), instant_of(until + 1) - _INSTANT)
        for topic, readers in self._readers.items():
            for body in self._frames.news(topic, after=after, until=until, now=now):
                self._tell(body, readers)

    def _tell(self, body: Body, readers: Iterable[StreamConnection]) -> None:
        if self.silence is not None and self.silence.covers(body):
            return
        frames: dict[Format, bytes] = {}
        for connection in readers:
            style = self._subscriptions[connection].format
            if style not in frames:
                frames[style] = encoded(body, style)
            connection.put(frames[style])


def _topics(types: Iterable[TypeRequest]) -> Iterator[tuple[Topic, TypeRequest]]:
    """Yield each topic once; of two requests the last counts. Those without snapshots go first."""
    asked = {topic: each for each in types for topic in each.topics}
    return iter(sorted(asked.items(), key=lambda item: item[1].has_snapshot))
