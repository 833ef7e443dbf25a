"""The exit journal in memory."""

from dataclasses import replace

from service.domain.errors import JournalDown
from service.domain.orders import Sent
from service.ports.exit_journal import ExitJournalContent, JournaledExit


class FakeExitJournal:
    """Satisfies ports.ExitJournal; what it holds outlives an UnstoredOrders, as a file does.

    Attributes:
        orders: what is not settled, by identifier, oldest first.
        appended: every order that was ever written, oldest first.
        is_torn, fault: as of a damaged file.
        taken_by: the twin that writes it; set it to keep the others off.
        fail: raised by every write while it is set.
    """

    def __init__(self) -> None:
        self.orders: dict[str, JournaledExit] = {}
        self.appended: list[JournaledExit] = []
        self.is_torn = False
        self.fault: str | None = None
        self.taken_by: object | None = None
        self.fail: JournalDown | None = None

    async def take(self) -> None:
        self._raise_failure()
        if self.taken_by not in {None, self}:
            raise JournalDown("another process writes the exit journal")
        self.taken_by = self

    async def let_go(self) -> None:
        if self.taken_by is self:
            self.taken_by = None

    async def check(self) -> None:
        self._check()

    async def read(self) -> ExitJournalContent:
        return ExitJournalContent(
            unsettled=tuple(self.orders.values()), is_torn=self.is_torn, fault=self.fault
        )

    async def append(self, order: JournaledExit) -> None:
        self._check()
        self.orders[order.identifier] = order
        self.appended.append(order)

    async def note(self, identifier: str, sent: Sent) -> None:
        self._check()
        self.orders[identifier] = replace(self.orders[identifier], sent=sent)

    async def settle(self, identifier: str) -> None:
        self._check()
        self.orders.pop(identifier, None)

    async def set_aside(self) -> None:
        self._check()
        self.orders, self.fault, self.is_torn = {}, None, False

    def _check(self) -> None:
        self._raise_failure()
        if self.taken_by is not self:
            raise JournalDown("this process has not taken the exit journal")

    def _raise_failure(self) -> None:
        if self.fail is not None:
            raise self.fail
