"""The queue for a connection of the database."""

from service.bounded_queue import BoundedQueue
from service.domain.errors import StoreBusy
from service.store.database.cursor import RETRY_AFTER_S


class PoolQueue(BoundedQueue):
    """As many places as the pool, or a part of it, has connections."""

    def refusal(self, *, queue_full: bool) -> StoreBusy:
        return StoreBusy(
            f"{self.waiting} requests already wait for the database"
            if queue_full
            else f"No database connection came free within {self._wait_s:g} s",
            retry_after_s=RETRY_AFTER_S,
        )
