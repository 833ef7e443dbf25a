"""Writes the table as results/latest.md and results/latest.json."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.comparison import Result
from benchmarks.processes import ROOT

FOLDER: Final = ROOT / "benchmarks" / "results"


def machine() -> dict[str, str | float | int | None]:
    """Return the facts about the machine that figures depend on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": _version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        # Near zero on an idle machine.
        "load": round(os.getloadavg()[0], 2),
    }


def _version() -> str:
    command = ["git", "describe", "--always", "--dirty", "--tags"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()


def write(
    where: Path, about: Mapping[str, str | float | int | None], results: Sequence[Result]
) -> None:
    where.mkdir(parents=True, exist_ok=True)
    document = {"machine": about, "results": [_plain(result) for result in results]}
    (where / "latest.json").write_text(json.dumps(document, indent=2) + "\n")
    (where / "latest.md").write_text(markdown(about, results))


def _plain(result: Result) -> dict[str, object]:
    return {
        "name": result.name,
        "unit": result.unit,
        "ours": _number(result.ours),
        "theirs": _number(result.theirs),
        "ratio": None if result.theirs is None else _number(result.value),
        "noise": _number(result.noise),
        "at_most": result.at_most,
        "at_least": result.at_least,
        "within": result.within,
        "kept": result.is_kept(),
        "measured_again": result.again,
    }


def _number(value: float | None) -> float | None:
    # JSON has no infinity.
    return None if value is None or not math.isfinite(value) else round(value, 4)


def markdown(about: Mapping[str, str | float | int | None], results: Sequence[Result]) -> str:
    lines = [
        "# What was measured",
        "",
        ", ".join(f"{name} {value}" for name, value in about.items()),
        "",
        "Medians of interleaved rounds. Noise is the interquartile range of theirs / their median.",
        "",
        "| figure | ours | theirs | unit | ratio | held to | noise | |",
        "| --- | ---: | ---: | --- | ---: | --- | ---: | --- |",
        *(_row(result) for result in results),
    ]
    return "\n".join(lines) + "\n"


def _row(result: Result) -> str:
    cells = (
        result.name,
        f"{result.ours:,.2f}",
        "" if result.theirs is None else f"{result.theirs:,.2f}",
        result.unit,
        "" if result.theirs is None else f"{result.value:.2f}x",
        result.bound,
        "" if result.noise is None else f"{result.noise:.0%}",
        result.verdict() + (", second run" if result.again else ""),
    )
    return f"| {' | '.join(cells)} |"
