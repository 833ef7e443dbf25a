"""What health says of the whole service: all six components, a database away, no signal."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from psycopg2 import sql

from service.store.database.dsn import connect, parameters
from service.store.embedded.server import EmbeddedPostgres
from tests.composed import Composed, composed

SAFETY_S: Final = 60
HOUR_S: Final = 3600
DETAILED: Final = "/health/detailed"
END_SESSIONS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
COMPONENTS: Final = {
    "database",
    "upbit_api",
    "gemini_api",
    "scheduler",
    "recent_signal",
    "recent_order",
}

Body = dict[str, Any]


async def until(service: Composed, true: Callable[[int, Body], object]) -> tuple[int, Body]:
    """Return status and body of the detailed health as soon as they are as wished."""
    async with asyncio.timeout(SAFETY_S):
        while True:
            async with service.client.get(DETAILED) as answer:
                status, body = answer.status, await answer.json()
            if true(status, body):
                return status, body
            await asyncio.sleep(0.05)


@contextmanager
def away(server: EmbeddedPostgres, dsn: str) -> Iterator[None]:
    """Have the server end every session of this database and let nobody in."""
    name = parameters(dsn)["dbname"]
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with closing(connect(parameters(server.dsn("postgres")))) as admin, admin.cursor() as cursor:
        cursor.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        cursor.execute(END_SESSIONS, (name,))
        try:
            yield
        finally:
            cursor.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


@pytest.mark.proves("S5.1", "S5.2", "FR-008", "SC-005")
async def test_six_components_are_healthy_and_a_database_that_is_away_makes_all_unhealthy(
    tmp_path: Path, dsn: str, postgres: EmbeddedPostgres
) -> None:
    async with composed(tmp_path, dsn) as service:
        _, well = await until(service, lambda _, body: body["status"] == "healthy")
        with away(postgres, dsn):
            code, ill = await until(service, lambda _, body: body["status"] == "unhealthy")
        again, _ = await until(service, lambda _, body: body["status"] == "healthy")

    assert well["components"].keys() == COMPONENTS
    assert {part["status"] for part in well["components"].values()} == {"healthy"}
    assert well["components"]["scheduler"]["jobs"]
    assert (code, again) == (503, 200)
    assert ill["components"]["database"]["status"] == "unhealthy"
    assert ill["components"]["database"]["reason"] == "connection_refused"
    assert ill["components"]["database"]["message"]
    assert ill["components"]["upbit_api"]["status"] == "healthy"


@pytest.mark.proves("S5.3")
async def test_an_hour_after_the_last_signal_the_whole_service_warns_and_not_before(
    tmp_path: Path, dsn: str
) -> None:
    """The job is switched off, and the market's hour takes six seconds."""
    async with composed(tmp_path, dsn, speed=Decimal(600)) as service:
        await until(service, lambda _, body: body["components"]["recent_signal"]["last_at"])
        await service.change("disabled_jobs", ["generate_trading_signal"])
        seen: list[Body] = []

        def is_warned(_: int, body: Body) -> bool:
            seen.append(body["components"]["recent_signal"])
            return bool(seen[-1]["status"] != "healthy")

        code, warned = await until(service, is_warned)

    assert code == 200
    assert warned["status"] == "degraded"
    assert (seen[-1]["status"], seen[-1]["reason"]) == ("warning", "signal_older_than_1h")
    assert seen[-1]["age_seconds"] >= HOUR_S  # shown in whole seconds
    assert all(part["age_seconds"] <= HOUR_S for part in seen[:-1])
