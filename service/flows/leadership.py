"""Ensures that at most one process trades, by the trading lease."""

import traceback
from collections.abc import Awaitable, Callable
from typing import Final

from loguru import logger

from service.crashpoints import crashpoint
from service.domain.errors import NotLeader, ServiceError
from service.ports.clock import RealClock
from service.ports.store import Lease

LEASE_TTL_S: Final = 10.0  #: real seconds a silent owner keeps the lease
RENEW_EVERY_S: Final = 3.0
#: Why a process may not trade; `reason` of the trading state STANDBY.
NO_LEASE: Final = "no_trading_lease"
RECONCILING: Final = "reconciling_open_orders"
#: The owner stops using its lease so many seconds before the database lets it expire.
_MARGIN_S: Final = 2.0
_SENTENCES: Final = {
    NO_LEASE: "this process does not hold the trading lease; ask the one that trades",
    RECONCILING: "this process still looks up the orders that were open when it took the trading"
    " lease; ask again in a moment",
}


class Leadership:
    """Holds the lease, and allows trading once the open orders are reconciled.

    A new owner first settles the orders that the last one left open. Until then it holds the lease
    but does not trade. `renew` and `settle` are two loops: with thousands of open orders `settle`
    takes minutes, and the lease lasts ten seconds.
    """

    def __init__(
        self, *, lease: Lease, real_clock: RealClock, on_gain: Callable[[], Awaitable[object]]
    ) -> None:
        self._lease = lease
        self._real_clock = real_clock
        self._on_gain = [on_gain]
        self._epoch: int | None = None
        self._held_until = 0.0
        self._settled = False

    def before_trading(self, step: Callable[[], Awaitable[object]]) -> None:
        """Have a new owner call `step` too, after the open orders are settled."""
        self._on_gain.append(step)

    @property
    def is_leader(self) -> bool:
        return self._epoch is not None and self._real_clock.monotonic() < self._held_until

    @property
    def is_last_known_owner(self) -> bool:
        """Whether this process had the lease when the database last said whose it is."""
        return self._epoch is not None

    @property
    def last_known_epoch(self) -> int | None:
        """Return the epoch under which it did; None when it did not."""
        return self._epoch

    @property
    def is_settled(self) -> bool:
        """Whether no open order of a previous owner is left for this process to settle."""
        return self._epoch is None or self._settled

    @property
    def may_trade(self) -> bool:
        return self.is_leader and self._settled

    @property
    def standby_reason(self) -> str | None:
        """Return why this process may not trade: NO_LEASE or RECONCILING; None when it may."""
        if not self.is_leader:
            return NO_LEASE
        return None if self._settled else RECONCILING

    def check(self) -> None:
        """Raise NotLeader, with the reason, unless this process may trade."""
        reason = self.standby_reason
        if reason is not None:
            raise NotLeader(_SENTENCES[reason])

    def epoch(self) -> int:
        """Return the fencing token for a write, or raise NotLeader."""
        self.check()
        assert self._epoch is not None  # noqa: S101 - may_trade implies it
        return self._epoch

    @property
    def has_lapsed(self) -> bool:
        """Whether the database has not confirmed this process's lease for as long as it lasts."""
        return self._epoch is not None and not self.is_leader

    def unstored_epoch(self, *, is_alone: bool) -> int:
        """Return the fencing token of an order that leaves without a row, or raise NotLeader.

        Args: is_alone: no other process trades until this one has heard that its lease is lost.
        """
        if self._epoch is None or not self._settled:
            raise NotLeader(_SENTENCES[NO_LEASE if self._epoch is None else RECONCILING])
        if not is_alone and not self.is_leader:
            raise NotLeader(
                "the database has not confirmed the trading lease in time: another process may"
                " trade by now"
            )
        return self._epoch

    def holds(self, epoch: int) -> bool:
        """Whether a request that was begun under `epoch` may still be sent."""
        return self.may_trade and self._epoch == epoch

    def settle_first(self, step: Callable[[], Awaitable[object]]) -> None:
        """Have `step` done before everything else that a new owner does; it raises as `on_gain`."""
        self._on_gain.insert(0, step)

    async def renew(self) -> None:
        """Acquire or renew the lease; after a gain, `settle` comes before any trade."""
        asked_at = self._real_clock.monotonic()
        epoch = await self._lease.acquire()
        if epoch is None:
            self._lose("another process holds the trading lease, this one stands by")
            return
        # Counted from before the request: its answer may have taken a while.
        self._held_until = asked_at + LEASE_TTL_S - _MARGIN_S
        if epoch != self._epoch:
            logger.bind(event="app", epoch=epoch).info("this process holds the trading lease")
            self._epoch, self._settled = epoch, False
            crashpoint("leader.epoch_bumped")

    async def settle(self) -> None:
        """Reconcile the open orders of the last owner, once after each gain of the lease.

        Whatever goes wrong: without trading the process still shows what is stored, and keeps the
        halts.
        """
        epoch = self._epoch
        if self._settled or not self.is_leader:
            return
        try:
            for step in self._on_gain:
                await step()
        except ServiceError as exc:
            # The exchange or the database did not answer. The process goes on: it keeps showing
            # what is stored, and tries again.
            logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
                "open orders cannot be settled yet, no trading until they are"
            )
            return
        except Exception as exc:  # noqa: BLE001 - the halts and the API must outlive a bug here
            # Without text and traceback: a foreign error may quote a row with its amounts.
            frame = traceback.extract_tb(exc.__traceback__)[-1]
            logger.bind(
                event="app", error=type(exc).__name__, cause=f"{frame.name}:{frame.lineno}"
            ).error("a fault of ours keeps open orders from being settled, no trading until then")
            return
        # A lease that was lost and gained again meanwhile has another epoch, and another past.
        if self._epoch == epoch:
            self._settled = True

    async def resign(self) -> None:
        """Release the lease, so that a successor need not wait for it to expire."""
        if self._epoch is not None:
            self._epoch, self._settled = None, False
            await self._lease.release()

    def _lose(self, sentence: str) -> None:
        if self._epoch is not None:
            logger.bind(event="app").warning(sentence)
        self._epoch, self._settled = None, False
