"""Puts one mutant at a time into a copy of the tree and runs its tests there.

The tree the copy is made of is never written to.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.mutants.mutant import Mutant

LONGEST_S: Final = 600.0  #: for one mutant's tests; each test has a time limit of its own
_PASSED: Final = 0
_FAILED: Final = 1
#: At the root: what is made there, and is large. Wherever: byte code, caches.
_MADE: Final = frozenset({".git", "var"})
_CACHES: Final = shutil.ignore_patterns(".venv*", "__pycache__", ".*_cache", ".hypothesis")


class Outcome(StrEnum):
    KILLED = "killed"  #: a test failed
    SURVIVED = "survived"  #: every test passed
    #: pytest ended otherwise: a test that cannot be collected, found or ended shows nothing.
    NO_VERDICT = "no verdict"


@contextmanager
def copied(tree: Path) -> Iterator[Path]:
    """Yield a copy of `tree` without what is made in it; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "tree"

        def ignored(directory: str, names: list[str]) -> set[str]:
            caches = _CACHES(directory, names)
            return caches | _MADE if Path(directory) == tree else caches

        shutil.copytree(tree, copy, ignore=ignored)
        yield copy


def tried(mutant: Mutant, copy: Path) -> tuple[Outcome, str]:
    """Return what the mutant's tests say of it, and what pytest printed.

    Raises: DoesNotApply.
    """
    source = mutant.source(copy)
    file = copy / mutant.file
    _write(file, mutant.applied(source))
    try:
        return run(mutant.tests, copy)
    finally:
        _write(file, source)


def run(tests: Sequence[str], copy: Path) -> tuple[Outcome, str]:
    """Run `tests` in `copy` until the first that fails."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    process = subprocess.Popen(
        command,
        cwd=copy,
        env=_environment(copy),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for us, and pytest is told once
    )
    try:
        said, _ = process.communicate(timeout=LONGEST_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as exc:
        process.send_signal(signal.SIGINT)  # pytest ends what its tests have started
        said, _ = process.communicate()
        if isinstance(exc, KeyboardInterrupt):
            raise
        return Outcome.NO_VERDICT, said.decode(errors="replace")
    outcomes = {_PASSED: Outcome.SURVIVED, _FAILED: Outcome.KILLED}
    return outcomes.get(process.returncode, Outcome.NO_VERDICT), said.decode(errors="replace")


def _environment(copy: Path) -> Mapping[str, str]:
    # First on the path: the environment's packages have the original installed.
    return {**os.environ, "PYTHONPATH": str(copy)}


def _write(file: Path, source: str) -> None:
    """Write `source` and remove its byte code.

    Python takes byte code for current whose second and size agree with the source: two mutants of
    one file within a second may have both in common.
    """
    file.write_text(source, encoding="utf-8")
    for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        stale.unlink()
