"""One embedded PostgreSQL for the whole run; a fresh, migrated database for each test."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from psycopg2 import sql

from service.store.database.dsn import connect, parameters
from service.store.database.pool import Pool, open_pool
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrate, migrations_folder
from tests.builders import T0
from tests.specification import DOCUMENT, demands

# No test is timed: on a busy machine a single example takes longer than any limit.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

#: Tests may lose their data; durability costs them half of their time.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
ROOM = 2_000_000_000  #: bytes
TEMPLATE = "template_migrated"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--row", action="append", default=[], help="run what proves this row, e.g. S1.1"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = set(config.getoption("row"))
    if not wanted:
        return
    if unknown := wanted - demands(DOCUMENT.read_text(encoding="utf-8")).keys():
        raise pytest.UsageError(f"not in docs/specification.md: {', '.join(sorted(unknown))}")
    chosen = [
        item for item in items if any(wanted & {*mark.args} for mark in item.iter_markers("proves"))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session", autouse=True)
def no_database_variables() -> None:
    """The environment of whoever runs the tests must not reach libpq or the configuration."""
    for name in list(os.environ):
        if name.startswith("PG") or name == "DATABASE_URL":
            del os.environ[name]


def _memory() -> str | None:
    """Return a folder in memory, when it has room: copying databases is half of the time."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK) or shutil.disk_usage(place).free < ROOM:
        return None
    return None if os.statvfs(place).f_flag & os.ST_NOEXEC else str(place)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Callable[[], Path]]:
    """Return what makes folders for clusters.

    Not tmp_path: for root the server runs as another account, which may not enter it, and its
    name is long for a socket.
    """
    with ExitStack() as stack:

        def made() -> Path:
            folder = tempfile.TemporaryDirectory(
                prefix="trader-", dir=_memory(), ignore_cleanup_errors=True
            )
            path = Path(stack.enter_context(folder))
            path.chmod(0o755)
            return path

        yield made


@pytest.fixture(scope="session")
def postgres(
    no_database_variables: None, open_folder: Callable[[], Path]
) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(open_folder(), settings=FAST)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _template(postgres: EmbeddedPostgres) -> str:
    postgres.ensure_database(TEMPLATE)
    migrate(postgres.dsn(TEMPLATE), migrations_folder())
    # Where the tests' instants lie, there is room: as after the start of the service.
    with closing(connect(parameters(postgres.dsn(TEMPLATE)))) as made, made.cursor() as cursor:
        for table in (
            "market_data", "job_runs", "job_hours", "request_stats", "equity_snapshots",
        ):  # fmt: skip
            cursor.execute("SELECT add_month(%s, %s)", (table, T0))
    return TEMPLATE


_numbers = count(1)


def _execute(server: EmbeddedPostgres, statement: sql.Composed) -> None:
    with closing(connect(parameters(server.dsn("postgres")))) as admin, admin.cursor() as cursor:
        cursor.execute(statement)


def cloned(server: EmbeddedPostgres, *, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _execute(
        server,
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(template)
        ),
    )
    yield server.dsn(name)
    _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def dsn(postgres: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """A database of its own, with the whole schema and no rows but the migrations'."""
    yield from cloned(postgres, template=_template)


@pytest.fixture
def empty_dsn(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of its own with nothing in it."""
    yield from cloned(postgres, template="template0")


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    async with open_pool(dsn, minsize=2, maxsize=5) as opened:
        yield opened
