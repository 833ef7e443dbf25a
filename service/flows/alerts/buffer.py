"""A buffer of notices that are not stored yet; it bridges outages of the database."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loguru import logger

from service.domain.alerts import SEVERITIES, Alert, Notice, rank
from service.ports.alerts import AlertOutbox

MOST: Final = 100


@dataclass(slots=True, eq=False)
class Waiting:
    notice: Notice
    told: bool = False  #: sent without the outbox, while the database could not be written


class AlertBuffer:
    """Takes notices from any part of the process; adding one never waits."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()

    def add(self, notice: Notice) -> Notice | None:
        """Keep `notice` until it is stored; a problem that waits already is not added again.

        Returns: the notice that found no place. It is to be added again while it still holds.
        """
        if not self._repeats(notice):
            self._waiting.append(Waiting(notice))
        if len(self._waiting) <= MOST:
            return None
        # Of the mildest the newest: later problems are mostly consequences of the first ones.
        lost = min(reversed(self._waiting), key=_weight)
        self._waiting.remove(lost)
        logger.bind(event="alert", key=lost.notice.key).warning(
            "too many alerts wait for the database, this one is only logged"
        )
        return lost.notice

    async def store(self, outbox: AlertOutbox) -> int:
        """Write everything to the outbox, oldest first; return how many.

        Raises: the store's errors.
        """
        stored = 0
        while self._waiting:
            first = self._waiting[0]
            await outbox.put(first.notice, told=first.told)
            self._waiting.popleft()
            stored += 1
        return stored

    def untold(self) -> Sequence[tuple[Waiting, Alert]]:
        """Return the alerts that were not sent to any target yet."""
        return [
            (one, one.notice)
            for one in self._waiting
            if isinstance(one.notice, Alert) and not one.told
        ]

    def _repeats(self, notice: Notice) -> bool:
        newest = next((w for w in reversed(self._waiting) if w.notice.key == notice.key), None)
        return newest is not None and isinstance(newest.notice, Alert) == isinstance(notice, Alert)


def _weight(waiting: Waiting) -> int:
    # A recovery has no severity of its own; without it a problem would stand for ever.
    notice = waiting.notice
    return rank(notice.severity) if isinstance(notice, Alert) else len(SEVERITIES)
