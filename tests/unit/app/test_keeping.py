"""Our own PostgreSQL is kept alive, and one that cannot start is not run against a wall."""

from itertools import pairwise

import pytest

from service.app.jobs import REVIVE_AGAIN_S, keeping
from service.domain.errors import StartError
from service.loops.runner import Runner
from tests.fakes.clock import FakeClock

TRIES = 5


class Server:
    """Revived a few times, by a clock of its own."""

    def __init__(self, clock: FakeClock, *, fails: bool) -> None:
        self.runner = Runner(clock=clock, real_clock=clock, new_id=lambda: "1")
        self.revived_at: list[float] = []
        self._clock = clock
        self._fails = fails

    def revive(self) -> bool:
        self.revived_at.append(self._clock.monotonic())
        if len(self.revived_at) == TRIES:
            self.runner.stop()
        if self._fails:
            raise StartError("PostgreSQL could not start (No space left on device)")
        return False


@pytest.mark.parametrize(("fails", "apart_s"), [(False, 2), (True, REVIVE_AGAIN_S)])
async def test_a_server_that_cannot_start_is_tried_at_longer_intervals(
    fails: bool, apart_s: float
) -> None:
    server = Server(FakeClock(), fails=fails)
    (loop,) = keeping(server)

    await server.runner.run(loop)

    waits = [after - before for before, after in pairwise(server.revived_at)]
    assert waits == [apart_s] * (TRIES - 1)
