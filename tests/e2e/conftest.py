"""A short folder for each program: a socket's path has room for about a hundred characters."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import postmasters


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="e2e-"))
    made.chmod(0o755)  # the embedded server may run as another account
    yield made
    left = postmasters(made)
    shutil.rmtree(made, ignore_errors=True)
    assert not left, f"server processes were left running: {left}"
