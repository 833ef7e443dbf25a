"""The market's clock: real time, faster, or from event to event.

`PacedMarketClock` follows the machine's monotonic clock at a fixed speed. `DiscreteMarketClock`
(speed 0) stands still while a participant works. When all participants sleep, it jumps to the
earliest due instant. Both pass every instant to `seen` before they return it, so that it can be
made durable. Both satisfy ports.MarketClock.
"""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

Seen = Callable[[datetime], None]


def _unseen(_: datetime) -> None:
    """Do nothing: for a clock whose instants need not be durable."""


async def real_pause(seconds: float, *, wake: asyncio.Event | None) -> None:
    """Wait so many real seconds, or until `wake` is set."""
    if wake is None or seconds <= 0:
        await asyncio.sleep(max(seconds, 0))
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()


class PacedMarketClock:
    """`speed` market seconds pass in one real second."""

    def __init__(
        self,
        *,
        origin: datetime,
        speed: Decimal = Decimal(1),
        monotonic: Callable[[], float] = time.monotonic,
        seen: Seen = _unseen,
    ) -> None:
        self._origin = origin
        self._speed = float(speed)
        self._monotonic = monotonic
        self._started = monotonic()
        self._seen = seen
        self.speed = speed

    def now(self) -> datetime:
        elapsed = (self._monotonic() - self._started) * self._speed
        instant = self._origin + timedelta(seconds=elapsed)
        self._seen(instant)
        return instant

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait so many market seconds, or until `wake` is set; never less."""
        due = self.now() + timedelta(seconds=seconds)
        await asyncio.sleep(0)
        while (left := (due - self.now()).total_seconds()) > 0:
            if wake is not None and wake.is_set():
                return
            await real_pause(left / self._speed, wake=wake)

    @asynccontextmanager
    async def participant(self) -> AsyncIterator[None]:
        """Do nothing: only a discrete clock waits for participants."""
        yield


@dataclass(slots=True)
class _Participant:
    sleeping: int = 0  #: sleeps under way in the participant's tasks


_current: ContextVar[_Participant | None] = ContextVar("participant", default=None)


@dataclass(slots=True, order=True)
class _Sleeper:
    due: datetime
    number: int  #: of equal instants the earlier sleep ends first
    participant: _Participant | None = field(compare=False)
    wake: Callable[[], None] = field(compare=False)
    is_done: bool = field(compare=False, default=False)


class DiscreteMarketClock:
    """Time jumps to the earliest due instant when every participant sleeps.

    Code inside `participant()`, and the tasks it starts, hold the time back while awake. A sleep
    outside ends at its instant, but the time does not wait for the code after it.
    """

    speed = Decimal(0)

    def __init__(self, *, origin: datetime, seen: Seen = _unseen) -> None:
        self._now = origin
        self._seen = seen
        self._sleepers: list[_Sleeper] = []
        self._count = 0
        self._busy = 0
        self._jump_planned = False

    def now(self) -> datetime:
        self._seen(self._now)
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the time forward on demand, for a client in another process."""
        self._move_to(self._now + timedelta(seconds=seconds))

    @asynccontextmanager
    async def participant(self) -> AsyncIterator[None]:
        """Hold the time back while the caller is awake inside the block."""
        me = _Participant()
        token = _current.set(me)
        self._busy += 1
        try:
            yield
        finally:
            _current.reset(token)
            self._busy -= 1
            self._plan_jump()

    async def sleep_market(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        """Wait until the market's time has advanced by `seconds`, or until `wake` is set."""
        if seconds <= 0 or (wake is not None and wake.is_set()):
            await asyncio.sleep(0)
            return
        loop, forever = asyncio.get_running_loop(), wake or asyncio.Event()
        # A sleep ends by rescheduling its timeout: so no second task must be watched or cancelled.
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                sleeper = self._fall_asleep(seconds, lambda: limit.reschedule(loop.time()))
                try:
                    await forever.wait()
                finally:
                    self._awake(sleeper)

    def _fall_asleep(self, seconds: float, wake: Callable[[], None]) -> _Sleeper:
        self._count += 1
        due, me = self._now + timedelta(seconds=seconds), _current.get()
        sleeper = _Sleeper(due, self._count, me, wake)
        heapq.heappush(self._sleepers, sleeper)
        if me is not None:
            me.sleeping += 1
            self._busy -= me.sleeping == 1
        self._plan_jump()
        return sleeper

    def _awake(self, sleeper: _Sleeper) -> None:
        if sleeper.is_done:
            return
        sleeper.is_done = True
        if (me := sleeper.participant) is not None:
            me.sleeping -= 1
            self._busy += me.sleeping == 0

    def _plan_jump(self) -> None:
        if self._busy == 0 and self._sleepers and not self._jump_planned:
            self._jump_planned = True
            asyncio.get_running_loop().call_soon(self._jump)

    def _jump(self) -> None:
        self._jump_planned = False
        while self._sleepers and self._sleepers[0].is_done:
            heapq.heappop(self._sleepers)
        if self._busy == 0 and self._sleepers:
            self._move_to(self._sleepers[0].due)

    def _move_to(self, instant: datetime) -> None:
        self._now = max(self._now, instant)
        self._seen(self._now)
        while self._sleepers and self._sleepers[0].due <= self._now:
            sleeper = heapq.heappop(self._sleepers)
            if not sleeper.is_done:
                # Counted as awake at once, not when its task runs: else the time could jump on.
                self._awake(sleeper)
                sleeper.wake()
        self._plan_jump()


SandboxClock = PacedMarketClock | DiscreteMarketClock


def make_clock(*, origin: datetime, speed: Decimal, seen: Seen = _unseen) -> SandboxClock:
    """Return the clock for `speed` market seconds a second; 0 is as fast as possible."""
    if speed == 0:
        return DiscreteMarketClock(origin=origin, seen=seen)
    return PacedMarketClock(origin=origin, speed=speed, seen=seen)
