"""The local file of orders that left while the database was away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.domain.orders import Breach, Intent, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaledExit:
    """A rule's sale. It was written to the file before it was sent, and is sent at most once.

    Attributes:
        epoch: the fencing token of the lease that this process held as the database said last.
        at: when it was written, the market's instant.
        sent: None: the process ended before it knew.
    """

    identifier: str
    intent: Intent
    breach: Breach
    epoch: int
    at: datetime
    sent: Sent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitJournalContent:
    """What the file holds.

    Attributes:
        unsettled: orders that were not known to be in the tables, oldest first.
        is_torn: the last line is not whole: its order was certainly never sent, or its outcome is
            looked up.
        fault: why an order may be missing from `unsettled`; None when none is.
    """

    unsettled: Sequence[JournaledExit] = ()
    is_torn: bool = False
    fault: str | None = None


class ExitJournal(Protocol):
    """One process at a time writes it: the one that has taken it."""

    async def take(self) -> None:
        """Become the file's writer, until `let_go` or the end of the process. A repeat is harmless.

        Raises: JournalDown, when another process is, or the folder cannot be written.
        """

    async def let_go(self) -> None:
        """Let another process become the writer. Never fails."""

    async def check(self) -> None:
        """Raises: JournalDown, when `append` would, or soon would. Writes no order."""

    async def read(self) -> ExitJournalContent:
        """Never fails: an unreadable file is a `fault`."""

    async def append(self, order: JournaledExit) -> None:
        """Store an order that is about to be sent; it is on the disk on return.

        Raises: JournalDown; then nothing may be sent.
        """

    async def note(self, identifier: str, sent: Sent) -> None:
        """Store what is known of the order's request. Raises: JournalDown."""

    async def settle(self, identifier: str) -> None:
        """Note that the tables have the order. Raises: JournalDown."""

    async def set_aside(self) -> None:
        """Rename a damaged file, so that the next one begins empty. Raises: JournalDown."""
