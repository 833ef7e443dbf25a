"""One class name has one meaning; docs/glossary.md names the exceptions."""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
MOST: Final = 3
GLOSSARY: Final = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def class_names(folder: str) -> Counter[str]:
    """Return how often each class name is defined below `folder`."""
    return Counter(
        node.name
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )


@pytest.mark.proves("S7.1")
def test_a_class_name_that_stands_twice_is_in_the_glossary_with_its_reason() -> None:
    """S7.1: a reader of one file knows the class of another."""
    twice = {name for name, times in class_names("service").items() if times > 1}
    listed = dict(
        re.findall(r"^\| `?(\w+)`? \| (.+) \|$", GLOSSARY.partition("## Homonyms")[2], re.MULTILINE)
    )
    listed.pop("class", None)

    assert twice == set(listed)
    assert len(twice) <= MOST
    assert all(reason.strip() for reason in listed.values())


def test_no_class_of_the_benchmarks_has_a_name_of_the_service() -> None:
    assert not class_names("benchmarks").keys() & class_names("service").keys()
