"""Trading state and lease in memory."""

from collections.abc import Mapping
from datetime import datetime

from service.domain.errors import BoundaryError
from service.ports.store import JSON, TradingState
from tests.fakes.tables import LeaseRow, Tables


class FakeTradingState:
    """Satisfies ports.TradingStates.

    Attributes:
        now: the state; set it freely.
        events: (event, reason, actor), oldest first.
        fail: raised by every call while it is set.
    """

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()
        self.events: list[tuple[str, str, str]] = []
        self.fail: BoundaryError | None = None

    @property
    def now(self) -> TradingState:
        return self.tables.trading_state

    @now.setter
    def now(self, state: TradingState) -> None:
        self.tables.trading_state = state

    async def trading_state(self) -> TradingState:
        self._raise_failure()
        return self.now

    async def halt(
        self, *, reason: str, actor: str, at: datetime, detail: Mapping[str, JSON]
    ) -> bool:
        self._raise_failure()
        if self.now.state == "HALTED":
            return False
        self.now = TradingState(state="HALTED", reason=reason, since=at, halted_by=actor)
        self.events.append(("HALTED", reason, actor))
        return True

    async def resume(
        self, *, reason: str, actor: str, at: datetime, detail: Mapping[str, JSON]
    ) -> bool:
        self._raise_failure()
        halted = (self.now.state, self.now.reason, self.now.halted_by)
        if halted != ("HALTED", reason, actor):
            return False
        self.now = TradingState(state="ACTIVE", reason=None, since=at)
        self.events.append(("RESUMED", reason, actor))
        return True

    def _raise_failure(self) -> None:
        if self.fail is not None:
            raise self.fail


class FakeLease:
    """Satisfies ports.Lease. `epoch` is what the next `acquire` answers; None: held elsewhere."""

    def __init__(self, *, epoch: int | None = 1) -> None:
        self.epoch = epoch
        self.released = 0

    async def acquire(self) -> int | None:
        return self.epoch

    async def release(self) -> None:
        self.released += 1


class LeaseTwin:
    """Satisfies ports.Lease as PostgreSQL's table does: by its owner and the tables' clock."""

    def __init__(self, tables: Tables, *, owner: str, ttl_s: float) -> None:
        self._tables = tables
        self._owner = owner
        self._ttl_s = ttl_s

    async def acquire(self) -> int | None:
        row, now = self._tables.lease, self._tables.seconds()
        is_free = row.expires_at <= now
        if row.owner != self._owner and not is_free:
            return None
        # An expired lease gets a new epoch, also for its last owner.
        epoch = row.epoch + (row.owner != self._owner or is_free)
        self._tables.lease = LeaseRow(self._owner, epoch, now + self._ttl_s)
        return epoch

    async def release(self) -> None:
        row, now = self._tables.lease, self._tables.seconds()
        if row.owner == self._owner and row.expires_at > now:
            row.expires_at = now
