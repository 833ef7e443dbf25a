"""The file of halts: on the disk before the answer, for this account only, never read wrongly."""

import os
import stat
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.halt_journal import ASIDE, FileHaltJournal
from service.domain.errors import JournalDown
from service.domain.trading_states import TradingStatus
from service.ports.halt_journal import JournalEntry
from tests.builders import KRW_BTC, a_halt


def an_entry(id_: str = "h-1", **halt: Any) -> JournalEntry:
    return JournalEntry(id=id_, halt=a_halt(**halt), request_id="r-1")


def put(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def forget_ends(path: Path) -> None:
    """Make the only line one of an earlier version."""
    _, _, written = path.read_bytes().strip().partition(b" ")
    text = written.replace(b'"ends":"operator",', b"")
    assert text != written
    path.write_bytes(b"\n%08x %s\n" % (zlib.crc32(text), text))


def link(path: Path, to: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(to)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "halts-live.jsonl"


@pytest.fixture
def journal(path: Path) -> FileHaltJournal:
    return FileHaltJournal(path)


async def test_without_a_file_there_is_nothing_and_nothing_is_wrong(
    journal: FileHaltJournal, path: Path
) -> None:
    content = await journal.read()

    assert (content.unsettled, content.fault) == ((), None)
    assert size(path) == -1


async def test_what_was_appended_is_read_by_the_next_process_as_it_was(
    journal: FileHaltJournal, path: Path
) -> None:
    one = an_entry(reason='an operator\'s "text"\nof two lines 정지', detail={"a": [1, None]})
    other = an_entry("h-2", kind=TradingStatus.REDUCING, market=KRW_BTC)

    await journal.append(one)
    await journal.append(other)

    content = await FileHaltJournal(path).read()
    assert (content.unsettled, content.fault) == ((one, other), None)


async def test_a_halt_that_ends_by_itself_is_read_as_one(
    journal: FileHaltJournal, path: Path
) -> None:
    rules = an_entry(kind=TradingStatus.REDUCING, ends="condition")

    await journal.append(rules)

    assert (await FileHaltJournal(path).read()).unsettled == (rules,)


async def test_a_line_of_an_earlier_version_is_an_operators_halt(
    journal: FileHaltJournal, path: Path
) -> None:
    await journal.append(an_entry())
    forget_ends(path)

    (read,) = (await journal.read()).unsettled

    assert read.halt.ends == "operator"


async def test_the_file_is_the_owners_alone(journal: FileHaltJournal, path: Path) -> None:
    await journal.append(an_entry())

    assert mode(path) == 0o600


async def test_what_is_settled_is_not_read_again_and_the_file_empties(
    journal: FileHaltJournal, path: Path
) -> None:
    await journal.append(an_entry("h-1"))
    await journal.append(an_entry("h-2", reason="another"))
    await journal.settle("h-1")
    left = await journal.read()
    grown = size(path)

    await journal.settle("h-2")

    assert [entry.id for entry in left.unsettled] == ["h-2"]
    assert grown > 0
    assert size(path) == 0


async def test_another_processs_halt_keeps_the_file(journal: FileHaltJournal, path: Path) -> None:
    other = FileHaltJournal(path)
    await other.append(an_entry("h-9"))
    await journal.append(an_entry("h-1"))

    await journal.settle("h-1")

    assert [entry.id for entry in (await other.read()).unsettled] == ["h-9"]


@given(cut=st.integers(min_value=1, max_value=60))
async def test_a_torn_line_is_a_fault_and_the_lines_around_it_are_kept(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "halts.jsonl"
    journal = FileHaltJournal(path)
    await journal.append(an_entry("h-1"))
    await journal.append(an_entry("h-2", reason="another"))
    os.truncate(path, path.stat().st_size - 1 - cut)
    await journal.append(an_entry("h-3", reason="a third"))

    content = await journal.read()

    assert content.fault is not None
    assert [entry.id for entry in content.unsettled] == ["h-1", "h-3"]


@given(at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
async def test_a_flipped_bit_never_makes_another_halt_of_one(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "halts.jsonl"
    journal = FileHaltJournal(path)
    await journal.append(an_entry())
    raw = bytearray(path.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    path.write_bytes(bytes(raw))

    content = await journal.read()

    assert content.fault is not None or content.unsettled == (an_entry(),)


@pytest.mark.parametrize(
    "line", [b"no halt", b"\xff\xfe", b"00000000 {}", b"x" * 100, b'{"id": "h-1"}']
)
async def test_a_line_that_is_no_halt_is_a_fault(
    journal: FileHaltJournal, path: Path, line: bytes
) -> None:
    put(path, line)

    content = await journal.read()

    assert content.unsettled == ()
    assert content.fault is not None


async def test_a_file_that_cannot_be_opened_is_a_fault(
    journal: FileHaltJournal, path: Path
) -> None:
    put(path / "inside", b"")

    content = await journal.read()

    assert content.fault is not None


async def test_a_link_is_not_followed(journal: FileHaltJournal, path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere, b"")
    link(path, elsewhere)

    with pytest.raises(JournalDown):
        await journal.append(an_entry())

    assert (await journal.read()).fault is not None
    assert size(elsewhere) == 0


async def test_where_nothing_can_be_written_the_caller_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").touch()

    with pytest.raises(JournalDown):
        await FileHaltJournal(tmp_path / "var" / "halts.jsonl").append(an_entry())


async def test_a_damaged_file_is_kept_aside_and_the_next_one_begins_empty(
    journal: FileHaltJournal, path: Path
) -> None:
    put(path, b"torn")

    await journal.set_aside()
    await journal.append(an_entry())

    assert path.with_name(path.name + ASIDE).read_bytes() == b"torn"
    assert (await journal.read()).fault is None
