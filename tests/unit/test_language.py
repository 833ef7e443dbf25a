"""Plain sentences: code is not a person, and a line of a document fits a window."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SERVICE: Final = ROOT / "service"
PAGES: Final = sorted(
    path
    for path in (
        *ROOT.glob("README*.md"),
        *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md")),
        *ROOT.glob("docs/*.md"),
    )
    if path.name != "specification.md"  # a program writes it
)
#: Decisions are never edited.
DOCUMENTS: Final = [*PAGES, ROOT / "CHANGELOG.md", *ROOT.glob("benchmarks/*.md")]

LONGEST_LINE: Final = 120  #: characters, outside of tables and code
LONGEST_README: Final = 150  #: lines
MOST_PERSONS: Final = 1.0  #: words for a person, in a thousand

#: Words that make a person of a connection, a process or a caller.
PERSON: Final = re.compile(r"\b(who|whoever|whom|nobody|somebody)\b", re.IGNORECASE)
WORD: Final = re.compile(r"[^\W\d_][\w'-]*")
FENCE: Final = re.compile(r"^```.*?^```$\n?", re.MULTILINE | re.DOTALL)
INLINE: Final = re.compile(r"`[^`\n]*`")


def prose(page: str) -> str:
    """Return the page without its code, blocks and words."""
    return INLINE.sub("", FENCE.sub("", page))


def long_lines(page: str) -> list[str]:
    """Return the lines outside of tables and code that no window of 120 characters shows."""
    return [
        line
        for line in FENCE.sub("", page).splitlines()
        if len(line) > LONGEST_LINE and not line.startswith("|")
    ]


def remarks(source: str) -> Iterator[str]:
    """Yield the comments and docstrings of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def persons(texts: dict[str, str]) -> tuple[float, dict[str, int]]:
    """Return the words for a person in a thousand words, and how many each text has."""
    found = {name: len(PERSON.findall(text)) for name, text in texts.items()}
    words = sum(len(WORD.findall(text)) for text in texts.values())
    return 1000 * sum(found.values()) / words, {name: n for name, n in found.items() if n}


def test_the_documents_hardly_speak_of_things_as_persons() -> None:
    texts = {
        str(path.relative_to(ROOT)): prose(path.read_text(encoding="utf-8")) for path in DOCUMENTS
    }

    share, where = persons(texts)

    assert share < MOST_PERSONS, where


def test_comments_and_docstrings_hardly_speak_of_code_as_persons() -> None:
    texts = {
        path.relative_to(SERVICE).as_posix(): "\n".join(remarks(path.read_text(encoding="utf-8")))
        for path in SERVICE.rglob("*.py")
    }

    share, where = persons(texts)

    assert share < MOST_PERSONS, where


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_of_a_document_is_too_long_to_read(path: Path) -> None:
    assert long_lines(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_a_readme_is_no_longer_than_a_page_or_two(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()

    assert len(lines) <= LONGEST_README


def test_the_count_sees_comments_and_docstrings_and_no_other_text() -> None:
    source = '"""Whoever."""\n# nobody\nwho = "somebody"\n\ndef f() -> None:\n    """Whom?"""\n'

    share, where = persons({"m": "\n".join(remarks(source))})

    assert where == {"m": 3}
    assert share == pytest.approx(1000)


def test_the_length_leaves_tables_and_code_out() -> None:
    long = "x" * (LONGEST_LINE + 1)

    assert long_lines(f"{long}\n| {long} |\n```\n{long}\n```\n{'y' * LONGEST_LINE}\n") == [long]


def test_the_prose_of_a_page_is_what_stands_outside_of_code() -> None:
    assert prose("Ask `who` for\n```\nsomebody\n```\nit.") == "Ask  for\nit."
