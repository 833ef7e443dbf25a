"""A job of the whole service meets a passing error of the exchange and gets over it by itself."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from service.ops.logs.setup import configure
from tests.composed import composed

JOB: Final = "collect_market_data"
MINUTES: Final = "/v1/candles/minutes/1"  #: asked for by this job only
PASS_S: Final = 10


async def lines_of_a_spoiled_pass(
    folder: Path, dsn: str, fault: Mapping[str, object]
) -> tuple[list[dict[str, Any]], int]:
    """Return what the job logs from the fault on, and how often the fault struck."""
    log = folder / "log"
    with (
        log.open("wb") as stream,
        configure(level="INFO", mode="sandbox", version="0", stream=stream),
    ):
        async with composed(folder, dsn, speed=Decimal(0)) as service:
            faults = f"{service.exchange_url}/__sandbox__/faults"
            async with service.client.post(faults, json=[{"path": MINUTES, **fault}]) as added:
                assert added.status == 201, await added.text()
            await service.services.ports.clock.sleep_market(3 * PASS_S)
            async with service.client.get(faults) as told:
                (plan,) = await told.json()
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    return [line for line in lines if line.get("job") == JOB], plan["hit"]


def the_spoiled_pass(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    (run_id,) = {line["run_id"] for line in lines if "wait_s" in line}
    return [line for line in lines if line["run_id"] == run_id]


@pytest.mark.proves("S4.1")
async def test_a_429_while_collecting_is_tried_again_after_the_stated_wait_and_succeeds(
    tmp_path: Path, empty_dsn: str
) -> None:
    fault = {"status": 429, "times": 1, "headers": {"Retry-After": "3"}}

    lines, hits = await lines_of_a_spoiled_pass(tmp_path, empty_dsn, fault)

    *retries, done = the_spoiled_pass(lines)
    assert hits == 1
    assert [line["wait_s"] for line in retries] == [3.0]
    assert (done["success"], done["attempts"]) == (True, 2)
    assert all(line["success"] for line in lines if "success" in line)


@pytest.mark.proves("S4.2", "FR-007")
async def test_an_error_that_passes_is_tried_again_after_one_two_and_four_seconds(
    tmp_path: Path, empty_dsn: str
) -> None:
    lines, hits = await lines_of_a_spoiled_pass(tmp_path, empty_dsn, {"status": 503, "times": 3})

    *retries, done = the_spoiled_pass(lines)
    assert hits == 3
    assert [line["wait_s"] for line in retries] == [1.0, 2.0, 4.0]
    assert (done["success"], done["attempts"]) == (True, 4)
    assert all(line["success"] for line in lines if "success" in line)
