"""The directory of a PostgreSQL cluster: created whole or not at all, refused if not our own."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from loguru import logger

from service.domain.errors import StartError
from service.store.embedded.binaries import ServerAccount, clean_environment, major_version

#: Root's data directory when the directory asked for is closed to other accounts.
ELSEWHERE: Final = Path("/var/lib/upbit-ai-trader")
USER: Final = "trader"
PORT: Final = 5432  #: only names the socket file
_SOCKET_PATH_MAX: Final = 107  #: bytes; sockaddr_un without its final NUL
_INITDB_S: Final = 120
_LOG_MAX: Final = 5_000_000  #: bytes
_GRAVE: Final = ("PANIC:", "FATAL:", "error:", "could not")


def home_of(asked: Path, elsewhere: Path) -> Path:
    """Return the directory that holds the server: `asked`, created if it is missing.

    The account that runs the server for root may not be able to enter root's directories. Their
    modes are not widened: the data goes below `elsewhere`, and the link `moved` in `asked` leads
    to it.
    """
    asked.mkdir(parents=True, exist_ok=True)
    link = asked / "moved"
    if link.is_symlink():
        return link.readlink()
    account = ServerAccount.of(asked / "cluster")
    if account is None:
        return asked
    asked.chmod(0o755)  # a strict umask would keep the account out
    if account.reaches(asked / "cluster"):
        return asked
    home = elsewhere / hashlib.sha256(os.fsencode(asked)).hexdigest()[:12]
    home.mkdir(parents=True, exist_ok=True)
    for made in (elsewhere, home):
        made.chmod(0o755)
    if not account.reaches(home / "cluster"):
        raise StartError(
            f"The account that runs PostgreSQL for root cannot enter {asked}: set TRADER_DATA_DIR"
            " to a directory that every account may enter, or do not start as root"
        )
    try:
        link.symlink_to(home)
    except FileExistsError:  # another process that starts right now was faster, to the same place
        return link.readlink()
    logger.bind(event="app", directory=str(home)).warning("the database lives elsewhere")
    return home


def ensure_cluster(
    cluster: Path, log: Path, installed: Path, account: ServerAccount | None
) -> None:
    """Create `cluster` if it is missing. Raises: StartError, when the existing one is unusable."""
    ours = major_version(installed)
    try:
        theirs = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if cluster.exists():
            raise StartError(
                f"{cluster} is not a PostgreSQL data directory: move it away, or set"
                " TRADER_DATA_DIR to another directory"
            ) from None
        _create(cluster, log, installed, account)
        return
    if theirs != ours:
        raise StartError(
            f"{cluster} was made by PostgreSQL {theirs}, but this program brings {ours}: set"
            " TRADER_DATA_DIR to another directory, or carry the data over with the pg_dump of"
            f" PostgreSQL {theirs}"
        )


def _create(cluster: Path, log: Path, installed: Path, account: ServerAccount | None) -> None:
    # Created under another name, then renamed: a killed initdb leaves no half cluster.
    half = cluster.with_name("cluster.init")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    if account is not None:
        os.chown(half, account.uid, account.gid)
    initdb = str(installed / "bin" / "initdb")
    command = [initdb, "-D", str(half), "-U", USER, "-E", "UTF8", "--locale=C"]
    since = size(log)
    with log.open("ab") as file:
        made = subprocess.run(  # noqa: S603 - our own program
            [*command, "--data-checksums", "--auth-local=trust", "--auth-host=reject"],
            stdin=subprocess.DEVNULL,
            stdout=file,  # a file, not a pipe: a child process that inherits a pipe keeps it open
            stderr=file,
            cwd="/",
            env=clean_environment(),
            timeout=_INITDB_S,
            check=False,
            **(account.as_process() if account else {}),
        )
    if made.returncode != 0:
        raise StartError(
            f"PostgreSQL could not make {cluster}{last_words(log, since=since)}: see {log}"
        )
    half.rename(cluster)


def last_words(log: Path, *, since: int) -> str:
    """Return the most severe line in `log` after byte `since`, in brackets, or nothing.

    Without a line of a known severity it is the last line, e.g. of the loader or the shell.
    """
    said = log.read_bytes()[since:].decode(errors="replace").splitlines()
    lines = [line for line in said if line.strip()]
    grave = [line for line in lines if any(word in line for word in _GRAVE)]
    worst = (grave or lines)[-1:]
    return "".join(f" ({line.rpartition(':  ')[2].strip()})" for line in worst)


def size(log: Path) -> int:
    """Return the bytes in `log`, created if missing; a log above _LOG_MAX is renamed first."""
    log.touch(mode=0o600)
    found = log.stat().st_size
    if found <= _LOG_MAX:
        return found
    log.replace(log.with_suffix(".log.1"))
    return 0


def socket_directory(home: Path, account: ServerAccount | None) -> Path:
    """Return a private directory whose path is short enough for a socket."""
    own = home / "socket"
    if _fits(own):
        return _private(own, account)
    name = "trader-" + hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/var/tmp"):  # noqa: S108 - owner and mode are checked
        if base is None or not Path(base).is_dir():
            continue
        short = Path(base) / name
        if _fits(short) and (account is None or account.reaches(short)):
            return _private(short, account)
    raise StartError(
        f"{home} is too long a path for PostgreSQL's socket: set TRADER_DATA_DIR to a shorter one"
    )


def _fits(directory: Path) -> bool:
    # libpq reads a comma as the separator of two hosts.
    path = f"{directory}/.s.PGSQL.{PORT}"
    return len(os.fsencode(path)) <= _SOCKET_PATH_MAX and "," not in path


def _private(directory: Path, account: ServerAccount | None) -> Path:
    owners = {os.geteuid()} if account is None else {os.geteuid(), account.uid}
    directory.mkdir(mode=0o700, exist_ok=True)
    try:
        # One handle for the check and for the changes. In a place like /tmp the directory's owner
        # may replace it by a link in between, and root would change the link's target.
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as exc:
        raise _not_ours(directory) from exc
    try:
        if os.fstat(handle).st_uid not in owners:
            raise _not_ours(directory)
        os.fchmod(handle, 0o700)
        if account is not None:
            os.fchown(handle, account.uid, account.gid)
    finally:
        os.close(handle)
    return directory


def _not_ours(directory: Path) -> StartError:
    return StartError(f"{directory} belongs to another account: remove it, then start again")
