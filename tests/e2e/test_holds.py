"""A wait that Gemini or Upbit asks for holds for every caller of the running service (FR-010)."""

from pathlib import Path

import aiohttp

from tests.e2e.processes import SandboxProgram, Service, until

#: Longer than the test, so that every later question falls into it.
WAIT_S = 600
SLOW_DOWN = {"path": "*:generateContent", "status": 429, "headers": {"Retry-After": str(WAIT_S)}}
MARKETS = {"TRADER_MARKETS": "KRW-BTC,KRW-ETH"}


async def hits(sandbox: SandboxProgram) -> int:
    (fault,) = await sandbox.ask("GET", "/__sandbox__/faults")
    return int(fault["hit"])


async def test_after_one_429_neither_another_market_nor_a_person_asks_the_model(
    folder: Path,
) -> None:
    async with SandboxProgram(folder / "x", **MARKETS) as sandbox:
        await sandbox.ready()
        await sandbox.ask("POST", "/__sandbox__/faults", [SLOW_DOWN])
        async with Service(folder / "s", **sandbox.for_service(), **MARKETS) as service:
            await service.ready()

            async def both_failed() -> bool:
                failed = {
                    line["market"]
                    for line in service.lines()
                    if line["message"] == "the market's turn failed"
                }
                return failed == {"KRW-BTC", "KRW-ETH"}

            await until(both_failed, what="both markets' turns fail")
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{service.address}/api/v1/signals/generate") as answer,
            ):
                status, left = answer.status, answer.headers["Retry-After"]
                problem = await answer.json(content_type=None)
            asked = await hits(sandbox)
            calls = [line for line in service.lines() if line["event"] == "ai"]

    assert asked == 1, "the model was asked within the wait"
    assert len(calls) == 1, "a call that was not sent is no call"
    assert (status, problem["type"].rpartition(":")[2]) == (503, "unavailable")
    assert 0 < int(left) <= WAIT_S
