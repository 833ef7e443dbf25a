"""The cache's promises, each of which aiocache alone would break."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from service.settings.cache import TTL_S, LoadingCache


class Source:
    """Values to load; each load waits for `go`, after it has read."""

    def __init__(self) -> None:
        self.value: object = "old"
        self.loads = 0
        self.go = asyncio.Event()
        self.reading = asyncio.Event()

    async def load(self) -> object:
        self.loads += 1
        value, go = self.value, self.go
        self.reading.set()
        await go.wait()
        if isinstance(value, Exception):
            raise value
        return value

    def open(self) -> "Source":
        self.go.set()
        return self

    def next_loads_are_free(self) -> asyncio.Event:
        """Keep those waiting who wait; return what lets them go."""
        held, self.go = self.go, asyncio.Event()
        self.go.set()
        return held


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - aiocache sets no event when a time is over
            await asyncio.sleep(0)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache() -> LoadingCache:
    return LoadingCache()


async def start(cache: LoadingCache, source: Source) -> asyncio.Task[object]:
    """Return a reader whose load has read its value and waits to hand it over."""
    reader = asyncio.create_task(cache.get("key", source.load))
    await source.reading.wait()
    return reader


async def test_a_second_read_does_not_load(cache: LoadingCache, source: Source) -> None:
    source.open()

    first = await cache.get("key", source.load)
    second = await cache.get("key", source.load)

    assert first == second == "old"
    assert source.loads == 1


@pytest.mark.parametrize("value", [None, False, 0, "", ()])
async def test_an_empty_value_is_kept_like_any_other(
    cache: LoadingCache, source: Source, value: object
) -> None:
    source.open().value = value

    first = await cache.get("key", source.load)
    second = await cache.get("key", source.load)

    assert first is second is value
    assert source.loads == 1


async def test_fifty_misses_at_once_are_one_load(cache: LoadingCache, source: Source) -> None:
    readers = [asyncio.create_task(cache.get("key", source.load)) for _ in range(50)]
    await source.reading.wait()
    source.open()

    values = await asyncio.gather(*readers)

    assert values == ["old"] * 50
    assert source.loads == 1
    assert (cache.stats()["misses"], cache.stats()["loads"]) == (50, 1)


async def test_different_names_do_not_wait_for_each_other(
    cache: LoadingCache, source: Source
) -> None:
    reader = await start(cache, source)
    other = Source().open()

    assert await cache.get("other", other.load) == "old"
    assert not reader.done()

    source.open()
    await reader


async def test_a_failing_load_reaches_all_who_wait_and_is_not_kept(
    cache: LoadingCache, source: Source
) -> None:
    source.value = ConnectionError("gone")
    readers = [asyncio.create_task(cache.get("key", source.load)) for _ in range(50)]
    await source.reading.wait()
    source.open()

    outcomes = await asyncio.gather(*readers, return_exceptions=True)
    failure, source.value = source.value, "new"

    assert outcomes == [failure] * 50
    assert source.loads == 1
    assert cache.stats()["load_failures"] == 1
    assert await cache.get("key", source.load) == "new"


async def test_one_who_stops_waiting_does_not_stop_the_load(
    cache: LoadingCache, source: Source
) -> None:
    first = await start(cache, source)
    second = asyncio.create_task(cache.get("key", source.load))
    await until(lambda: cache.stats()["misses"] == 2)

    first.cancel()
    await asyncio.wait({first})
    source.open()

    assert first.cancelled()
    assert await second == "old"
    assert source.loads == 1


async def test_a_load_that_nobody_waits_for_any_more_is_kept(
    cache: LoadingCache, source: Source
) -> None:
    reader = await start(cache, source)
    reader.cancel()
    await asyncio.wait({reader})
    source.open()

    await until(lambda: cache.stats()["entries"] == 1)

    assert await cache.get("key", source.load) == "old"
    assert source.loads == 1


async def test_a_failure_that_nobody_hears_is_not_reported_as_lost(
    cache: LoadingCache, source: Source
) -> None:
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    source.value = ConnectionError("gone")
    reader = await start(cache, source)
    reader.cancel()
    await asyncio.wait({reader})
    source.open()

    await until(lambda: cache.stats()["load_failures"] == 1)
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(before)

    assert reported == []


async def test_a_value_read_before_an_invalidation_is_not_kept_after_it(
    cache: LoadingCache, source: Source
) -> None:
    reader = await start(cache, source)

    await cache.invalidate("key")
    source.value = "new"
    source.open()

    assert await reader == "old"
    assert cache.stats()["entries"] == 0
    assert await cache.get("key", source.load) == "new"


async def test_who_asks_after_an_invalidation_does_not_join_the_load_before_it(
    cache: LoadingCache, source: Source
) -> None:
    early = await start(cache, source)

    await cache.invalidate("key")
    source.value, held = "new", source.next_loads_are_free()
    late = await cache.get("key", source.load)
    held.set()

    assert late == "new"
    assert await early == "old"
    assert await cache.get("key", source.load) == "new", "the early load must not write over it"
    assert source.loads == 2


async def test_an_invalidated_value_is_loaded_again(cache: LoadingCache, source: Source) -> None:
    source.open()
    await cache.get("key", source.load)
    source.value = "new"

    await cache.invalidate("key")

    assert cache.stats()["entries"] == 0
    assert await cache.get("key", source.load) == "new"


async def test_what_was_never_cached_can_be_invalidated(cache: LoadingCache) -> None:
    await cache.invalidate("key")

    assert cache.stats()["invalidations"] == 1


@pytest.mark.proves("FR-004")
async def test_a_value_is_kept_for_an_hour(cache: LoadingCache, source: Source) -> None:
    source.open()
    loop = asyncio.get_running_loop()
    before = loop.time()

    await cache.get("key", source.load)

    due = cache._memory._handlers["key"].when()
    assert before + 3600 <= due <= loop.time() + 3600
    assert TTL_S == 3600


@pytest.mark.proves("S2.edge", "FR-004")
async def test_a_value_is_loaded_again_when_its_time_is_over(source: Source) -> None:
    cache = LoadingCache(ttl_s=0.01)
    await cache.get("key", source.open().load)
    source.value = "changed behind our back"

    await until(lambda: cache.stats()["entries"] == 0)

    assert await cache.get("key", source.load) == "changed behind our back"


async def test_a_read_starts_no_timer(
    cache: LoadingCache, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiocache's own time-out of 5 s would be a timer for each read."""
    await cache.get("key", source.open().load)
    timers: list[object] = []
    monkeypatch.setattr(
        asyncio.get_running_loop(), "call_at", lambda *args, **_: timers.append(args)
    )

    value = await cache.get("key", source.load)

    assert value == "old"
    assert timers == []


async def test_with_aiocache_switched_off_every_read_loads(
    cache: LoadingCache, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cache.get("key", source.open().load)
    source.value = "new"

    monkeypatch.setenv("AIOCACHE_DISABLE", "1")

    assert await cache.get("key", source.load) == "new"


async def test_an_invalidation_also_ends_the_old_values_timer(
    cache: LoadingCache, source: Source
) -> None:
    await cache.get("key", source.open().load)
    old_timer = cache._memory._handlers["key"]

    await cache.invalidate("key")
    await cache.get("key", source.load)

    assert old_timer.cancelled(), "it would delete the new value before its hour is over"
    assert not cache._memory._handlers["key"].cancelled()


async def test_two_caches_share_nothing(source: Source) -> None:
    one, two = LoadingCache(), LoadingCache()
    await one.get("key", source.open().load)
    source.value = "new"

    assert await two.get("key", source.load) == "new"
    assert await one.get("key", source.load) == "old"


async def test_the_counters_tell_hits_from_misses(cache: LoadingCache, source: Source) -> None:
    before = cache.stats()
    source.open()

    for _ in range(20):
        await cache.get("key", source.load)
    await cache.invalidate("key")
    await cache.get("key", source.load)

    assert before["hit_ratio"] is None
    assert cache.stats() == {
        "hits": 19,
        "misses": 2,
        "hit_ratio": 19 / 21,
        "loads": 2,
        "load_failures": 0,
        "invalidations": 1,
        "entries": 1,
    }


async def test_closing_ends_a_load_that_hangs_and_whoever_waits_for_it() -> None:
    cache, source = LoadingCache(), Source()
    reader = asyncio.create_task(cache.get("key", source.load))
    await source.reading.wait()

    await cache.close()

    await asyncio.wait({reader}, timeout=10)
    assert reader.cancelled()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("cache.load")]
    await cache.close()  # with nothing on its way there is nothing to end


async def test_while_notifications_may_be_missed_each_read_is_a_load_of_its_own(
    cache: LoadingCache, source: Source
) -> None:
    source.open()
    await cache.get("key", source.load)

    cache.is_trusted = False
    source.value = "new"
    read = [await cache.get("key", source.load) for _ in range(2)]

    assert (read, source.loads) == (["new", "new"], 3)
    assert cache.stats()["hits"] == 0


async def test_a_read_does_not_join_a_load_that_began_before_notifications_were_lost(
    cache: LoadingCache, source: Source
) -> None:
    earlier = await start(cache, source)

    cache.is_trusted = False
    source.value, let_go = "new", source.next_loads_are_free()
    read = await cache.get("key", source.load)
    let_go.set()

    assert (read, await earlier) == ("new", "old")


async def test_a_failed_load_while_notifications_may_be_missed_counts(
    cache: LoadingCache, source: Source
) -> None:
    source.open().value = ValueError("gone")
    cache.is_trusted = False

    with pytest.raises(ValueError, match="gone"):
        await cache.get("key", source.load)

    assert cache.stats()["load_failures"] == 1
