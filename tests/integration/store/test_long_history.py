"""No question takes longer because the history is longer: a million rows in every large table."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from benchmarks.explaining import ExplainingPool, PlanSummary
from benchmarks.questions import INDEXES, questions
from benchmarks.seeding import seed_history
from service.store.database.dsn import connect, parameters
from service.store.database.pool import Pool, open_pool
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrate, migrations_folder
from tests.conftest import FAST
from tests.integration.store.seeds import rows

ROWS: Final = int(os.environ.get("HISTORY_ROWS", "1_000_000"))
#: Of 8 KiB; a page of fifty signals with what became of each looks up nine of them a row.
MOST_PAGES: Final = 600
#: Rows; PostgreSQL reads such a table whole, and may. A month of hours of three jobs is one.
SMALL: Final = 3_000
SMALL_TABLES = "SELECT relname FROM pg_class WHERE reltuples BETWEEN 0 AND %(most)s"
ELSEWHERE = ("alerts_", "audit_log_", "deposits_", "external_", "risk_events_")
UNUSED = """
    SELECT indexrelid::regclass::text
      FROM pg_index
      JOIN pg_class ON pg_class.oid = indexrelid
     WHERE NOT indisunique
       AND NOT relispartition
       AND relnamespace = 'public'::regnamespace
"""


@pytest.fixture(scope="module")
def history() -> Iterator[str]:
    """Not in memory, as the other tests' databases are: it takes two gigabytes."""
    with TemporaryDirectory(prefix="trader-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder, settings=FAST)
        server.start()
        try:
            server.ensure_database("history")
            dsn = server.dsn("history")
            migrate(dsn, migrations_folder())
            with closing(connect(parameters(dsn))) as connection:
                seed_history(connection, ROWS)
            yield dsn
        finally:
            server.stop()


@pytest.fixture
async def long(history: str) -> AsyncIterator[Pool]:
    async with open_pool(history, minsize=1, maxsize=2) as pool:
        yield pool


@pytest.mark.proves("S3.1", "FR-002")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_question_reads_a_handful_of_pages_of_a_million_rows(long: Pool) -> None:
    explaining = ExplainingPool(long)
    small = {name for (name,) in await rows(long, SMALL_TABLES, {"most": SMALL})}

    seen: dict[str, list[PlanSummary]] = {}
    for name, question in questions(explaining, ROWS).items():
        explaining.plans.clear()
        await question()
        seen[name] = explaining.plans.copy()

    assert all(seen.values())
    for name, plans in seen.items():
        whole = [what for plan in plans for kind, what in plan.scans if kind == "Seq Scan"]
        assert set(whole) <= small, name
        assert sum(plan.pages for plan in plans) <= MOST_PAGES, name


@pytest.mark.proves("FR-002")
async def test_each_index_that_is_no_key_is_there_for_a_question(pool: Pool) -> None:
    found = {name for (name,) in await rows(pool, UNUSED)}

    # Alerts, risk events and the audit log have tests of their own plans. Deposits and orders of
    # other programs are the owner's own acts, a handful of rows.
    elsewhere = {name for name in found if name.startswith(ELSEWHERE)}
    assert found - elsewhere == set(INDEXES)
