"""F48 at its worst: told to stop while neither exchange nor model nor database answers."""

import shutil
import time

import pytest

from tests.faults.conftest import open_folder
from tests.faults.injections import Injection, network_swallows, stopped, together
from tests.faults.stack import Stack

SIGNAL = "generate_trading_signal"


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("exchange and model are a black hole", stopped("sandbox")),
        ("PostgreSQL is stopped in its tracks", stopped("postgres")),
        ("everything is a black hole", together(stopped("sandbox"), network_swallows)),
    ],
)
async def test_f48_a_stop_ends_whatever_does_not_answer(what: str, fault: Injection) -> None:
    folder = open_folder()
    async with Stack.opened(folder) as stack:
        await stack.until_healthy()
        async with fault(stack):
            # A pass that hangs, and the light load's requests that hang with it.
            mark = stack.service.log.mark
            await stack.until_lines(
                mark,
                lambda lines: any("wait_s" in line or line["level"] == "WARNING" for line in lines),
                "something was noticed",
            )
            began = time.monotonic()
            code = await stack.service.stop()
            took_s = time.monotonic() - began
        lines = stack.service.log.read()
    shutil.rmtree(folder, ignore_errors=True)

    print(f"F48 {what}: stopped after {took_s:.1f} s")  # noqa: T201
    assert code == 0, stack.service.stderr()
    assert lines[-1]["message"] == "stopped"
    assert not [line for line in lines if line["level"] == "CRITICAL" and line["event"] != "alert"]
