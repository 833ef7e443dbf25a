"""pg_dump and pg_restore of the wheel, with a password that no other account can read."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

from service.domain.errors import InvalidRequest, StartError
from service.store.database.dsn import connect, named, parameters
from service.store.embedded.binaries import clean_environment, major_version, programs

_SERVICE: Final = "backup"
_PRIVATE: Final = 0o600
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class ProgramFailed(InvalidRequest):
    """pg_dump or pg_restore ended with an error; the text is its first line."""


@contextmanager
def access(dsn: str) -> Iterator[dict[str, str]]:
    """Yield the variables that lead libpq's programs to `dsn`; they name files of mode 0600.

    What stands in the arguments or the environment of a process is shown by tools like ps.

    Raises: StartError, also when the server is newer than the programs.
    """
    given = parameters(dsn)
    with closing(connect(given)) as connection:
        # As libpq resolved them: from a service file, a password file and the environment too.
        resolved = connection.info.dsn_parameters
        password = connection.info.password
        check_version(connection.server_version // 10_000, given)
    with tempfile.TemporaryDirectory(prefix="trader-") as folder:  # mode 0700
        service, passwords = Path(folder) / "service", Path(folder) / "passwords"
        lines = [f"[{_SERVICE}]", *(f"{name}={value}" for name, value in resolved.items())]
        _write(service, "\n".join(lines))
        escaped = (password or "").replace("\\", "\\\\").replace(":", "\\:")
        _write(passwords, f"*:*:*:*:{escaped}" if password else "")
        yield {
            "PGSERVICEFILE": str(service),
            "PGSERVICE": _SERVICE,
            "PGPASSFILE": str(passwords),
        }


def run(
    program: str,
    *arguments: str,
    variables: Mapping[str, str] = _NOTHING,
    out: int | IO[bytes] = subprocess.DEVNULL,
) -> bytes:
    """Run a program of the wheel to its end; return what it wrote to a pipe.

    Raises: ProgramFailed.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        [str(programs() / "bin" / program), *arguments],
        env={**clean_environment(), **variables},
        stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, cwd="/", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ProgramFailed(_said(done.stderr) or f"{program} ended with {done.returncode}")
    return done.stdout or b""


def _said(stderr: bytes) -> str:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if "error:" in line]
    first = lines[0].strip() if lines else ""
    # After these words PostgreSQL quotes the row, amounts included.
    return first.partition(": ERROR:")[0] if "COPY failed" in first else first


def check_version(server: int, given: Mapping[str, str]) -> None:
    """Raises: StartError, when the server's major version is newer than that of the programs."""
    ours = int(major_version(programs()))
    if server > ours:
        raise StartError(
            f"{named(given)} is version {server}, and the programs that come with us are version"
            f" {ours}: use the pg_dump and pg_restore of that server"
        )


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w") as file:
        file.write(text + "\n")
