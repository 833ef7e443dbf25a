"""`make` on a machine that lacks something: one sentence each that says what to do (FR-012)."""

import os
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_ENSUREPIP = """\
The virtual environment was not created successfully because ensurepip is not
available.  On Debian/Ubuntu systems, you need to install the python3-venv
package using the following command.

    apt install python3.12-venv

Failing command: /x/bin/python3
"""
NOWHERE = "http://127.0.0.1:9/simple"  #: the discard port of this machine, where nothing listens

PIP_HERE = {"PYTHONPATH": sysconfig.get_path("purelib")}

Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Return what writes a program that stands in for Python."""

    def written(body: str) -> Path:
        file = tmp_path / "stand in"
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)
        return file

    return written


def python_that(fails_with: str, *, at: str = "-m") -> str:
    """Return the body of a Python 3.12 that fails in one of its steps."""
    return f"if [ \"$1\" = {at} ]; then cat <<'END' >&2\n{fails_with}\nEND\nexit 1; fi; echo 3.12"


def set_up(*arguments: str | Path, **variables: str) -> tuple[int, list[str]]:
    """Return the exit code and stderr's lines of a set-up step."""
    done = subprocess.run(
        ["sh", "requirements/install.sh", *arguments],
        cwd=ROOT, env=os.environ | variables, check=False, capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip
    return done.returncode, done.stderr.splitlines()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An empty environment; pip stands in PIP_HERE, since installing it takes seconds."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    return folder


def broken(folder: Path, body: str) -> Path:
    """Put a stand-in for Python into `folder`, as if it were an environment."""
    (folder / "bin").mkdir(parents=True)
    file = folder / "bin" / "python"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return folder


# --- the interpreter -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["/bin/echo", "/bin/true", "/nowhere/python", "."])
def test_what_is_no_python_is_said(tmp_path: Path, name: str) -> None:
    code, said = set_up("venv", tmp_path / "v", name)

    assert code == 1
    assert said == [
        f"PYTHON={name} is not a Python interpreter: name one, like make run PYTHON=/path/to/python"
    ]


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10"])
def test_an_old_python_is_said(tmp_path: Path, script: Script, version: str) -> None:
    python = script(f"echo {version}")

    code, said = set_up("venv", tmp_path / "v", python)

    assert (code, len(said)) == (1, 1)
    assert said[0].startswith(f"PYTHON={python} is Python {version}, which is too old: name 3.11 ")


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    assert set_up("venv", tmp_path / "v", "") == (
        1,
        [
            (
                "No Python 3.11 or newer was found: install one, or name it, like make run"
                " PYTHON=/path/to/python"
            )
        ],
    )


def test_make_stops_at_a_python_that_is_none(tmp_path: Path) -> None:
    """The whole way through the Makefile: nothing after the sentence but make's own line."""
    done = subprocess.run(
        ["make", "run", "PYTHON=/bin/echo", f"VENV={tmp_path / 'v'}"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=100,
    )  # fmt: skip

    lines = done.stderr.splitlines()
    assert lines[0].startswith("PYTHON=/bin/echo is not a Python interpreter")
    assert [line for line in lines[1:] if not line.startswith("make")] == []
    assert not (tmp_path / "v" / ".made").exists()


@pytest.mark.parametrize(
    "complaint",
    [NO_ENSUREPIP, "/usr/bin/python3: No module named venv", "No module named ensurepip"],
)
def test_a_missing_venv_module_is_said_with_the_package(
    tmp_path: Path, script: Script, complaint: str
) -> None:
    code, said = set_up("venv", tmp_path / "v", script(python_that(complaint)))

    assert (code, len(said)) == (1, 2)  # the first says what it begins with
    assert said[1].startswith("Python 3.12 has no venv module: install it (Debian, Ubuntu: apt")
    assert "apt install python3.12-venv)" in said[1]
    assert complaint.splitlines()[0] in (tmp_path / "v" / "install.log").read_text()


def test_a_disk_too_full_for_pip_is_said(tmp_path: Path, script: Script) -> None:
    """The venv module hides what ensurepip says: it is asked once more."""
    hidden = "Error: Command '['/x/python3', '-m', 'ensurepip']' returned non-zero exit status 1."
    full = "OSError: [Errno 28] No space left on device"
    broken(tmp_path / "v", f'[ "$2" = ensurepip ] && echo "{full}"; exit 1')

    code, said = set_up("venv", tmp_path / "v", script(python_that(hidden)))

    assert code == 1
    assert said[1].startswith(f"The disk is full: free about 600 MB where {tmp_path}/v lies")


def test_what_venv_complains_of_otherwise_is_in_the_sentence(
    tmp_path: Path, script: Script
) -> None:
    code, said = set_up("venv", tmp_path / "v", script(python_that("Error: the sky is falling")))

    assert code == 1
    assert f"could not make an environment in {tmp_path}/v (Error: the sky is falling)" in said[1]


def test_a_half_made_environment_is_made_again(tmp_path: Path, script: Script) -> None:
    """Debian's Python without ensurepip leaves bin/python behind, which has no pip."""
    folder = broken(tmp_path / "v", '[ "$1" != -m ]')
    python = script(f'[ "$1" = -m ] && echo "$2 $3" > "{tmp_path}/asked"; echo 3.12')

    code, _ = set_up("venv", folder, python)

    assert code == 0
    assert (tmp_path / "asked").read_text() == f"venv {folder}\n"


def test_an_environment_with_pip_is_kept(environment: Path, script: Script) -> None:
    assert set_up("venv", environment, script("exit 1"), **PIP_HERE) == (0, [])


# --- its packages ----------------------------------------------------------------------------


def test_no_network_is_one_sentence_that_names_pip_and_what_to_look_at(
    environment: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"nothing-of-this-name==1 --hash=sha256:{'0' * 64}\n")

    code, said = set_up(
        "lock", environment, lock,
        **PIP_HERE, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=NOWHERE,
        PIP_NO_CACHE_DIR="1", PIP_RETRIES="1", PIP_FIND_LINKS="", NO_PROXY="*",
    )  # fmt: skip

    assert code == 1
    assert said == [
        (
            "pip could not reach its package index (Connection refused): check the network,"
            " HTTPS_PROXY and PIP_INDEX_URL (pip config list), then run make again (the whole"
            f" output: {environment}/install.log)"
        )
    ]
    assert "nothing-of-this-name" in (environment / "install.log").read_text()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            (
                "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError("
                '"Failed to establish a new connection: [Errno -3] Temporary failure in name'
                " resolution\")': /simple/x/\nERROR: No matching distribution found for x==1"
            ),
            "pip could not reach its package index (Temporary failure in name resolution): check",
        ),
        (
            "ERROR: HTTP error 503 while getting https://index/x.whl",
            "pip could not reach its package index (HTTP error 503): check the network",
        ),
        (
            (
                "ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed:"
                " 407 Proxy Authentication Required'))': /simple/x/"
            ),
            "pip could not reach its package index (Tunnel connection failed: 407 Proxy",
        ),
        (
            (
                "Traceback (most recent call last):\n  File x\n"
                "OSError: [Errno 28] No space left on device"
            ),
            "The disk is full: free about 600 MB where ",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 122] Disk quota exceeded",
            "The disk is full: free about 600 MB where ",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n x==1",
            "pip got a package that is not the one in the lock file, so nothing was installed",
        ),
        (
            "ERROR: Could not find a version\nERROR: No matching distribution found for x==1\n\n",
            "pip failed (ERROR: No matching distribution found for x==1): mend that",
        ),
    ],
)
@pytest.mark.parametrize("step", [("lock", "requirements/run.lock"), ("checkout",)])
def test_what_pip_says_becomes_one_sentence(
    tmp_path: Path, step: tuple[str, ...], output: str, sentence: str
) -> None:
    folder = broken(tmp_path / "v", f"cat <<'END' >&2\n{output}\nEND\nexit 1")

    code, said = set_up(step[0], folder, *step[1:])

    assert (code, len(said)) == (1, 1)
    assert said[0].startswith(sentence)
    assert (folder / "install.log").read_text().rstrip() == output.rstrip()


def test_what_pip_says_of_a_success_is_not_shown(tmp_path: Path) -> None:
    folder = broken(tmp_path / "v", "echo WARNING: of no interest >&2")

    assert set_up("lock", folder, "requirements/run.lock") == (0, [])


def test_without_room_for_the_log_the_sentence_is_said_without_it(tmp_path: Path) -> None:
    folder = broken(tmp_path / "v", "echo '[Errno 28] No space left on device'; exit 1")
    (folder / "install.log").symlink_to("/dev/full")

    code, said = set_up("lock", folder, "requirements/run.lock")

    assert (code, len(said)) == (1, 1)
    assert said[0].endswith("then run make again")
