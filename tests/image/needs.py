"""What `make image-check` needs from the machine, and the sentence when it is not there."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

#: program -> Debian's package of it
PROGRAMS: Final[Mapping[str, str]] = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "unshare": "util-linux",
    "mount": "mount",
    "chroot": "coreutils",
}
#: As the image's service is started: processes, mounts and network of its own.
NAMESPACES: Final = ("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child")
_PREFIX: Final = (
    "import sys; sys.version_info[:2] == (3, 12) or sys.exit('no 3.12'); print(sys.base_prefix)"
)


def missing(
    *,
    which: Callable[[str], str | None] = shutil.which,
    uid: int | None = None,
    may: Callable[[], bool] | None = None,
) -> str | None:
    """Return one sentence that says what is missing and how to get it; None when nothing is."""
    for program, package in PROGRAMS.items():
        if which(program) is None:
            return f"{program} is not installed (on Debian: apt-get install {package})"
    if (os.geteuid() if uid is None else uid) != 0:
        return "only root can run debootstrap and chroot"
    if not (may or _may_make_namespaces)():
        return "this account may not make namespaces (unshare is refused)"
    return None


def _may_make_namespaces() -> bool:
    return subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


def interpreter_prefix(variables: Mapping[str, str]) -> Path | None:
    """Return the prefix of a CPython 3.12: PYTHON312_PREFIX, else that of `python3.12`."""
    given = variables.get("PYTHON312_PREFIX")
    program = f"{given}/bin/python3.12" if given else "python3.12"
    try:
        told = subprocess.run(
            [program, "-I", "-c", _PREFIX], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return Path(told.stdout.strip()) if told.returncode == 0 else None
