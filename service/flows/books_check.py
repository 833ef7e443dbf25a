"""Once a day: do positions, days and equity still add up to the fills?"""

from collections.abc import Awaitable, Callable, Mapping

from loguru import logger

#: Derives everything from the fills again; returns how many values of each table differ.
#: Raises: BoundaryError.
Verify = Callable[[], Awaitable[Mapping[str, int]]]


class BooksCheck:
    """Attributes: disagree: whether the last check found a difference."""

    def __init__(self, *, verify: Verify) -> None:
        self._verify = verify
        self.disagree = False

    async def step(self) -> None:
        found = await self._verify()
        self.disagree = bool(found)
        for table, number in sorted(found.items()):
            # Without the values: what was earned never appears in a log.
            logger.bind(event="order", table=table, differences=number).error(
                "stored values do not add up to the fills; `trader verify` shows them"
            )
