"""This machine: the data directory, its disk, the file with the secrets. Sends no request."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.app.checks.finding import CheckResult, fail, ok, warn
from service.config import Config

MIB: Final = 1024 * 1024
FAIL_BELOW: Final = 200 * MIB  #: bytes free
WARN_BELOW: Final = 1024 * MIB  #: bytes free
WARN_BELOW_RATIO: Final = 0.10  #: of the whole disk
_OTHERS: Final = 0o077
_SECRETS: Final = Path(".env")


def machine(config: Config) -> Iterator[CheckResult]:
    """Look at what is at hand; no wait, nothing is written."""
    yield data_directory(config.data_dir)
    yield disk(_present(config.data_dir))
    if _SECRETS.is_file():
        yield secrets_file(_SECRETS)


def data_directory(directory: Path) -> CheckResult:
    """Judge whether this account may keep its data there; a missing one is made at the start."""
    item, remedy = "data directory", "allow this account to write there, or set TRADER_DATA_DIR"
    present = _present(directory)
    if not present.is_dir():
        return fail(item, f"{present} is no directory", "set TRADER_DATA_DIR")
    if not os.access(present, os.R_OK | os.W_OK | os.X_OK):
        return fail(item, f"{present} may not be written by this account", remedy)
    if present != directory:
        return ok(item, f"{directory}, made at the first start")
    if present.stat().st_mode & 0o002:
        return warn(item, f"{directory} may be written by every account", f"chmod o-w {directory}")
    return ok(item, str(directory))


def disk(directory: Path) -> CheckResult:
    usage = shutil.disk_usage(directory)
    return room(free=usage.free, total=usage.total, where=directory)


def room(*, free: int, total: int, where: Path) -> CheckResult:
    """Judge how much is left on the disk that holds `where`, bytes."""
    text = f"{free // MIB} MiB free of {total // MIB} MiB at {where}"
    remedy = "make room, or set TRADER_DATA_DIR to a larger disk"
    if free < FAIL_BELOW:
        return fail("disk", text, remedy)
    if free < WARN_BELOW or free < total * WARN_BELOW_RATIO:
        return warn("disk", text, remedy)
    return ok("disk", text)


def secrets_file(path: Path) -> CheckResult:
    if path.stat().st_mode & _OTHERS:
        return warn(str(path), "other accounts may read it", f"chmod 600 {path}")
    return ok(str(path), "for this account only")


def _present(directory: Path) -> Path:
    """Return `directory`, or the nearest of those above it that is there."""
    path = directory.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return directory if path == directory.absolute() else path
