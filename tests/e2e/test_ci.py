"""`.ci/run` tries the committed state at a place where a checkout is hard to serve from."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = """\
#!/bin/sh
echo "$1 in $PWD" >>"$SEEN"
stat -c %a .. >>"$SEEN"
ls -A >>"$SEEN"
echo "said by $1"
[ "$1" != "$BREAKS" ] || sh -c "$BREAKING"
"""
# Beside the trial it reads pytest's cache, and stands for a pytest that the failed test passes.
PYTHON = f"""\
#!/bin/sh
case "$1" in
    -c) exec {sys.executable} "$@" ;;
    -m) echo "again: $*" ; [ -n "$PASSES" ] ;;
    *) exec sh "$@" ;;
esac
"""
FAILED = "mkdir -p .pytest_cache/v/cache; echo '{}' >.pytest_cache/v/cache/lastfailed; exit 2"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with .ci/run and a main job that only says where it is."""
    made = tmp_path / "checkout"
    (made / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", made / ".ci")
    (made / ".ci" / "trial.py").write_text("echo said by the trial\n")
    (made / ".gitignore").write_text("/.ci/logs/\n")
    git(made, "init", "--quiet", "--initial-branch=main")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message=One")
    return made


@pytest.fixture
def run_ci(checkout: Path, tmp_path: Path) -> "Run":
    return Run(checkout, tmp_path)


def git(where: Path, *arguments: str) -> None:
    names = ["-c", "user.name=Tests", "-c", "user.email=tests@example.com"]
    subprocess.run(["git", "-C", where, *names, *arguments], check=True)


class Run:
    """Runs .ci/run with a `make` that writes down where it stands."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.checkout = checkout
        self.seen = folder / "seen"
        self.places = folder / "places"
        self._programs = folder / "programs"
        self._environment = folder / "environment" / "bin"
        for made in (self.places, self._programs, self._environment):
            made.mkdir(parents=True)
        (self._programs / "make").write_text(MAKE)
        (self._programs / "make").chmod(0o755)
        (self._environment / "python").write_text(PYTHON)
        (self._environment / "python").chmod(0o755)

    def __call__(
        self, *, breaks: str = "", breaking: str = "false", passes: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Args: breaking: what the broken step does.  passes: whether its tests pass alone."""
        return subprocess.run(
            ["bash", ".ci/run"], cwd=self.checkout, check=False, capture_output=True, text=True,
            env=os.environ | {
                "PATH": f"{self._programs}:{os.environ['PATH']}", "TMPDIR": str(self.places),
                "VENV": str(self._environment.parent), "SEEN": str(self.seen), "BREAKS": breaks,
                "BREAKING": breaking, "PASSES": passes,
            },
        )  # fmt: skip


def test_it_runs_every_step_where_serving_is_hard_and_leaves_nothing(run_ci: Run) -> None:
    done = run_ci()

    assert (done.returncode, done.stderr) == (0, "")
    seen = run_ci.seen.read_text()
    where = seen.splitlines()[0].removeprefix("test in ")
    assert where.startswith(f"{run_ci.places}/")
    assert seen.splitlines()[1] == "700"
    if os.geteuid() != 0:
        assert where.endswith("/my clone é")
    assert [line.split()[0] for line in seen.splitlines() if " in " in line] == [
        "test", "slow", "conformance", "simulation", "chaos", "bench-short",
    ]  # fmt: skip
    assert list(run_ci.places.iterdir()) == []


def test_its_logs_are_in_the_checkout_also_after_a_failure(run_ci: Run) -> None:
    done = run_ci(breaks="slow")

    logs = run_ci.checkout / ".ci" / "logs"
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("make slow; the whole output: .ci/logs/slow.txt")
    assert {log.name: log.read_text() for log in logs.iterdir()} == {
        "test.txt": "said by test\n", "slow.txt": "said by slow\n",
    }  # fmt: skip
    assert stat.S_IMODE(logs.stat().st_mode) & stat.S_IRUSR
    assert list(run_ci.places.iterdir()) == []


@pytest.mark.parametrize(("passes", "code"), [("yes", 0), ("", 1)])
def test_a_failed_test_is_tried_once_more_alone_and_named(
    run_ci: Run, passes: str, code: int
) -> None:
    failed = FAILED.format('{"tests/test_a.py::test_b": true}')

    done = run_ci(breaks="test", breaking=failed, passes=passes)

    assert done.returncode == code
    assert "again: -m pytest" in (run_ci.checkout / ".ci" / "logs" / "test.txt").read_text()
    named = "FAILED AT FIRST, passed alone: tests/test_a.py::test_b" in done.stdout
    assert named == bool(passes)


@pytest.mark.parametrize("tests", [0, 4])
def test_a_step_without_failed_tests_or_with_many_is_not_tried_again(
    run_ci: Run, tests: int
) -> None:
    named = ", ".join(f'"test_{n}": true' for n in range(tests))

    done = run_ci(breaks="test", breaking=FAILED.format(f"{{{named}}}"), passes="yes")

    assert done.returncode == 2
    assert "again" not in (run_ci.checkout / ".ci" / "logs" / "test.txt").read_text()


def test_what_is_not_committed_is_not_tried_and_that_is_said(run_ci: Run) -> None:
    (run_ci.checkout / "new").touch()

    done = run_ci()

    assert done.stdout.splitlines()[0] == (
        "This checkout has changes that are not committed: they are not tried."
    )
    assert "new" not in run_ci.seen.read_text().splitlines()


def test_a_checkout_without_changes_is_not_spoken_of(run_ci: Run) -> None:
    git(run_ci.checkout, "checkout", "--quiet", "--detach")  # as CI checks out

    done = run_ci()

    assert "not committed" not in done.stdout
    assert done.returncode == 0


def test_real_candles_beside_the_checkout_are_beside_the_clone_too(run_ci: Run) -> None:
    (run_ci.checkout.parent / "shared" / "data").mkdir(parents=True)
    (run_ci.checkout / ".ci" / "trial.py").write_text("ls ../shared\n")
    git(run_ci.checkout, "commit", "--quiet", "--all", "--message=Two")

    run_ci()

    assert (run_ci.checkout / ".ci" / "logs" / "trial.txt").read_text() == "data\n"
