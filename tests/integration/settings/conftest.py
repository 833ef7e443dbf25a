"""The settings as a process of the service has them: own pool, own cache, own listener."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import pytest

from service.ports.settings import SettingChange, SharedRule
from service.ports.store import JSON
from service.settings.settings import Settings
from service.store.database.listen import Listener
from service.store.database.pool import Pool, open_pool
from service.store.tables.settings import CHANNEL, PgSettingRows
from tests.fakes.clock import FakeClock

T = TypeVar("T")


class CountingRows:
    """The real rows; counts what is loaded, and can hold a load back after it has read."""

    def __init__(self, pool: Pool) -> None:
        self._rows = PgSettingRows(pool)
        self._held: asyncio.Event | None = None
        self.loads: Counter[str] = Counter()
        self.has_read = asyncio.Event()

    def hold(self) -> asyncio.Event:
        """Let the next load wait, its answer in hand, until the returned event is set."""
        self._held = asyncio.Event()
        return self._held

    async def load(self, key: str) -> tuple[JSON] | None:
        self.loads[key] += 1
        held, self._held = self._held, None
        row = await self._rows.load(key)
        if held is not None:
            self.has_read.set()
            await held.wait()
        return row

    async def load_all(self) -> Mapping[str, JSON]:
        return await self._rows.load_all()

    async def change(
        self,
        values: Mapping[str, JSON],
        *,
        defaults: Mapping[str, JSON],
        by: str,
        at: datetime,
        request_id: str | None,
        only_absent: bool = False,
        rule: SharedRule | None = None,
    ) -> tuple[SettingChange, ...]:
        return await self._rows.change(
            values,
            defaults=defaults,
            by=by,
            at=at,
            request_id=request_id,
            only_absent=only_absent,
            rule=rule,
        )


@dataclass(frozen=True, slots=True)
class Process:
    settings: Settings
    rows: CountingRows
    heard: "asyncio.Queue[str]"  #: keys, each after it was invalidated
    cleared: "asyncio.Queue[None]"  #: one for each time the listener connected


@asynccontextmanager
async def a_process(dsn: str) -> AsyncIterator[Process]:
    async with open_pool(dsn, minsize=1, maxsize=3) as pool:
        rows = CountingRows(pool)
        process = Process(Settings(rows, FakeClock()), rows, asyncio.Queue(), asyncio.Queue())
        listener = Listener(
            dsn,
            CHANNEL,
            heard=lambda key: _heard(process, key),
            reconnected=lambda: _connected(process),
            lost=process.settings.distrust,
            pause=_at_once,
        )
        stopping = asyncio.Event()
        listening = asyncio.create_task(listener.run(stopping))
        try:
            await soon(process.cleared)
            yield process
        finally:
            stopping.set()
            await listening


async def soon(queue: "asyncio.Queue[T]") -> T:
    async with asyncio.timeout(20):
        return await queue.get()


async def _heard(process: Process, key: str) -> None:
    await process.settings.invalidate(key)
    process.heard.put_nowait(key)


async def _connected(process: Process) -> None:
    await process.settings.trust()
    process.cleared.put_nowait(None)


async def _at_once(_seconds: float, _wake: asyncio.Event) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[Process]:
    async with a_process(dsn) as process:
        yield process


@pytest.fixture
async def there(dsn: str) -> AsyncIterator[Process]:
    async with a_process(dsn) as process:
        yield process
