"""Figures are judged and written down as they should be; the modules stay short (S7.1)."""

import json
import math
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.__main__ import measured
from benchmarks.comparison import Result, Samples, interleaved

FOLDER: Final = Path(report.__file__).parent
LONGEST: Final = 150  #: lines of a module


def a_ratio(
    ours: float,
    theirs: float,
    *,
    name: str = "a list",
    at_most: float | None = None,
    at_least: float | None = None,
    within: float = 0.0,
) -> Result:
    return Result(
        name=name, ours=ours, theirs=theirs, unit="ms",
        at_most=at_most, at_least=at_least, within=within,
    )  # fmt: skip


def test_a_ratio_is_held_to_its_bound_and_to_no_more_than_the_slack() -> None:
    slow, few = a_ratio(15, 10, at_most=1.2), a_ratio(7, 10, at_least=0.75)

    assert not slow.is_kept()
    assert slow.is_kept(slack=1.3)
    assert not a_ratio(16, 10, at_most=1.2).is_kept(slack=1.3)
    assert not few.is_kept()
    assert few.is_kept(slack=1.3)
    assert not a_ratio(5, 10, at_least=0.75).is_kept(slack=1.3)


def test_what_cannot_be_told_apart_is_no_miss() -> None:
    near = a_ratio(0.5, 0.3, at_most=1.2, within=0.3)
    far = a_ratio(5, 3, at_most=1.2, within=0.3)

    assert near.is_kept()
    assert not far.is_kept()


def test_a_count_that_must_be_zero_has_no_slack() -> None:
    waits = Result(name="waits", ours=1, unit="", at_most=0)

    assert not waits.is_kept(slack=1.3)


def test_without_a_bound_nothing_is_missed() -> None:
    assert a_ratio(100, 1).is_kept()
    assert a_ratio(100, 1).verdict() == ""


def test_candidates_take_turns_and_the_first_round_only_warms_up() -> None:
    turns = count()

    seen = interleaved({"a": lambda: next(turns), "b": lambda: next(turns)}, rounds=2)

    assert seen == {"a": Samples((2, 4)), "b": Samples((3, 5))}


def test_noise_is_the_middle_half_beside_the_median() -> None:
    assert Samples((8, 9, 10, 11, 12)).noise == 0.2
    assert Samples((10,)).noise == 0


def test_only_what_was_missed_counts_from_the_second_measurement() -> None:
    first = [a_ratio(13, 10, at_most=1.2), a_ratio(10, 10, name="another", at_most=1.2)]
    second = [a_ratio(11, 10, at_most=1.2), a_ratio(14, 10, name="another", at_most=1.2)]
    runs = iter([first, second])

    missed, kept = measured(lambda: next(runs), slack=1.0)

    assert (missed.ours, missed.again) == (11, True)
    assert (kept.ours, kept.again) == (10, False)


def test_the_table_is_written_for_people_and_for_programs(tmp_path: Path) -> None:
    results = [
        Result.of("a list", Samples((2, 2)), Samples((1, 1)), unit="ms", at_most=1.2),
        Result(name="normal again after", ours=math.inf, unit="s", at_most=5),
    ]

    report.write(tmp_path, {"cores": 2}, results)

    rows = (tmp_path / "latest.md").read_text().splitlines()
    assert rows[-2] == "| a list | 2.00 | 1.00 | ms | 2.00x | <= 1.2x | 0% | MISSED |"
    document = json.loads((tmp_path / "latest.json").read_text())
    assert document["machine"] == {"cores": 2}
    assert [row["ratio"] for row in document["results"]] == [2.0, None]
    assert [row["kept"] for row in document["results"]] == [False, False]


def test_the_stored_table_and_the_stored_document_have_the_same_figures() -> None:
    document = json.loads((FOLDER / "results" / "latest.json").read_text())
    rows = (FOLDER / "results" / "latest.md").read_text().splitlines()

    names = [result["name"] for result in document["results"]]
    assert [row.split(" | ")[0] for row in rows[-len(names) :]] == [f"| {name}" for name in names]


def test_no_module_of_the_benchmarks_is_longer_than_it_can_justify() -> None:
    lines = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in FOLDER.rglob("*.py")
    }

    assert {name for name, number in lines.items() if number > LONGEST} == set()
