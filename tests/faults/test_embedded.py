"""F37 for the embedded database: only the service itself can restart it."""

import os
import shutil
import signal
import time
from functools import partial

import pytest

from tests.e2e.processes import Service
from tests.faults.conftest import open_folder
from tests.faults.waits import until


async def _told(service: Service) -> bool:
    return any(
        line["message"] == "the embedded PostgreSQL had ended and was started again"
        for line in service.lines()
    )


@pytest.mark.proves("S5.2")
@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_f37_the_embedded_postgresql_is_started_again_after_kill_9() -> None:
    folder = open_folder()
    async with Service(folder, TRADER_SPEED="60") as service:
        await service.ready()
        await service.until("/api/v1/trading/fills", lambda page: page["items"])
        cluster = folder / "var" / "postgres" / "cluster"
        postmaster = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])

        os.kill(postmaster, signal.SIGKILL)
        began = time.monotonic()
        # Health may not have changed: a single failed probe does not count.
        await until(partial(_told, service), what="the log says that it was started again")
        await service.until("/health/detailed", lambda body: body["status"] == "healthy")
        back_s = time.monotonic() - began
        fills = await service.all("/api/v1/trading/fills")
        code = await service.stop()
    shutil.rmtree(folder, ignore_errors=True)

    print(f"F37 embedded PostgreSQL killed: normal again after {back_s:.1f} s")  # noqa: T201
    assert fills
    assert code == 0
