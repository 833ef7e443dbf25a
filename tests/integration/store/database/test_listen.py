"""Notifications from other processes."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from loguru import logger

from service.store.database.dsn import connect, parameters, url
from service.store.database.listen import PAUSES_S, Listener
from tests.faults.proxy import through_a_proxy

SAFETY_S = 20
NOTIFY = "SELECT pg_notify('settings_changed', %(payload)s)"
CANCELLED = "DO $$BEGIN RAISE SQLSTATE '57014'; END$$"
TESTED = """
    SELECT count(*)
      FROM pg_stat_activity
     WHERE datname = current_database()
       AND pid <> pg_backend_pid()
       AND query LIKE '%pg_listening_channels%'
"""
KILL = """
    SELECT pg_terminate_backend(pid, 5000)
      FROM pg_stat_activity
     WHERE datname = current_database()
       AND pid <> pg_backend_pid()
"""


def execute(dsn: str, sql: str, **params: str) -> None:
    with closing(connect(parameters(dsn))) as other, other.cursor() as cursor:
        cursor.execute(sql, params)


def beats(dsn: str) -> int:
    """Return how many connections were tested so far."""
    with closing(connect(parameters(dsn))) as other, other.cursor() as cursor:
        cursor.execute(TESTED)
        (number,) = cursor.fetchone() or (0,)
    return int(number)


class Ear:
    """Keeps what it was told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.pauses: list[float] = []
        self.failing = 0

    async def heard(self, payload: str) -> None:
        self.told.put_nowait(payload)

    async def reconnected(self) -> None:
        self.told.put_nowait("<connected>")

    def lost(self) -> None:
        self.told.put_nowait("<lost>")

    async def pause(self, seconds: float, wake: asyncio.Event) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self.failing:
            wake.set()
        await asyncio.sleep(0)

    async def next(self) -> str:
        async with asyncio.timeout(SAFETY_S):
            return await self.told.get()


@asynccontextmanager
async def listening(dsn: str, ear: Ear, **options: float) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    listener = Listener(
        dsn,
        "settings_changed",
        heard=ear.heard,
        reconnected=ear.reconnected,
        lost=ear.lost,
        pause=ear.pause,
        **options,
    )
    async with asyncio.timeout(SAFETY_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(listener.run(stopping))
        while await ear.next() != "<connected>":
            pass  # a first attempt may fail
        yield
        stopping.set()


async def test_what_another_process_says_is_heard_in_order(dsn: str) -> None:
    ear = Ear()

    async with listening(dsn, ear):
        for payload in ("markets", "stop_loss_pct"):
            execute(dsn, NOTIFY, payload=payload)
        heard = [await ear.next(), await ear.next()]

    assert heard == ["markets", "stop_loss_pct"]
    assert ear.pauses == []


@asynccontextmanager
async def a_wire_where_listen_becomes(statement: str, dsn: str, folder: Path) -> AsyncIterator[str]:
    """Yield an address of the same database; the first LISTEN that comes is replaced."""
    given = parameters(dsn)
    replacing = statement.encode() + b"\0"
    instead = [b"Q" + (len(replacing) + 4).to_bytes(4, "big") + replacing]

    async def carry(reader: StreamReader, writer: StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(instead.pop() if b"LISTEN" in chunk and instead else chunk)
        writer.close()

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        path = f"{given['host']}/.s.PGSQL.{given['port']}"
        from_server, to_server = await asyncio.open_unix_connection(path)
        await asyncio.gather(carry(reader, to_server), carry(from_server, writer))

    path = folder / ".s.PGSQL.5432"
    async with await asyncio.start_unix_server(connected, path):
        yield url(host=str(folder), port=5432, user=given["user"], database=given["dbname"])


async def test_a_cancelled_listen_does_not_end_the_listening(dsn: str, tmp_path: Path) -> None:
    ear = Ear()

    async with (
        a_wire_where_listen_becomes(CANCELLED, dsn, tmp_path) as address,
        listening(address, ear),
    ):
        execute(dsn, NOTIFY, payload="markets")
        heard = await ear.next()

    assert heard == "markets"
    assert ear.pauses == [PAUSES_S[0]]


async def test_a_lost_connection_comes_back_and_says_so(dsn: str) -> None:
    ear = Ear()
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{level} {message}")

    async with listening(dsn, ear):
        execute(dsn, KILL)
        after = [await ear.next(), await ear.next()]
        execute(dsn, NOTIFY, payload="markets")
        heard = await ear.next()
    logger.remove(sink)

    assert (after, heard) == (["<lost>", "<connected>"], "markets")
    assert ear.pauses == [1.0]
    assert [line for line in lines if "notifications" in line] == [
        "WARNING notifications lost, reconnecting\n",
        "INFO notifications are back\n",
    ]


async def test_a_connection_that_fell_silent_without_a_word_is_given_up(dsn: str) -> None:
    """No packet says that it is lost: a firewall dropped it, or the other machine lost power."""
    ear = Ear()

    async with (
        through_a_proxy(dsn) as (proxy, address),
        listening(address, ear, silence_s=0.01, beat_s=0.2),
    ):
        proxy.stop_flow()
        lost = await ear.next()
        proxy.let_flow()
        after = await ear.next()

    assert (lost, after) == ("<lost>", "<connected>")


async def test_a_quiet_connection_that_answers_stays(dsn: str) -> None:
    ear = Ear()

    async with listening(dsn, ear, silence_s=0.001):
        while not beats(dsn):  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0)
        execute(dsn, NOTIFY, payload="markets")
        heard = await ear.next()

    assert (heard, ear.pauses) == ("markets", [])


async def test_no_payload_is_lost_between_two_silences(dsn: str) -> None:
    """aiopg's queue loses a payload whose reader is cancelled while it is handed over."""
    ear = Ear()
    said = [str(number) for number in range(300)]

    async with listening(dsn, ear, silence_s=0.0001):
        for payload in said:
            await asyncio.to_thread(execute, dsn, NOTIFY, payload=payload)
        heard = [await ear.next() for _ in said]

    assert heard == said


async def test_a_session_in_which_listen_has_no_effect_is_given_up(
    dsn: str, tmp_path: Path
) -> None:
    """As behind a pooler that gives each statement another session of the server."""
    ear = Ear()

    async with (
        a_wire_where_listen_becomes("SELECT 1", dsn, tmp_path) as address,
        listening(address, ear, silence_s=0.001),
    ):
        lost = await ear.next()

    assert lost == "<lost>"


async def test_each_outage_begins_with_the_shortest_pause(dsn: str) -> None:
    ear = Ear()

    async with listening(dsn, ear):
        for _ in range(2):
            execute(dsn, KILL)
            assert [await ear.next(), await ear.next()] == ["<lost>", "<connected>"]

    assert ear.pauses == [1.0, 1.0]


async def test_a_server_that_stays_away_is_asked_less_and_less_and_warned_of_once() -> None:
    ear = Ear()
    ear.failing = 8
    stopping = asyncio.Event()
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{level} {message}")
    nowhere = "postgresql://trader:canary@127.0.0.1:1/trader"
    listener = Listener(
        nowhere,
        "settings_changed",
        heard=ear.heard,
        reconnected=ear.reconnected,
        lost=ear.lost,
        pause=ear.pause,
    )

    async with asyncio.timeout(SAFETY_S):
        await listener.run(stopping)
    logger.remove(sink)

    assert ear.pauses == [*PAUSES_S, 30.0, 30.0]
    assert lines == ["WARNING notifications lost, reconnecting\n"]


async def test_it_stops_while_it_listens(dsn: str) -> None:
    ear = Ear()

    async with listening(dsn, ear):
        pass

    assert (await ear.next(), ear.told.empty()) == ("<lost>", True)


async def test_it_does_not_even_connect_when_it_is_to_stop() -> None:
    ear = Ear()
    stopping = asyncio.Event()
    stopping.set()

    await Listener(
        "postgresql://127.0.0.1:1/x",
        "c",
        heard=ear.heard,
        reconnected=ear.reconnected,
        lost=ear.lost,
    ).run(stopping)

    assert ear.told.empty()
