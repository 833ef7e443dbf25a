"""Every fault of the table, tried on the real service one after the other."""

import pytest

from service.ops.health.reasons import REASONS
from tests.faults.conftest import Keeper
from tests.faults.matrix import ONLY_IN_PARTS, rows
from tests.faults.table import TABLE, Fault
from tests.faults.trial import tried
from tests.specification import OF_A_FAULT, ROOT, of_a_fault, proofs


def test_every_reason_of_health_is_brought_about_by_a_fault_or_named_as_an_exception() -> None:
    shown = {row.reason for row in rows()}

    assert shown | ONLY_IN_PARTS.keys() == set(REASONS)
    assert not shown & ONLY_IN_PARTS.keys()


@pytest.mark.parametrize("test", sorted({*ONLY_IN_PARTS.values()}))
def test_an_exceptions_own_test_is_there(test: str) -> None:
    path, _, name = test.partition("::")

    assert f"def {name}(" in (ROOT / path).read_text()


def test_the_documents_matrix_of_reasons_is_what_the_faults_show() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    table = text.partition("## Reasons of health\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    written = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]

    assert [cells for cells in written if len(cells) == 6] == [row.cells() for row in rows()]
    assert {cells[0].strip("`") for cells in written if len(cells) == 2} == ONLY_IN_PARTS.keys()


def test_the_rows_that_faults_prove_are_read_as_the_table_has_them() -> None:
    path, test = OF_A_FAULT
    read = [proof for proof in proofs() if proof.path == path and proof.test.startswith(f"{test}[")]

    assert {(proof.test, proof.rows, proof.apart) for proof in read} == {
        (
            f"{test}[{of_a_fault(fault.lane, fault.name, fault.what)}]",
            fault.proves,
            () if fault.quick else ("chaos",),
        )
        for fault in TABLE
        if fault.proves
    }


def _parameters() -> list[object]:
    return [
        pytest.param(
            fault,
            id=of_a_fault(fault.lane, fault.name, fault.what),
            marks=[
                pytest.mark.timeout(900),
                pytest.mark.proves(*fault.proves),
                *(() if fault.quick else (pytest.mark.chaos,)),
            ],
        )
        for fault in TABLE
    ]


@pytest.mark.parametrize("fault", _parameters())
async def test_the_service_tells_of_the_fault_outlives_it_and_loses_nothing(
    keeper: Keeper, fault: Fault
) -> None:
    stack = await keeper.stack()

    try:
        recovered_s = await tried(stack, fault)
    except BaseException:
        await keeper.drop()
        raise

    print(f"{fault.name} {fault.what}: normal again after {recovered_s:.1f} s")  # noqa: T201
