"""Every row of the specification has a test that names it, and the document lists them all."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.specification import DOCUMENT, ROOT, Proof, demands, proofs, written

TEXT = DOCUMENT.read_text(encoding="utf-8")
FOUND = proofs()
ROWS = demands(TEXT)

#: How many rows each part of the specification has, its edge cases included.
COUNTS = {"S1": 4, "S2": 4, "S3": 3, "S4": 3, "S5": 3, "S6": 3, "S7": 3, "FR": 12, "SC": 7}

SOURCE = '''@pytest.mark.proves("S1.1", "FR-001")
@pytest.mark.slow
async def test_ten() -> None:
    """SC-001: at once."""
'''
BEFORE = "# Rows\n\n### S1.1\n\nTen at\nonce.\n\nold\n\n## S2\n\n### S2.1\n\nRead.\n"
AFTER = """# Rows

### S1.1

Ten at
once.

`make row ROW=S1.1`

- `tests/test_a.py::test_ten` (slow)

## S2

### S2.1

Read.

`make row ROW=S2.1`

- none
"""


# --- the rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_specification_has_a_test_that_names_it(row: str) -> None:
    assert any(row in proof.rows for proof in FOUND)


def test_no_row_of_the_specification_is_left_out_of_the_document() -> None:
    parts = [re.split(r"[.-]", row)[0] for row in ROWS]

    assert {part: parts.count(part) for part in parts} == COUNTS


def test_a_test_names_only_rows_that_there_are() -> None:
    assert {row for proof in FOUND for row in proof.rows} <= ROWS.keys()


@pytest.mark.parametrize("proof", FOUND, ids=lambda proof: proof.test)
def test_a_row_that_a_tests_docstring_names_is_in_its_mark(proof: Proof) -> None:
    assert proof.told <= {*proof.rows}


def test_every_mark_stands_where_it_is_read() -> None:
    sources = (path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))

    assert sum(source.count("\n@pytest.mark.proves(") for source in sources) == len(
        [proof for proof in FOUND if proof.rows and "[" not in proof.test]
    )


def test_the_document_lists_the_tests_that_name_its_rows() -> None:
    assert written(TEXT, FOUND) == TEXT, "write it anew: python -m tests.specification"


# --- reading and writing --------------------------------------------------------------------------


def test_a_mark_and_a_docstring_are_read_and_the_list_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(SOURCE)

    (proof,) = proofs(tmp_path)

    assert proof.rows == ("S1.1", "FR-001")
    assert proof.told == {"SC-001"}
    assert written(BEFORE, [proof]) == AFTER
    assert written(AFTER, [proof]) == AFTER


def collected(row: str) -> tuple[int, str]:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q"),
            *("--row", row, "tests/integration/app/test_shares.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_rows_tests_can_be_run_alone_and_a_row_that_there_is_not_is_refused() -> None:
    code, said = collected("FR-001")
    code_of_none, said_of_none = collected("FR-100")

    assert (code, code_of_none) == (0, 4)
    assert "test_ten_connections_are_open_before_anything_else_is" in said
    assert "test_whatever_the_api_asks_waits" not in said
    assert "not in docs/specification.md: FR-100" in said_of_none
