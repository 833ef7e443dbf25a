"""The file of halts in memory."""

from service.domain.errors import JournalDown
from service.ports.halt_journal import JournalContent, JournalEntry


class FakeHaltJournal:
    """Satisfies ports.HaltJournal; what it holds outlives a TradingSwitch, as a file does.

    Attributes:
        entries: halts that are not settled, oldest first.
        fault: as of a damaged file.
        fail: raised by every write while it is set.
    """

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.fault: str | None = None
        self.fail: JournalDown | None = None
        self.reads = 0

    async def read(self) -> JournalContent:
        self.reads += 1
        return JournalContent(unsettled=tuple(self.entries), fault=self.fault)

    async def append(self, entry: JournalEntry) -> None:
        self._raise_failure()
        self.entries.append(entry)

    async def settle(self, entry_id: str) -> None:
        self._raise_failure()
        self.entries = [entry for entry in self.entries if entry.id != entry_id]

    async def set_aside(self) -> None:
        self._raise_failure()
        self.entries, self.fault = [], None

    def _raise_failure(self) -> None:
        if self.fail is not None:
            raise self.fail
