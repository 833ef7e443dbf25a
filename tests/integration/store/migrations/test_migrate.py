"""Migrations: up, down, up; several at once; and files that must not change."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so

from service.domain.errors import StartError
from service.store.database.dsn import connect, parameters
from service.store.migrations.migrate import (
    GUARD,
    TRY_GUARD,
    migrate,
    migrations_folder,
    rollback_all,
)

ALL = sum(".rollback." not in file.name for file in migrations_folder().glob("*.sql"))
#: Every fact of the schema that an operator or a statement could notice; not yoyo's own tables.
SCHEMA = """
    SELECT 'column', table_name || '.' || column_name,
           concat_ws(' ', ordinal_position, data_type, numeric_precision, numeric_scale,
                     is_nullable, column_default, identity_generation)
      FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name NOT LIKE '%%yoyo%%'
       AND table_name <> 'migration_files'
     UNION ALL
    SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
      FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE '%%yoyo%%'
       AND conrelid::regclass::text <> 'migration_files'
     UNION ALL
    SELECT 'index', indexname, indexdef
      FROM pg_indexes
     WHERE schemaname = 'public' AND tablename NOT LIKE '%%yoyo%%'
       AND tablename <> 'migration_files'
     UNION ALL
    SELECT 'routine', proname, pg_get_functiondef(oid)
      FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace
     UNION ALL
    SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
     UNION ALL
    SELECT 'type', typname, typtype::text
      FROM pg_type
     WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
     UNION ALL
    SELECT 'sequence', sequence_name, data_type
      FROM information_schema.sequences
     ORDER BY 1, 2, 3
"""


@pytest.fixture
def database(empty_dsn: str) -> Iterator[Connection]:
    with closing(connect(parameters(empty_dsn))) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations of its own, to be broken."""
    for name, sql in {
        "0001_first.sql": "CREATE TABLE first (id int)",
        "0001_first.rollback.sql": "DROP TABLE first",
        "0002_second.sql": "CREATE TABLE second (percent text DEFAULT '100%')",
        "0002_second.rollback.sql": "DROP TABLE second",
    }.items():
        (tmp_path / name).write_text(sql)
    return tmp_path


def rows(database: Connection, sql: str, **params: object) -> list[tuple[object, ...]]:
    with database.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def tables(database: Connection) -> set[object]:
    found = rows(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in found}


def test_up_down_up_leads_to_the_same_schema(empty_dsn: str, database: Connection) -> None:
    folder = migrations_folder()

    up = migrate(empty_dsn, folder)
    first = rows(database, SCHEMA)
    down = rollback_all(empty_dsn, folder)
    left = rows(database, SCHEMA)
    again = migrate(empty_dsn, folder)

    assert (up, down, again) == (ALL, ALL, ALL)
    assert first != []
    assert left == []
    assert rows(database, SCHEMA) == first


def test_a_second_run_has_nothing_to_do(empty_dsn: str, folder: Path) -> None:
    migrate(empty_dsn, folder)

    assert migrate(empty_dsn, folder) == 0


def test_every_migration_can_be_rolled_back() -> None:
    names = {file.name for file in migrations_folder().glob("*.sql")}

    assert {name for name in names if name.replace(".sql", ".rollback.sql") in names} == {
        name for name in names if ".rollback." not in name
    }


def test_of_several_at_once_one_works(empty_dsn: str, folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(empty_dsn, folder), range(4)))

    assert sorted(done) == [0, 0, 0, 2]


def test_the_lock_row_of_a_killed_migrator_does_not_matter(
    empty_dsn: str, database: Connection, folder: Path
) -> None:
    migrate(empty_dsn, folder)
    rollback_all(empty_dsn, folder)
    rows(database, "INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4194303)")

    assert migrate(empty_dsn, folder) == 2


def test_whoever_waits_too_long_for_another_migrator_is_told(
    empty_dsn: str, database: Connection, folder: Path
) -> None:
    rows(database, TRY_GUARD, key=GUARD)

    with pytest.raises(StartError, match="Another process has been migrating"):
        migrate(empty_dsn, folder, wait_s=0)

    assert "first" not in tables(database)


def test_an_edited_migration_is_refused(empty_dsn: str, folder: Path) -> None:
    migrate(empty_dsn, folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE first (id bigint)")

    with pytest.raises(StartError, match=r"0001_first\.sql was changed after it had been applied"):
        migrate(empty_dsn, folder)


def test_an_edited_rollback_is_refused(empty_dsn: str, folder: Path) -> None:
    migrate(empty_dsn, folder)
    (folder / "0001_first.rollback.sql").write_text("")

    with pytest.raises(StartError, match=r"0001_first\.rollback\.sql was changed"):
        migrate(empty_dsn, folder)


def test_a_lost_migration_is_refused(empty_dsn: str, folder: Path) -> None:
    migrate(empty_dsn, folder)
    (folder / "0001_first.sql").unlink()

    with pytest.raises(StartError, match=r"0001_first\.sql is missing, .* restore it"):
        migrate(empty_dsn, folder)


def test_a_newer_database_is_refused(empty_dsn: str, folder: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(folder, newer, ignore=shutil.ignore_patterns("newer"))
    (newer / "0003_third.sql").write_text("CREATE TABLE third (id int)")
    migrate(empty_dsn, newer)

    with pytest.raises(StartError, match=r"newer than this program: it has .* 0003_third"):
        migrate(empty_dsn, folder)


def test_a_migration_that_fails_leaves_nothing_of_itself(
    empty_dsn: str, database: Connection, folder: Path
) -> None:
    second = folder / "0002_second.sql"
    good = second.read_text()
    second.write_text("CREATE TABLE second (id int); SELECT 1 / 0")

    with pytest.raises(StartError, match=r"0002_second could not be applied \(division by zero\)"):
        migrate(empty_dsn, folder)
    halfway = tables(database)
    second.write_text(good)
    done = migrate(empty_dsn, folder)

    assert "first" in halfway
    assert "second" not in halfway
    assert done == 1


def test_a_migration_outside_a_transaction_works(
    empty_dsn: str, database: Connection, folder: Path
) -> None:
    (folder / "0003_index.sql").write_text(
        "-- transactional: false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS slow ON first (id)"
    )

    assert migrate(empty_dsn, folder) == 3
    assert rows(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'slow'::regclass")


def test_an_empty_folder_is_refused(empty_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="There are no migrations in"):
        migrate(empty_dsn, tmp_path)


def test_an_unreachable_database_is_refused(folder: Path) -> None:
    with pytest.raises(StartError, match=r"port 1, database x cannot be used") as refused:
        migrate("postgresql://trader:canary@127.0.0.1:1/x", folder)

    assert "canary" not in str(refused.value)
