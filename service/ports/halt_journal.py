"""The local file that keeps halts while the database is away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.ports.store import Halt


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    id: str
    halt: Halt
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """What the file holds.

    Attributes:
        unsettled: halts that were not known to be in the database, oldest first.
        fault: why the file cannot be trusted to be whole; None when it can.
    """

    unsettled: Sequence[JournalEntry]
    fault: str | None = None


class HaltJournal(Protocol):
    async def read(self) -> JournalContent:
        """Never fails: an unreadable file is a `fault`."""

    async def append(self, entry: JournalEntry) -> None:
        """Store the halt; it is on the disk on return. Raises: JournalDown."""

    async def settle(self, entry_id: str) -> None:
        """Note that the database has this halt. Raises: JournalDown."""

    async def set_aside(self) -> None:
        """Rename a damaged file, so that the next one begins empty. Raises: JournalDown."""
