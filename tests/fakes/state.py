"""Trading state and lease in memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.domain.trading_states import Ends, HaltKind
from service.ports.store import JSON, Halt, ReleasedHalt, TradingState
from tests.fakes.tables import LeaseRow, Tables


class FakeTradingState:
    """Satisfies ports.TradingStates.

    Attributes:
        halts: those that stand, oldest first; set it freely.
        events: (event, reason, actor), oldest first.
        fail: raised by every call while it is set.
    """

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()
        self.events: list[tuple[str, str, str]] = []
        self.fail: BoundaryError | None = None
        self._released: list[tuple[Halt, datetime]] = []

    @property
    def halts(self) -> list[Halt]:
        return self.tables.halts

    @property
    def now(self) -> TradingState:
        return self.tables.trading_state

    async def trading_state(self) -> TradingState:
        self._raise_failure()
        return self.now

    async def standing(self) -> Sequence[Halt]:
        self._raise_failure()
        return self.tables.standing

    async def halt(
        self,
        *,
        kind: HaltKind,
        reason: str,
        actor: str,
        at: datetime,
        detail: Mapping[str, JSON],
        market: Market | None = None,
        ends: Ends = "operator",
    ) -> bool:
        self._raise_failure()
        if any(
            (halt.kind, halt.reason, halt.actor, halt.market) == (kind, reason, actor, market)
            for halt in self.halts
        ):
            return False
        self.halts.append(
            Halt(
                kind=kind,
                reason=reason,
                actor=actor,
                since=at,
                ends=ends,
                market=market,
                detail=detail,
            )
        )
        self.events.append(("HALTED", reason, actor))
        return True

    async def resume(
        self,
        *,
        reason: str,
        actor: str,
        at: datetime,
        detail: Mapping[str, JSON],
        market: Market | None = None,
    ) -> bool:
        self._raise_failure()
        ended = [
            halt
            for halt in self.halts
            if (halt.reason, halt.actor, halt.market) == (reason, actor, market)
        ]
        return bool(self._end(ended, actor=actor, at=at))

    async def released(self, *, reason: str, actor: str, since: datetime) -> Sequence[ReleasedHalt]:
        self._raise_failure()
        return [
            ReleasedHalt(market=halt.market, released_at=at)
            for halt, at in self._released
            if (halt.reason, halt.actor) == (reason, actor) and at >= since
        ]

    async def release(
        self, *, actor: str, at: datetime, reasons: Collection[str] | None = None
    ) -> Sequence[Halt]:
        self._raise_failure()
        ended = [
            halt
            for halt in self.halts
            if (halt.ends == "operator" if reasons is None else halt.reason in reasons)
        ]
        return self._end(ended, actor=actor, at=at)

    def _end(self, ended: Sequence[Halt], *, actor: str, at: datetime) -> Sequence[Halt]:
        for halt in ended:
            self.halts.remove(halt)
            self.events.append(("RESUMED", halt.reason, actor))
            if actor != halt.actor:
                self._released.append((halt, at))
        if any(halt.market is None for halt in ended) and not self.now.reason:
            self.tables.active_since = at
        return ended

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
