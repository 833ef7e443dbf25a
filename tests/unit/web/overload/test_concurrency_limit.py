"""Who gets a place, who waits, who is sent away."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from aiohttp.test_utils import make_mocked_request

from service.domain.markets import Market
from service.web.overload.concurrency_limit import (
    CONCURRENCY_LIMITS,
    LIMITS,
    ConcurrencyLimit,
    ConcurrencyLimits,
    Limit,
    RequestKind,
)
from service.web.protocol.errors import Overloaded
from tests.fakes.lists import FakeLists
from tests.unit.web.world import Client, Serve, World

SAFETY_S = 10
URL = "/api/v1/signals"


def a_limit(*, at_work: int = 1, waiting: int = 1, wait_s: float = SAFETY_S) -> ConcurrencyLimit:
    return ConcurrencyLimit(
        RequestKind.READ, Limit(at_work=at_work, waiting=waiting), wait_s=wait_s
    )


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(SAFETY_S):
        while not true():  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0)


async def hold(limit: ConcurrencyLimit, release: asyncio.Event) -> None:
    async with limit:
        await release.wait()


async def test_who_waits_gets_the_place_that_comes_free() -> None:
    limit, release = a_limit(), asyncio.Event()

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as group:
        group.create_task(hold(limit, release))
        group.create_task(hold(limit, release))
        await until(lambda: limit.state()["waiting"] == 1)
        at_work = limit.state()["at_work"]
        release.set()

    assert at_work == 1
    assert limit.state() == {"limit": 1, "at_work": 0, "waiting": 0, "refused": 0}


async def test_with_a_full_queue_the_next_one_is_refused_at_once() -> None:
    limit, release = a_limit(waiting=0), asyncio.Event()

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as group:
        group.create_task(hold(limit, release))
        await until(lambda: limit.state()["at_work"])
        with pytest.raises(Overloaded, match="ask again"):
            await hold(limit, release)
        release.set()

    assert limit.state()["refused"] == 1


async def test_nobody_waits_for_longer_than_the_queue_allows() -> None:
    limit, release = a_limit(wait_s=0.01), asyncio.Event()

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as group:
        group.create_task(hold(limit, release))
        await until(lambda: limit.state()["at_work"])
        with pytest.raises(Overloaded):
            await hold(limit, release)
        release.set()

    assert limit.state() == {"limit": 1, "at_work": 0, "waiting": 0, "refused": 1}


@pytest.mark.parametrize("fail", [RuntimeError, asyncio.CancelledError])
async def test_a_place_comes_free_however_its_holder_ends(fail: type[BaseException]) -> None:
    limit = a_limit()

    with pytest.raises(fail):
        async with limit:
            raise fail

    async with limit:
        assert limit.state()["at_work"] == 1


async def test_who_gives_up_waiting_takes_no_place_with_him() -> None:
    limit, release = a_limit(), asyncio.Event()
    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as group:
        group.create_task(hold(limit, release))
        await until(lambda: limit.state()["at_work"])
        impatient = group.create_task(hold(limit, release))
        await until(lambda: limit.state()["waiting"] == 1)

        impatient.cancel()
        release.set()

    assert limit.state() == {"limit": 1, "at_work": 0, "waiting": 0, "refused": 0}


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("GET", RequestKind.READ),
        ("HEAD", RequestKind.READ),
        ("POST", RequestKind.CHANGE),
        ("PATCH", RequestKind.CHANGE),
    ],
)
async def test_changes_and_reads_stand_in_lanes_of_their_own(
    method: str, kind: RequestKind
) -> None:
    admission = ConcurrencyLimits()

    async with admission.limit_of(make_mocked_request(method, URL)):
        at_work = {name for name, limit in admission.state().items() if limit["at_work"]}

    assert at_work == {str(kind)}


# --- over HTTP --------------------------------------------------------------------------------


class SlowLists(FakeLists):
    """Answers only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.release = asyncio.Event()

    async def signals_latest(self, markets: Sequence[Market]) -> bytes:
        await self.release.wait()
        return await super().signals_latest(markets)


async def test_of_too_many_reads_the_rest_is_told_to_come_back_and_health_never_is(
    world: World, serve: Serve
) -> None:
    world.lists = lists = SlowLists()
    client = await serve(world)
    admission: ConcurrencyLimits = client.app[CONCURRENCY_LIMITS]
    limit = LIMITS[RequestKind.READ].at_work

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as group:
        working = [group.create_task(status(client, f"{URL}/latest")) for _ in range(limit)]
        await until(lambda: admission.state()["read"]["at_work"] == limit)
        refused = await client.get(f"{URL}/latest")
        change = await client.post(f"{URL}/generate", json={})
        watched = [
            await status(client, path)
            for path in ("/health", "/health/ready", "/health/detailed", "/")
        ]
        lists.release.set()

    problem = await refused.json()
    assert refused.status == 503
    assert refused.headers["Retry-After"] == "1"
    assert problem["type"] == "urn:trader:problem:overloaded"
    assert change.status == 201
    assert watched == [200, 200, 200, 200]
    assert {task.result() for task in working} == {200}
    assert admission.state()["read"] == {"limit": limit, "at_work": 0, "waiting": 0, "refused": 1}


async def test_who_asks_again_at_once_is_read_when_the_time_has_come(
    world: World, serve: Serve
) -> None:
    world.lists = lists = SlowLists()
    client = await serve(world)
    admission: ConcurrencyLimits = client.app[CONCURRENCY_LIMITS]
    limit = LIMITS[RequestKind.READ].at_work

    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(status(client, f"{URL}/latest"))
        await until(lambda: admission.state()["read"]["at_work"] == limit)
        first = await status(client, f"{URL}/latest")
        unread = held_off(client)
        # Of all connections only that one is free, so this goes where nobody listens yet.
        second = await status(client, "/health")
        still_unread = held_off(client)
        lists.release.set()

    assert (first, second) == (503, 200)
    assert (unread, still_unread) == (1, 0)


def held_off(client: Client) -> int:
    server = client.server.handler
    assert server is not None
    transports = [connection.transport for connection in server.connections]
    return sum(not t.is_reading() for t in transports if isinstance(t, asyncio.ReadTransport))


async def test_a_stranger_takes_no_place(world: World, serve: Serve) -> None:
    client = await serve(world)

    answer = await client.get(URL, headers={"Authorization": "Bearer wrong"})

    assert answer.status == 401
    assert client.app[CONCURRENCY_LIMITS].state()["read"]["refused"] == 0


async def status(client: Client, path: str) -> int:
    async with client.get(path) as answer:
        return answer.status
