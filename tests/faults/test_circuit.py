"""F30 without an end: a failing model is not called for a while, then called again."""

import asyncio
import shutil

import pytest

from tests.e2e.processes import SandboxProgram, Service
from tests.faults.conftest import open_folder
from tests.faults.waits import until

SIGNAL = "generate_trading_signal"
GONE = {"path": "*:generateContent", "status": 503}


def reason(body: dict[str, dict[str, dict[str, str]]]) -> str | None:
    return body["components"]["gemini_api"]["reason"]


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_f30_a_model_that_fails_on_and_on_is_left_alone_for_a_while() -> None:
    folder = open_folder()
    # In real time: in a faster market a quarter of a minute is over at once.
    async with SandboxProgram(folder / "x") as sandbox:
        await sandbox.ready()
        async with Service(folder / "s", **sandbox.for_service()) as service:
            await service.ready()
            await service.until("/api/v1/signals", lambda page: page["items"])
            cooldown = "/api/v1/config/signal_cooldown_minutes"
            await service.ask("PATCH", cooldown, body={"value": 0})
            await sandbox.ask("POST", "/__sandbox__/faults", [GONE])

            async def is_open() -> bool:
                # Pass after pass, as many markets would make them.
                await service.ask("POST", f"/api/v1/admin/jobs/{SIGNAL}/run")
                return reason(await service.get("/health/detailed")) == "circuit_open"

            await until(is_open, what="the circuit opens")
            (fault,) = await sandbox.ask("GET", "/__sandbox__/faults")
            health = await service.get("/health/detailed")
            await sandbox.ask("DELETE", "/__sandbox__/faults")
            began = asyncio.get_running_loop().time()
            await service.until("/health/detailed", lambda body: reason(body) is None)
            back_s = asyncio.get_running_loop().time() - began
            code = await service.stop()
    shutil.rmtree(folder, ignore_errors=True)

    print(f"F30 the model fails on and on: normal again after {back_s:.1f} s")  # noqa: T201
    assert fault["hit"] >= 5
    assert health["components"]["gemini_api"]["status"] == "unhealthy"
    assert health["components"]["upbit_api"]["status"] == "healthy"
    assert code == 0
