"""`trader backup` and `trader restore`: the same rows again, or nothing touched."""

import asyncio
import json
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service import cli
from service.app.backup import backed_up, restored
from service.config import Config, Mode
from service.domain.errors import InvalidRequest, StartError
from service.store.archive.programs import access, check_version, run
from service.store.archive.restore import restore_into, restore_over
from service.store.archive.seal import seal
from service.store.database.dsn import connect, parameters
from service.store.database.pool import open_pool
from service.store.embedded.binaries import major_version, programs
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrate, migrations_folder
from tests.integration.store.seeds import a_stored_order

TABLES = """
    SELECT format('%I', relname)
      FROM pg_class
     WHERE relnamespace = 'public'::regnamespace
       AND relkind = 'r'
     ORDER BY 1
"""
NAME = "trader_sandbox"
#: pg_restore empties the search path, so the function does not find its table.
UNFIT = """
    CREATE TABLE helper (n int);
    CREATE FUNCTION is_fit(int) RETURNS boolean LANGUAGE sql
        AS 'SELECT count(*) >= 0 FROM helper WHERE n > $1';
    CREATE TABLE zz (n int CHECK (is_fit(n)));
    INSERT INTO zz VALUES (1);
"""
HELD = "INSERT INTO leader VALUES ('trading', 'x', 1, clock_timestamp() + interval '1 hour')"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trader.backup"


@pytest.fixture
def given(tmp_path: Path, dsn: str) -> Config:
    """A server of the operator's."""
    return Config(data_dir=tmp_path / "var", database_url=dsn, port=0, _env_file=None)


@pytest.fixture
def own(open_folder: Callable[[], Path]) -> Config:
    """An empty data directory."""
    return Config(data_dir=open_folder(), database_url=None, port=0, _env_file=None)


@pytest.fixture
def server(own: Config) -> Iterator[EmbeddedPostgres]:
    """The server of `own`, kept running as by another program."""
    started = EmbeddedPostgres(own.data_dir / "postgres")
    started.start()
    yield started
    started.stop()


def rows(dsn: str) -> dict[str, list[str]]:
    found = {}
    with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            found[table] = [row[0] for row in cursor.fetchall()]
    return found


def does(dsn: str, statement: str) -> None:
    with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def backup(dsn: str, given: Config, file: Path) -> Path:
    """The file of a database with one order."""

    async def add() -> None:
        async with open_pool(dsn, minsize=1, maxsize=1) as pool:
            await a_stored_order(pool)

    asyncio.run(add())
    does(dsn, "UPDATE leader SET expires_at = clock_timestamp()")
    backed_up(given, file, overwrite=False)
    return file


def an_own_database(server: EmbeddedPostgres) -> str:
    server.ensure_database(NAME)
    migrate(server.dsn(NAME), migrations_folder())
    return server.dsn(NAME)


def test_an_empty_data_directory_gets_every_row(
    dsn: str, own: Config, server: EmbeddedPostgres, backup: Path
) -> None:
    before = restored(own, backup, force=None)

    found = rows(server.dsn(NAME))
    assert before is None
    assert len(found["orders"]) == 1
    assert found == rows(dsn)
    assert migrate(server.dsn(NAME), migrations_folder()) == 0


def test_a_backup_beside_a_writer_is_of_one_instant(
    dsn: str, given: Config, own: Config, server: EmbeddedPostgres
) -> None:
    """Two tables that change in one transaction never differ in it."""
    file = given.data_dir.with_name("beside")
    does(dsn, "CREATE TABLE a (n int); CREATE TABLE b (n int)")
    done, begun = threading.Event(), threading.Event()

    def write() -> None:
        with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT")
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    try:
        backed_up(given, file, overwrite=False)
    finally:
        done.set()
        writer.join()
    restored(own, file, force=None)

    found = rows(server.dsn(NAME))
    assert len(found["a"]) == len(found["b"]) >= 1


def test_a_file_is_private_and_is_not_overwritten_by_itself(given: Config, backup: Path) -> None:
    made = backup.read_bytes()
    backup.write_bytes(b"mine")

    with pytest.raises(InvalidRequest, match="there already"):
        backed_up(given, backup, overwrite=False)
    assert backup.read_bytes() == b"mine"
    backed_up(given, backup, overwrite=True)

    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert abs(backup.stat().st_size - len(made)) < 1000
    assert list(backup.parent.iterdir()) == [backup]


def test_a_database_of_other_things_is_not_backed_up(empty_dsn: str, file: Path) -> None:
    config = Config(database_url=empty_dsn, _env_file=None)

    with pytest.raises(InvalidRequest, match="holds nothing of this program"):
        backed_up(config, file, overwrite=False)
    assert not file.exists()


def test_no_database_is_made_for_a_backup(tmp_path: Path, file: Path) -> None:
    config = Config(data_dir=tmp_path / "none", database_url=None, _env_file=None)

    with pytest.raises(InvalidRequest, match="There is no database"):
        backed_up(config, file, overwrite=False)
    assert not config.data_dir.exists()


# --- what restore refuses ------------------------------------------------------------------------


def test_orders_are_replaced_only_by_the_word_and_stay_under_another_name(
    own: Config, server: EmbeddedPostgres, backup: Path
) -> None:
    restored(own, backup, force=None)  # the backup has an order
    does(server.dsn(NAME), "UPDATE orders SET market = 'KRW-ETH'")
    here = rows(server.dsn(NAME))

    with pytest.raises(InvalidRequest, match="has orders: add --force REPLACE"):
        restored(own, backup, force=None)
    with pytest.raises(InvalidRequest, match="write REPLACE"):
        restored(own, backup, force="yes")
    assert rows(server.dsn(NAME)) == here
    before = restored(own, backup, force="REPLACE")

    assert before == f"{NAME}_before_1"
    assert rows(server.dsn(before)) == here
    assert rows(server.dsn(NAME)) != here


def test_a_session_or_a_lease_of_a_service_refuses(
    own: Config, server: EmbeddedPostgres, backup: Path
) -> None:
    address = an_own_database(server)
    here = rows(address)

    with closing(connect(parameters(address))), pytest.raises(InvalidRequest, match="is in use"):
        restored(own, backup, force="REPLACE")
    assert rows(address) == here
    does(address, HELD)
    with pytest.raises(InvalidRequest, match="is in use"):
        restored(own, backup, force="REPLACE")
    assert not server.has_database(f"{NAME}_restored")


def test_the_port_of_a_running_service_refuses(
    own: Config, server: EmbeddedPostgres, backup: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        config = own.model_copy(update={"port": service.getsockname()[1]})
        with pytest.raises(StartError, match="is taken by another process"):
            restored(config, backup, force="REPLACE")

    assert not server.has_database(NAME)


def test_a_cut_a_foreign_and_a_missing_file_touch_nothing(
    own: Config, server: EmbeddedPostgres, backup: Path
) -> None:
    here = rows(an_own_database(server))
    whole = backup.read_bytes()

    for content in (b"", b"not a backup", whole[: len(whole) // 2], whole[:-2000], whole[:-1]):
        backup.write_bytes(content)
        with pytest.raises(InvalidRequest, match="is no backup"):
            restored(own, backup, force="REPLACE")
    with pytest.raises(InvalidRequest, match="is no backup"):
        restored(own, backup.with_name("other"), force="REPLACE")

    assert rows(server.dsn(NAME)) == here
    assert not server.has_database(f"{NAME}_restored")


def test_a_restore_that_fails_half_way_leaves_everything_as_it_was(
    dsn: str, empty_dsn: str, given: Config, server: EmbeddedPostgres, backup: Path
) -> None:
    """The sealed file is ours, and its last table cannot be filled: pg_restore finds out."""
    here = rows(an_own_database(server))
    does(dsn, UNFIT)
    backed_up(given, backup, overwrite=True)

    with pytest.raises(InvalidRequest, match="COPY failed for table"):
        restore_over(server, NAME, backup, forced=True)
    with pytest.raises(InvalidRequest, match="COPY failed for table"):
        restore_into(empty_dsn, backup)

    assert rows(server.dsn(NAME)) == here
    assert rows(empty_dsn) == {}
    assert not server.has_database(f"{NAME}_restored")


def test_the_file_of_another_mode_or_of_a_newer_version_touches_nothing(
    dsn: str, given: Config, own: Config, tmp_path: Path
) -> None:
    does(dsn, "UPDATE trading_state SET mode = 'live'")
    live, newer = tmp_path / "live", tmp_path / "newer"
    backed_up(given, live, overwrite=False)
    does(
        dsn,
        "INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '9999_later')",
    )
    backed_up(given, newer, overwrite=False)

    assert own.mode is Mode.SANDBOX
    with pytest.raises(InvalidRequest, match="holds the live mode's orders"):
        restored(own, live, force="REPLACE")
    with pytest.raises(InvalidRequest, match="it has the migration 9999_later"):
        restored(own, newer, force="REPLACE")
    assert list(own.data_dir.iterdir()) == []


def test_a_backup_of_other_tables_is_foreign(empty_dsn: str, own: Config, file: Path) -> None:
    does(empty_dsn, "CREATE TABLE trading_state (n int)")
    with access(empty_dsn) as variables, file.open("w+b") as stream:
        run("pg_dump", "--format=custom", variables=variables, out=stream)
        seal(stream)

    with pytest.raises(InvalidRequest, match="is no backup of a trader"):
        restored(own, file, force="REPLACE")


def test_a_given_server_takes_a_backup_into_an_empty_database_alone(
    dsn: str, empty_dsn: str, given: Config, backup: Path
) -> None:
    target = Config(data_dir=given.data_dir, database_url=empty_dsn, port=0, _env_file=None)

    with closing(connect(parameters(empty_dsn))), pytest.raises(InvalidRequest, match="in use"):
        restored(target, backup, force=None)
    assert rows(empty_dsn) == {}
    restored(target, backup, force=None)

    here = rows(empty_dsn)
    assert here == rows(dsn)
    with pytest.raises(InvalidRequest, match="is not empty"):
        restored(target, backup, force="REPLACE")
    assert rows(empty_dsn) == here


def test_a_password_stands_in_private_files_only(dsn: str) -> None:
    with access(f"{dsn}&password=s:e%5Ccret%20") as variables:
        folder = Path(variables["PGPASSFILE"]).parent
        service = Path(variables["PGSERVICEFILE"])

        assert "cret" not in "".join(variables.values())
        assert Path(variables["PGPASSFILE"]).read_text() == "*:*:*:*:s\\:e\\\\cret \n"
        assert "cret" not in service.read_text()
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_a_server_newer_than_the_programs_is_refused() -> None:
    ours = int(major_version(programs()))

    check_version(ours, {})
    with pytest.raises(StartError, match="use the pg_dump and pg_restore of that server"):
        check_version(ours + 1, {})


def test_the_commands_tell_what_to_look_at_afterwards(
    own: Config, server: EmbeddedPostgres, file: Path
) -> None:
    here = rows(an_own_database(server))
    variables = {"TRADER_DATA_DIR": str(own.data_dir), "TRADER_PORT": "0"}

    made = CliRunner().invoke(cli.app, ["backup", str(file), "--json"], env=variables)
    told = CliRunner().invoke(cli.app, ["restore", str(file)], env=variables)

    assert json.loads(made.stdout) == {"file": str(file), "bytes": file.stat().st_size}
    assert f"is kept as {NAME}_before_1" in told.stdout
    assert "settled against the exchange" in told.stdout
    assert rows(server.dsn(NAME)) == here
