"""Fault injections: each is a block that injects a fault and removes it at its end."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, Literal

from service.domain.errors import StartError
from service.sandbox.gemini_api.handlers import MODELS
from service.settings.prices import KNOWN_PRICES
from service.store.database.dsn import connect, parameters
from tests.faults.proxy import Cut
from tests.faults.stack import DATABASE, Stack

Injection = Callable[[Stack], AbstractAsyncContextManager[None]]

#: The service's own sessions, without the one that runs this.
_SESSIONS: Final = """
    SELECT pg_terminate_backend(pid)
      FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

_LISTENING: Final = """
    SELECT pg_terminate_backend(pid)
      FROM pg_stat_activity
     WHERE datname = current_database()
       AND (query LIKE '%LISTEN %' OR query LIKE '%pg_listening_channels%')
       AND pid <> pg_backend_pid()
"""


def refusal(status: int, name: str, **more: Any) -> dict[str, Any]:
    """Return a fault that answers as Upbit refuses."""
    body = json.dumps({"error": {"name": name, "message": "no"}})
    return {"status": status, "body": body} | more


def planned(*faults: dict[str, Any]) -> Injection:
    """Have the sandbox, exchange or model, answer as the plan says."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        await stack.plan(*faults)
        try:
            yield
        finally:
            await stack.clear_plan()

    return injected


def model(kind: str, **more: Any) -> Injection:
    return planned({"path": "*:generateContent", "model": kind} | more)


@asynccontextmanager
async def quota_used_up(stack: Stack) -> AsyncIterator[None]:
    """Use up the model's quota of the day. It stays so: the remedy is another model (FR-010)."""
    async with model("quota")(stack):
        yield
    used_up = await stack.service.get("/api/v1/config/ai_model")
    priced = {price.model for price in KNOWN_PRICES}  # no other one is asked within a budget
    models = [model for model in MODELS if model in priced]
    await stack.change(ai_model=models[models.index(used_up["value"]) - 1])


@asynccontextmanager
async def clock_off(stack: Stack) -> AsyncIterator[None]:
    """Have the exchange's clock say that ours is five minutes fast."""
    there = datetime.now(UTC) - timedelta(minutes=5)
    async with upbit(headers={"Date": format_datetime(there, usegmt=True)})(stack):
        yield


def upbit(**fault: Any) -> Injection:
    return planned({"path": "/v1/[!m]*"} | fault)  # everything but /v1/models and /v1/market


def stopped(whom: Literal["sandbox", "postgres"]) -> Injection:
    """Freeze processes: they take connections and never answer."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        pids = [stack.sandbox.pid] if whom == "sandbox" else await stack.postgres_pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    return injected


@asynccontextmanager
async def postgres_killed(stack: Stack) -> AsyncIterator[None]:
    """Kill -9 the postmaster; the harness starts it again."""
    postmaster, *_ = await stack.postgres_pids()
    os.kill(postmaster, signal.SIGKILL)
    try:
        yield
    finally:
        await asyncio.to_thread(stack.postgres.stop)
        await asyncio.to_thread(stack.postgres.start)


@asynccontextmanager
async def postgres_down(stack: Stack) -> AsyncIterator[None]:
    await asyncio.to_thread(stack.postgres.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(stack.postgres.start)


@asynccontextmanager
async def sessions_terminated(stack: Stack) -> AsyncIterator[None]:
    await stack.sql(_SESSIONS)
    yield


@asynccontextmanager
async def network_swallows(stack: Stack) -> AsyncIterator[None]:
    """The way to the database is a black hole, which no server closes for us."""
    stack.proxy.stop_flow()
    try:
        yield
    finally:
        stack.proxy.let_flow()


@asynccontextmanager
async def network_refuses(stack: Stack) -> AsyncIterator[None]:
    await stack.proxy.close()
    try:
        yield
    finally:
        await stack.proxy.start()


@asynccontextmanager
async def no_connection_left(stack: Stack) -> AsyncIterator[None]:
    """Other sessions hold every connection of the server while ours, which were cut, reconnect."""
    await stack.proxy.close()
    try:
        taken = await asyncio.to_thread(_all_connections, stack)
    finally:
        await stack.proxy.start()
    try:
        yield
    finally:
        for connection in taken:
            connection.close()


def _all_connections(stack: Stack) -> list[Any]:
    given = parameters(stack.postgres.dsn(DATABASE))
    taken = [connect(given)]
    with taken[0].cursor() as cursor:
        while True:  # a cut session ends a moment later and frees a connection
            cursor.execute(_SESSIONS)
            if not cursor.fetchall():
                break
    with suppress(StartError):
        while True:
            taken.append(connect(given))
    return taken


@asynccontextmanager
async def read_only(stack: Stack) -> AsyncIterator[None]:
    """Make the server read-only, like a managed server with a full disk, or a new standby."""
    await stack.sql(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on", _SESSIONS)
    try:
        yield
    finally:
        await stack.sql(
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {DATABASE} RESET default_transaction_read_only",
            _SESSIONS,
        )


def cut(word: str, when: Literal["before", "after"], times: int = 1) -> Injection:
    """Break the database connection while this statement passes."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        stack.proxy.cut = Cut(word.encode(), when, times)
        try:
            yield
        finally:
            stack.proxy.cut = None

    return injected


@asynccontextmanager
async def notifications_cut(stack: Stack) -> AsyncIterator[None]:
    """End the session that listens, and break every attempt to listen again."""
    async with cut("LISTEN", "before", times=10_000)(stack):
        await stack.sql(_LISTENING)
        yield


def writes_fail(sqlstate: str, *tables: str) -> Injection:
    """Have writes to the tables fail with a PostgreSQL error that is hard to provoke: a deadlock, a
    serialisation failure, a full disk.
    """

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        await stack.sql(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'spoiled' USING ERRCODE = '{sqlstate}'; END $$",
            *(
                f"CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION spoil()"
                for table in tables
            ),
        )
        try:
            yield
        finally:
            await stack.sql("DROP FUNCTION spoil CASCADE")

    return injected


def locked(*tables: str) -> Injection:
    """Lock tables as a long migration would, so that they cannot even be read."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        given = parameters(stack.postgres.dsn(DATABASE))
        with closing(await asyncio.to_thread(connect, given)) as connection:
            with connection.cursor() as cursor:
                for statement in ("BEGIN", f"LOCK TABLE {', '.join(tables)}"):
                    await asyncio.to_thread(cursor.execute, statement)
            yield

    return injected


def cancelled(*tables: str) -> Injection:
    """Lock tables and cancel waiting statements: the same error as a statement timeout, 57014."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        cancelling = asyncio.create_task(_cancel_waiting(stack))
        try:
            async with locked(*tables)(stack):
                yield
        finally:
            cancelling.cancel()
            await asyncio.gather(cancelling, return_exceptions=True)

    return injected


async def _cancel_waiting(stack: Stack) -> None:
    while True:
        await stack.sql(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        )
        await asyncio.sleep(0.05)


def renamed(table: str) -> Injection:
    """Rename a table: an unexpected error, which a loop treats as a bug."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        await stack.sql(f"ALTER TABLE {table} RENAME TO {table}_gone")
        try:
            yield
        finally:
            await stack.sql(f"ALTER TABLE {table}_gone RENAME TO {table}")

    return injected


def changed(**values: Any) -> Injection:
    """Change settings, and change them back."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        before = {
            item["key"]: item["value"]
            for item in (await stack.service.get("/api/v1/config"))["items"]
        }
        await stack.change(**values)
        try:
            yield
        finally:
            await stack.change(**{name: before[name] for name in values})

    return injected


@asynccontextmanager
async def nothing(_: Stack) -> AsyncIterator[None]:
    """Inject nothing: the check does it all."""
    yield


def together(*injections: Injection) -> Injection:
    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        first, *rest = injections
        async with first(stack):
            if not rest:
                yield
                return
            async with together(*rest)(stack):
                yield

    return injected
