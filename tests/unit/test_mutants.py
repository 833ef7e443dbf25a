"""`make mutants` is only worth what its table is: each mutant applies, and its tests are there."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.__main__ import chosen, main
from tests.mutants.mutant import DoesNotApply, Mutant, all_tests, missing_tests, of
from tests.mutants.table import MUTANTS
from tests.mutants.trial import Outcome, copied, tried

ROOT = Path(__file__).parents[2]
SOURCE = "def more(n: int) -> int:\n    return n + 1\n"
TESTS = """
from service.sums import more

def test_one_more() -> None:
    assert more(1) == 2

def test_it_is_a_number() -> None:
    assert isinstance(more(1), int)
"""


def a_mutant(**overrides: object) -> Mutant:
    values: dict[str, object] = {
        "name": "one less",
        "file": "service/sums.py",
        "old": "n + 1",
        "new": "n - 1",
        "tests": of("tests/test_sums.py", "test_one_more"),
    }
    return Mutant(**values | overrides)  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one function and two tests, one of them blind; they need no plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    made = tmp_path / "repository"
    for path, text in (("service/sums.py", SOURCE), ("tests/test_sums.py", TESTS)):
        file = made / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
    (made / "service" / "__init__.py").touch()
    return made


# --- the table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_once_and_makes_a_module_that_can_be_read(mutant: Mutant) -> None:
    changed = mutant.applied(mutant.source(ROOT))

    assert mutant.old != mutant.new
    compile(changed, mutant.file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutants_tests_are_there(mutant: Mutant) -> None:
    assert mutant.tests
    assert missing_tests(mutant, ROOT) == []


def test_no_two_mutants_have_one_name_or_are_the_same_change() -> None:
    names = Counter(mutant.name for mutant in MUTANTS)
    changes = Counter((mutant.file, mutant.old, mutant.new) for mutant in MUTANTS)

    assert max(names.values()) == max(changes.values()) == 1


# --- what is tried ------------------------------------------------------------------------------


@pytest.mark.parametrize("old", ["n + 2", "n"])
def test_a_snippet_that_stands_there_never_or_twice_does_not_apply(tree: Path, old: str) -> None:
    mutant = a_mutant(old=old)

    with pytest.raises(DoesNotApply, match=r"service/sums\.py has the snippet [05] times"):
        mutant.applied(mutant.source(tree))


def test_a_file_that_has_moved_does_not_apply(tree: Path) -> None:
    with pytest.raises(DoesNotApply, match="no file service/gone"):
        a_mutant(file="service/gone.py").source(tree)


def test_a_test_that_is_gone_is_missing(tree: Path) -> None:
    tests = (
        *of("tests/test_sums.py", "test_one_more", "test_one_mor"),
        *of("tests/test_gone.py", "test_x"),
        *of("tests/test_sums.py"),
    )

    assert missing_tests(a_mutant(tests=tests), tree) == [tests[1], tests[2]]


def test_a_file_that_is_run_whole_is_asked_for_once() -> None:
    mutants = [a_mutant(), a_mutant(tests=of("tests/test_sums.py"))]

    assert all_tests(mutants) == ["tests/test_sums.py"]


def test_a_mutant_is_killed_by_a_test_that_sees_and_survives_a_blind_one(tree: Path) -> None:
    blind = a_mutant(tests=of("tests/test_sums.py", "test_it_is_a_number"))

    with copied(tree) as copy:
        outcomes = [tried(mutant, copy)[0] for mutant in (a_mutant(), blind)]
        after = (copy / "service" / "sums.py").read_text()

    assert outcomes == [Outcome.KILLED, Outcome.SURVIVED]
    assert after == (tree / "service" / "sums.py").read_text() == SOURCE


def test_a_copy_has_everything_but_what_is_made_in_the_tree(tree: Path) -> None:
    for made in ("var", ".git", ".venv", "service/__pycache__", "service/var"):
        (tree / made).mkdir()
        (tree / made / "x").touch()

    with copied(tree) as copy:
        files = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}

    assert not copy.exists()
    assert files == {
        "service/__init__.py",
        "service/sums.py",
        "service/var/x",
        "tests/test_sums.py",
    }


@pytest.mark.parametrize(
    "broken",
    [
        a_mutant(new="n +"),
        a_mutant(tests=of("tests/test_sums.py", "test_that_is_not_there")),
    ],
)
def test_what_no_test_could_look_at_is_not_called_killed(tree: Path, broken: Mutant) -> None:
    with copied(tree) as copy:
        outcome, said = tried(broken, copy)

    assert outcome is Outcome.NO_VERDICT
    assert said


def test_the_command_succeeds_when_every_mutant_is_killed(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([a_mutant()], tree=tree) == 0

    assert "1 mutants: 1 killed" in capsys.readouterr().out


def test_the_command_fails_and_says_what_survived_and_what_does_not_apply(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = a_mutant(name="blind", tests=of("tests/test_sums.py", "test_it_is_a_number"))
    moved = a_mutant(name="moved", old="n + 2")

    assert main([blind, moved], tree=tree) == 1

    said = capsys.readouterr().out
    assert "not noticed by tests/test_sums.py::test_it_is_a_number" in said
    assert "has the snippet 0 times" in said
    assert "2 mutants: 1 does not apply, 1 survived" in said


def test_tests_that_fail_by_themselves_kill_nothing(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "service" / "sums.py").write_text(SOURCE.replace("n + 1", "n + 1 + 1"))

    assert main([a_mutant()], tree=tree) == 1

    assert "The tests fail without any mutant" in capsys.readouterr().out


def test_mutants_are_chosen_by_name_and_a_wrong_name_is_told() -> None:
    name = MUTANTS[3].name

    assert chosen([name]) == [MUTANTS[3]]
    assert len(chosen([])) == len(MUTANTS)
    with pytest.raises(KeyError, match="no such one"):
        chosen(["no such one"])
