"""A look at a database says how it is, and leaves it as it was."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2 import sql

from service.domain.errors import StartError
from service.store.database.dsn import connect, parameters
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.inspect import inspect
from service.store.migrations.migrate import migrate, migrations_folder

FOLDER = migrations_folder()
ALL = sorted(file.stem for file in FOLDER.glob("*.sql") if ".rollback." not in file.name)
TABLES = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"


def execute(dsn: str, statement: str | sql.Composed) -> object:
    with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "migrations"))


def test_an_empty_database_has_everything_to_come_and_stays_empty(empty_dsn: str) -> None:
    seen = inspect(empty_dsn, FOLDER, settings=("ai_model",))

    assert seen.migrations.applied == ()
    assert list(seen.migrations.pending) == ALL
    assert (seen.may_create, seen.is_standby, seen.owner) == (True, False, None)
    assert seen.settings == {}
    assert seen.version.startswith("18")
    assert execute(empty_dsn, TABLES) == 0


def test_a_migrated_database_has_nothing_to_come(dsn: str) -> None:
    seen = inspect(dsn, FOLDER)

    assert list(seen.migrations.applied) == ALL
    assert seen.migrations.pending == ()
    assert seen.migrations.newer == seen.migrations.edited == seen.migrations.missing == ()


def test_what_is_stored_and_whose_it_is_are_read(dsn: str) -> None:
    execute(dsn, "UPDATE trading_state SET mode = 'live'")
    execute(
        dsn,
        "INSERT INTO system_configs (key, value, updated_by, updated_at)"
        " VALUES ('ai_model', '\"gemini-9\"', 'test', now())",
    )

    seen = inspect(dsn, FOLDER, settings=("ai_model", "markets"))

    assert seen.owner == "live"
    assert seen.settings == {"ai_model": "gemini-9"}


def test_a_newer_database_is_told_by_what_this_version_does_not_know(
    empty_dsn: str, folder: Path
) -> None:
    (folder / "9999_later.sql").write_text("CREATE TABLE later ()")
    (folder / "9999_later.rollback.sql").write_text("DROP TABLE later")
    migrate(empty_dsn, folder)

    seen = inspect(empty_dsn, FOLDER)

    assert seen.migrations.newer == ("9999_later",)


def test_an_edited_and_a_lost_file_are_told_apart(empty_dsn: str, folder: Path) -> None:
    migrate(empty_dsn, folder)
    first, second = f"{ALL[0]}.sql", f"{ALL[1]}.rollback.sql"
    (folder / first).write_text((folder / first).read_text() + "\n-- edited\n")
    (folder / second).unlink()

    seen = inspect(empty_dsn, folder)

    assert seen.migrations.edited == (first,)
    assert seen.migrations.missing == (second,)


def test_a_user_who_may_not_make_tables_is_told(empty_dsn: str, postgres: EmbeddedPostgres) -> None:
    role = sql.Identifier("looker")
    execute(empty_dsn, sql.SQL("CREATE ROLE {} LOGIN").format(role))
    try:
        given = parameters(empty_dsn) | {"user": "looker"}
        query = f"host={given['host']}&port={given['port']}"
        seen = inspect(f"postgresql://looker@/{given['dbname']}?{query}", FOLDER)
    finally:
        execute(empty_dsn, sql.SQL("DROP ROLE {}").format(role))

    assert not seen.may_create


def test_options_that_are_not_kept_mean_a_pooler(dsn: str) -> None:
    # What a pooler that drops `options` looks like from here: the mark is not as we set it.
    apart = "&" if "?" in dsn else "?"
    forgotten = f"{dsn}{apart}options=-c%20upbit_ai_trader.session%3Dlost"

    with pytest.raises(StartError, match="A pooler stands before the database"):
        inspect(forgotten, FOLDER)


def test_a_server_that_is_away_is_a_sentence_without_the_password() -> None:
    with pytest.raises(StartError) as refused:
        inspect("postgresql://me:canary-7f3a@127.0.0.1:1/x", FOLDER)

    assert "127.0.0.1" in str(refused.value)
    assert "canary" not in str(refused.value)
