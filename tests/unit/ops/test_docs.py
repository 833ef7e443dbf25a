from pathlib import Path

import pytest

from service.ops.health.monitor import SCHEDULES
from service.ops.health.reasons import REASONS
from service.ops.logs.patcher import CONTRACT, EVENTS

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("word", sorted(CONTRACT | EVENTS))
def test_the_log_contract_is_written_down(word: str) -> None:
    assert f"`{word}`" in (DOCS / "logs.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_is_written_down(reason: str) -> None:
    assert f"`{reason}`" in (DOCS / "health.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("component", ["database", "upbit_api", "gemini_api"])
def test_the_rhythm_in_the_table_is_the_one_kept(component: str) -> None:
    text = (DOCS / "health.md").read_text(encoding="utf-8")
    rhythm = SCHEDULES[component]  # type: ignore[index]  # parametrize forgets the Literal

    assert f"| `{component}` | every {rhythm.every_s:g} s, {rhythm.timeout_s:g} s at most" in text
