"""Trading state and lease in memory."""

from service.ports import TradingState
from tests.builders import T0


class FakeState:
    def __init__(self) -> None:
        self.now = TradingState(state="ACTIVE", reason=None, since=T0)

    async def trading_state(self) -> TradingState:
        return self.now


class FakeLease:
    """Satisfies ports.Lease. `epoch` is what the next `acquire` answers; None: held elsewhere."""

    def __init__(self, *, epoch: int | None = 1) -> None:
        self.epoch = epoch
        self.released = 0

    async def acquire(self) -> int | None:
        return self.epoch

    async def release(self) -> None:
        self.released += 1
