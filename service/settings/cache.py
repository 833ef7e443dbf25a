"""One load for many waiting callers, no old value after an invalidation: what aiocache lacks.

With aiocache alone, fifty misses at once are fifty queries. And a value that was read before an
invalidation but stored after it stays for the whole TTL.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar, cast

from aiocache import SimpleMemoryCache

from service.ports.health import CacheStats

TTL_S: Final = 3600.0  #: given explicitly: without one aiocache keeps a value for ever

T = TypeVar("T")
_Flight = tuple[str, int]  #: name and generation


class _Memory(SimpleMemoryCache):  # type: ignore[misc]  # aiocache publishes no types
    @property
    def size(self) -> int:
        # aiocache has no public count of what it keeps.
        return len(self._cache)


class LoadingCache:
    """Values by name, each loaded when first asked for and again after `ttl_s` seconds.

    A generation counts a name's invalidations. A load belongs to the generation it began in:
    later callers do not join it, and it may not leave its value behind.

    Attributes:
        is_trusted: False while invalidations may be missed. Then each read is a load of its own,
            begun after the call, and nothing that is kept is returned.
    """

    def __init__(self, *, ttl_s: float = TTL_S) -> None:
        # timeout=None: aiocache would start a timer for each read, six times the read's cost.
        self._memory = _Memory(ttl=ttl_s, timeout=None)
        self.is_trusted = True
        self._generations: defaultdict[str, int] = defaultdict(int)
        self._loading: dict[_Flight, asyncio.Task[object]] = {}
        self._hits = self._misses = self._loads = self._failures = self._invalidations = 0

    async def get(self, name: str, load: Callable[[], Awaitable[T]]) -> T:
        """Return the value called `name`, or what `load` returns or raises.

        A failed load raises in every caller that waits for it, and is not kept. Cancelling one
        caller does not cancel the load.
        """
        if not self.is_trusted:
            return await self._untrusted(load)
        held = await self._memory.get(name)
        if held is not None:
            self._hits += 1
            return cast("tuple[T]", held)[0]
        self._misses += 1
        flight = name, self._generations[name]
        task = self._loading.get(flight) or self._start(flight, load)
        # Not `await task`, which would pass our own cancellation on to it.
        await asyncio.wait({task})
        return cast(T, task.result())

    async def _untrusted(self, load: Callable[[], Awaitable[T]]) -> T:
        self._misses += 1
        self._loads += 1
        try:
            return await load()
        except BaseException:
            self._failures += 1
            raise

    async def invalidate(self, name: str) -> None:
        """Forget the value; later reads get one whose load begins later."""
        self._invalidations += 1
        self._generations[name] += 1
        # Key by key: aiocache's clear() drops values but not their timers, and an old timer
        # then ends a new value early.
        await self._memory.delete(name)

    def generation(self, name: str) -> int:
        """Return what `keep` asks for, read before the value is."""
        return self._generations[name]

    async def keep(self, name: str, value: object, *, generation: int) -> None:
        """Keep a value that was read together with others; not after an invalidation since."""
        if self.is_trusted and self._generations[name] == generation:
            await self._memory.set(name, (value,))

    async def close(self) -> None:
        """Cancel the loads under way, before the database they read from is closed."""
        if tasks := set(self._loading.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def stats(self) -> CacheStats:
        """Return the counts since the process started. Waiting for another's load is a miss."""
        reads = self._hits + self._misses
        return {
            "hits": self._hits,
            "misses": self._misses,
            "hit_ratio": self._hits / reads if reads else None,
            "loads": self._loads,
            "load_failures": self._failures,
            "invalidations": self._invalidations,
            "entries": self._memory.size,
        }

    def _start(
        self, flight: _Flight, load: Callable[[], Awaitable[object]]
    ) -> asyncio.Task[object]:
        self._loads += 1
        task = asyncio.create_task(self._load(flight, load), name=f"cache.load {flight[0]}")
        # The dict holds the task: the event loop alone would not keep it alive.
        self._loading[flight] = task
        task.add_done_callback(partial(self._landed, flight))
        return task

    async def _load(self, flight: _Flight, load: Callable[[], Awaitable[object]]) -> object:
        name, generation = flight
        value = await load()
        # No other task runs between the check and the write: a cache in memory never suspends.
        if self._generations[name] == generation:
            # In a tuple, because aiocache cannot tell a stored None from a miss.
            await self._memory.set(name, (value,))
        return value

    def _landed(self, flight: _Flight, task: asyncio.Task[object]) -> None:
        del self._loading[flight]
        # Looking at the exception also tells asyncio that it was not lost, should every
        # waiter have been cancelled meanwhile.
        if task.cancelled() or task.exception() is not None:
            self._failures += 1
