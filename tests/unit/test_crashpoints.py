"""Crash points: nothing unless armed, each at one place, and never with real money."""

import ast
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.config import Config, Mode
from service.crashpoints import CRASH_POINTS, RECORD, PlannedCrash, crashpoint, planned_crash

ROOT = Path(__file__).parents[2]
KEYS = {
    "upbit_access_key": "a",
    "upbit_secret_key": "b",
    "gemini_api_key": "c",
    "upbit_base_url": "http://127.0.0.1:9000",
}


def lived(tmp_path: Path, statements: str) -> subprocess.CompletedProcess[bytes]:
    """Run the statements in a process of its own that has armed the second `post.after_send`."""
    head = (
        "from pathlib import Path\n"
        "from service.crashpoints import arm, crashpoint, planned_crash\n"
        f"record = Path({str(tmp_path / 'data' / RECORD)!r})\n"
        "arm(planned_crash('post.after_send:2'), record=record)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", head + statements],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )


def called() -> Iterator[tuple[str, str]]:
    """Yield module and argument of every call of `crashpoint` in the service, bound ones too."""
    for path in sorted((ROOT / "service").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if "crashpoint" in source else ():
            if isinstance(node, ast.Call):
                words = [ast.unparse(part) for part in (node.func, *node.args)]
                if words[0] == "partial":
                    words = words[1:]
                if words[0].endswith("crashpoint"):
                    yield str(path.relative_to(ROOT)), ast.literal_eval(words[1])


# --- the points -----------------------------------------------------------------------------------


def test_every_point_stands_at_one_place_and_every_place_names_a_point() -> None:
    assert Counter(name for _, name in called()) == Counter(CRASH_POINTS)
    assert len(CRASH_POINTS) == 28


def test_the_document_says_of_every_point_where_it_stands() -> None:
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    part = text.partition("## Crash points\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| `(service/[\w/]+\.py)`", part, re.MULTILINE)

    places = {name: place for place, name in called()}
    assert rows == [(name, places[name]) for name in CRASH_POINTS]


# --- the mechanism --------------------------------------------------------------------------------


def test_the_process_dies_of_sigkill_at_the_planned_arrival_and_leaves_the_points_name(
    tmp_path: Path,
) -> None:
    ended = lived(
        tmp_path,
        "crashpoint('post.after_send')\nprint('once', flush=True)\n"
        "crashpoint('post.after_send')\nprint('twice', flush=True)\n",
    )

    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == [b"once"]
    assert (tmp_path / "data" / RECORD).read_text() == "post.after_send"


def test_another_point_than_the_armed_one_does_nothing(tmp_path: Path) -> None:
    ended = lived(tmp_path, "crashpoint('post.before_send')\ncrashpoint('post.before_send')\n")

    assert ended.returncode == 0
    assert (tmp_path / "data" / RECORD).read_text() == ""


def test_what_is_not_armed_does_nothing() -> None:
    for name in CRASH_POINTS:
        crashpoint(name)


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("fill.after_commit", PlannedCrash("fill.after_commit")),
        ("reconcile.mid:12", PlannedCrash("reconcile.mid", 12)),
    ],
)
def test_a_point_is_planned_for_its_first_or_a_later_arrival(text: str, plan: PlannedCrash) -> None:
    assert planned_crash(text) == plan


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fill.after_comit", "no crash point has this name; did you mean fill.after_commit?"),
        ("xyzzy", "no crash point has this name; docs/faults.md lists them"),
        ("", "no crash point has this name"),
        ("reconcile.mid:0", "the number of the arrival is 1 or more, like reconcile.mid:2"),
        ("reconcile.mid:²", "the number of the arrival is 1 or more"),
        ("reconcile.mid:-1", "the number of the arrival is 1 or more"),
    ],
)
def test_an_unknown_point_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        planned_crash(text)


# --- the configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
def test_only_the_sandbox_arms_a_point(mode: Mode) -> None:
    assert Config(mode=Mode.SANDBOX, crashpoint="migrate.mid").crashpoint == "migrate.mid"
    with pytest.raises(ValueError, match=f"TRADER_CRASHPOINT kills the process.* for {mode}"):
        Config.model_validate({"mode": mode, "crashpoint": "migrate.mid", **KEYS})


def test_the_configuration_refuses_an_unknown_point() -> None:
    with pytest.raises(ValueError, match=r"did you mean post.after_send\?"):
        Config(crashpoint="post.send")
