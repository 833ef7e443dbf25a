"""Trading state and lease in memory."""

from collections.abc import Mapping
from datetime import datetime

from service.domain.errors import BoundaryError
from service.ports.store import JSON, TradingState
from tests.builders import T0


class FakeTradingState:
    """Satisfies ports.State.

    Attributes:
        now: the state; set it freely.
        events: (event, reason, actor), oldest first.
        fail: raised by every call while it is set.
    """

    def __init__(self) -> None:
        self.now = TradingState(state="ACTIVE", reason=None, since=T0)
        self.events: list[tuple[str, str, str]] = []
        self.fail: BoundaryError | None = None

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
        if (self.now.reason, self.now.halted_by) != (reason, actor):
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
