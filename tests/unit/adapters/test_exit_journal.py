"""The file of orders: on the disk before the answer, for this account only, never read wrongly."""

import os
import stat
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.exit_journal import ASIDE, LOCK, FileExitJournal, _line, _order_fields
from service.domain.errors import JournalDown
from service.domain.orders import Breach, ExitRule, Intent, OrderType, SendOutcome, Sent, Side
from service.ports.exit_journal import JournaledExit
from tests.builders import KRW_BTC, T0


def an_entry(n: int = 1, **overrides: Any) -> JournaledExit:
    values: dict[str, Any] = {
        "identifier": f"uat-{n}",
        "intent": Intent(
            market=KRW_BTC, side=Side.SELL, type=OrderType.MARKET, volume=Decimal("0.00012345")
        ),
        "breach": Breach(
            rule=ExitRule.STOP_LOSS, price=Decimal("94999000.5"), limit=Decimal(95_000_000)
        ),
        "epoch": 7,
        "at": T0.replace(microsecond=123_456),
    }
    return JournaledExit(**values | overrides)


def put(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def damage(path: Path) -> None:
    put(path, b"00000000 {}\n" + path.read_bytes())


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def widen(path: Path) -> None:
    path.chmod(0o644)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path, to: Path) -> None:
    path.symlink_to(to)


def names(path: Path) -> set[str]:
    return {one.name for one in path.parent.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "exits-live.jsonl"


@pytest.fixture
async def journal(path: Path) -> FileExitJournal:
    journal = FileExitJournal(path)
    await journal.take()
    return journal


async def reopened(path: Path) -> FileExitJournal:
    """Return what the next process has; `let_go` stands for the end of the first."""
    journal = FileExitJournal(path)
    await journal.take()
    return journal


# --- what is written is read ----------------------------------------------------------------------


async def test_without_a_file_there_is_nothing_and_nothing_is_wrong(
    journal: FileExitJournal, path: Path
) -> None:
    content = await journal.read()

    assert (content.unsettled, content.is_torn, content.fault) == ((), False, None)
    assert size(path) == -1


async def test_what_was_appended_is_read_by_the_next_process_as_it_was(
    journal: FileExitJournal, path: Path
) -> None:
    limit = Intent(
        market=KRW_BTC, side=Side.SELL, type=OrderType.LIMIT, price=Decimal(95_000_000),
        volume=Decimal(1),
    )  # fmt: skip
    one, other = an_entry(1), an_entry(2, intent=limit)
    await journal.append(one)
    await journal.append(other)
    sent = Sent(outcome=SendOutcome.ACCEPTED, exchange_uuid="u-1")
    await journal.note("uat-2", sent)
    accepted = replace(other, sent=sent)
    await journal.let_go()

    content = await (await reopened(path)).read()

    assert (content.unsettled, content.is_torn, content.fault) == ((one, accepted), False, None)


async def test_the_file_is_the_owners_alone_even_where_it_was_not(
    journal: FileExitJournal, path: Path
) -> None:
    put(path, b"")
    widen(path)

    await journal.append(an_entry())

    assert mode(path) == 0o600
    assert mode(path.with_name(path.name + LOCK)) == 0o600


async def test_what_is_settled_is_not_read_again_and_the_file_empties(
    journal: FileExitJournal, path: Path
) -> None:
    await journal.append(an_entry(1))
    await journal.append(an_entry(2))
    await journal.settle("uat-1")
    left = await journal.read()
    grown = size(path)

    await journal.settle("uat-2")

    assert left.unsettled == (an_entry(2),)
    assert grown > 0
    assert size(path) == 0


async def test_a_damaged_file_is_not_emptied_once_its_orders_are_settled(
    journal: FileExitJournal, path: Path
) -> None:
    """What could not be read may be an order: the file is kept aside for an operator."""
    await journal.append(an_entry(1))
    damage(path)

    await journal.settle("uat-1")

    content = await journal.read()
    assert (content.unsettled, content.fault) == ((), "ValueError")
    assert size(path) > 0


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is on the disk, in order: `file`, or the `folder` that has the file's name."""
    kinds: list[str] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        fsync(file)
        kinds.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")

    monkeypatch.setattr(os, "fsync", noted)
    return kinds


async def test_a_new_files_name_is_on_the_disk_with_its_first_order(
    journal: FileExitJournal, synced: list[str]
) -> None:
    """A power cut may lose a name that is not, and the order with it."""
    await journal.append(an_entry(1))
    first = list(synced)
    await journal.append(an_entry(2))

    assert first == ["file", "folder"]
    assert synced[2:] == ["file"]


async def test_the_name_of_a_file_that_is_put_aside_is_on_the_disk(
    journal: FileExitJournal, path: Path, synced: list[str]
) -> None:
    put(path, b"torn\n")

    await journal.set_aside()

    assert synced == ["folder"]


async def test_settled_twice_is_settled(journal: FileExitJournal) -> None:
    await journal.append(an_entry(1))
    await journal.settle("uat-1")
    await journal.settle("uat-1")
    await journal.note("uat-1", Sent(outcome=SendOutcome.REFUSED, reason="x"))

    content = await journal.read()

    assert (content.unsettled, content.fault) == ((), None)


# --- one writer -----------------------------------------------------------------------------------


async def test_one_process_at_a_time_writes(journal: FileExitJournal, path: Path) -> None:
    other = FileExitJournal(path)

    with pytest.raises(JournalDown):
        await other.take()
    with pytest.raises(JournalDown):
        await other.append(an_entry())
    await journal.take()  # a repeat
    await journal.let_go()
    await other.take()
    await other.append(an_entry())

    assert (await other.read()).unsettled == (an_entry(),)


async def test_what_has_let_go_writes_nothing(journal: FileExitJournal, path: Path) -> None:
    await journal.let_go()
    await journal.let_go()

    with pytest.raises(JournalDown):
        await journal.append(an_entry())
    with pytest.raises(JournalDown):
        await journal.check()

    assert size(path) == -1


# --- damage ---------------------------------------------------------------------------------------


@given(orders=st.integers(min_value=1, max_value=4), share=st.floats(min_value=0, max_value=1))
async def test_of_a_file_cut_anywhere_every_whole_line_is_read(
    tmp_path_factory: pytest.TempPathFactory, orders: int, share: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / "exits.jsonl"
    journal = await reopened(path)
    ends = [0]
    for n in range(orders):
        await journal.append(an_entry(n))
        ends.append(size(path))
    cut = round(ends[-1] * share)
    os.truncate(path, cut)

    content = await journal.read()

    # The line break at the end of a line is no part of it.
    whole = sum(end <= cut + 1 for end in ends[1:])
    assert content.fault is None
    assert content.unsettled == tuple(an_entry(n) for n in range(whole))
    assert content.is_torn == (not any(cut - end in {-1, 0, 1} for end in ends))


@given(cut=st.integers(min_value=2, max_value=200))
async def test_what_follows_a_torn_line_is_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "exits.jsonl"
    journal = await reopened(path)
    await journal.append(an_entry(1))
    await journal.append(an_entry(2))
    os.truncate(path, size(path) - cut)

    await journal.append(an_entry(3))

    content = await journal.read()
    assert (content.is_torn, content.fault) == (False, None)
    assert content.unsettled == (an_entry(1), an_entry(3))


@given(at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
async def test_a_flipped_bit_never_makes_another_order_of_one(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "exits.jsonl"
    journal = await reopened(path)
    await journal.append(an_entry(1))
    await journal.append(an_entry(2))
    raw = bytearray(path.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    path.write_bytes(bytes(raw))

    content = await journal.read()

    assert set(content.unsettled) <= {an_entry(1), an_entry(2)}
    if len(content.unsettled) < 2:
        assert content.fault is not None or content.is_torn


@pytest.mark.parametrize(
    "line",
    [
        b"no order\n",
        b"\xff\xfe\n",
        b"00000000 {}\n",
        b"x" * 100 + b"\n",
        b'{"id": "uat-1"}\n',
        b'a3830064 {"id":1}\n',
        b"no order\n\n",
    ],
)
async def test_a_line_that_is_no_order_is_a_fault(
    journal: FileExitJournal, path: Path, line: bytes
) -> None:
    put(path, line)
    await journal.append(an_entry())

    content = await journal.read()

    assert content.unsettled == (an_entry(),)
    assert content.fault is not None


@pytest.mark.parametrize(
    "odd",
    [
        {"identifier": "theirs-1"},
        {"at": T0.replace(tzinfo=None)},
        {"epoch": "7"},
    ],
)
async def test_a_whole_line_that_no_order_of_ours_can_have_is_a_fault(
    journal: FileExitJournal, odd: dict[str, Any]
) -> None:
    await journal.append(an_entry(1, **odd))

    content = await journal.read()

    assert content.unsettled == ()
    assert content.fault is not None


async def test_an_outcome_of_no_known_word_is_a_fault_and_the_order_is_kept(
    journal: FileExitJournal,
) -> None:
    class Odd(StrEnum):
        PERHAPS = "PERHAPS"

    odd: Any = Sent(outcome=cast(Any, Odd.PERHAPS))
    await journal.append(an_entry(1))
    await journal.note("uat-1", odd)

    content = await journal.read()

    assert content.unsettled == (an_entry(1),)
    assert content.fault is not None


async def test_what_is_no_file_is_a_fault_and_takes_no_order(
    journal: FileExitJournal, path: Path
) -> None:
    put(path / "inside", b"")

    with pytest.raises(JournalDown):
        await journal.append(an_entry())

    assert (await journal.read()).fault is not None


async def test_a_pipe_is_not_waited_for(journal: FileExitJournal, path: Path) -> None:
    make_pipe(path)

    with pytest.raises(JournalDown):
        await journal.append(an_entry())

    assert (await journal.read()).fault is not None


async def test_a_link_is_not_followed(journal: FileExitJournal, path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere, b"")
    link(path, elsewhere)

    with pytest.raises(JournalDown):
        await journal.append(an_entry())

    assert (await journal.read()).fault is not None
    assert size(elsewhere) == 0


async def test_where_nothing_can_be_written_the_caller_is_told(tmp_path: Path) -> None:
    put(tmp_path / "var", b"")
    journal = FileExitJournal(tmp_path / "var" / "exits.jsonl")

    with pytest.raises(JournalDown):
        await journal.take()
    with pytest.raises(JournalDown):
        await journal.append(an_entry())


async def test_a_file_that_has_grown_too_long_takes_no_order_and_is_a_fault(
    journal: FileExitJournal, path: Path
) -> None:
    put(path, b"")
    os.truncate(path, 4 * 1024 * 1024 + 1)

    with pytest.raises(JournalDown):
        await journal.append(an_entry())

    assert (await journal.read()).fault == "TooLong"


def fill(path: Path, *, until: int) -> int:
    """Fill the file with orders up to `until` bytes or just past it; return how many there are."""
    orders = until // len(_line(_order_fields(an_entry(10_000)))) + 1
    put(path, b"".join(_line(_order_fields(an_entry(10_000 + n))) for n in range(orders)))
    return orders


def settle_all_but_the_first(path: Path, orders: int) -> None:
    """Write what `settle` does, without its many reads of the file."""
    lines = (_line({"id": f"uat-{10_000 + n}", "settled": True}) for n in range(1, orders))
    put(path, path.read_bytes() + b"".join(lines))


async def test_a_file_that_is_soon_full_is_told_of_while_it_takes_orders(
    journal: FileExitJournal, path: Path
) -> None:
    fill(path, until=2 * 1024 * 1024)

    with pytest.raises(JournalDown):
        await journal.check()
    await journal.append(an_entry())


async def test_a_full_file_takes_no_order_and_can_be_emptied(
    journal: FileExitJournal, path: Path
) -> None:
    orders = fill(path, until=3 * 1024 * 1024)

    with pytest.raises(JournalDown):
        await journal.append(an_entry())
    settle_all_but_the_first(path, orders)
    await journal.settle("uat-10000")

    assert size(path) == 0


async def test_a_full_disk_refuses_the_order(journal: FileExitJournal, path: Path) -> None:
    """No disk can be filled here: a limit on the size of files has the same effect."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    await journal.append(an_entry(1))
    before = size(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + 20, limits[1]))
    try:
        with pytest.raises(JournalDown):
            await journal.append(an_entry(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)

    content = await journal.read()
    assert size(path) == before
    assert (content.unsettled, content.is_torn) == ((an_entry(1),), False)


async def test_a_look_whether_it_can_be_written_writes_nothing(
    journal: FileExitJournal, path: Path
) -> None:
    await journal.check()

    assert (await journal.read()).unsettled == ()
    assert size(path) == 0


async def test_a_damaged_file_is_kept_aside_and_the_next_one_begins_empty(
    journal: FileExitJournal, path: Path
) -> None:
    put(path, b"torn\n")

    await journal.set_aside()
    await journal.append(an_entry())

    assert path.with_name(path.name + ASIDE).read_bytes() == b"torn\n"
    assert (await journal.read()).fault is None
    assert names(path) == {path.name, path.name + ASIDE, path.name + LOCK}
