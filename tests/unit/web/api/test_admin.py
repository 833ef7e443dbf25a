"""Jobs over HTTP: how each is, and a pass by hand."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from service import __version__
from service.app.jobs import jobs
from service.domain.errors import StoreBusy
from service.ports.machine import SystemBody
from service.web.api.admin import AdminJobBody
from tests.builders import T0, a_config, a_signal
from tests.unit.app.running import Running
from tests.unit.ops.facts import a_job_state, a_machine_reading
from tests.unit.web.world import Client, Serve, World

URL = "/api/v1/admin/jobs"


async def test_every_job_is_listed_with_all_that_is_known(client: Client, world: World) -> None:
    world.jobs.jobs = [
        a_job_state(
            last_failure_at=T0 - timedelta(seconds=10),
            next_run_at=T0 + timedelta(seconds=10),
            skipped=2,
            restarts=1,
            last_error="StoreDown",
            consecutive_failures=4,
        ),
        a_job_state(name="other", is_enabled=False, last_start_at=None, last_success_at=None),
    ]

    body = await (await client.get(URL)).json()

    assert body["items"][0] == {
        "name": "collect_market_data",
        "period_s": 10,
        "enabled": True,
        "running": False,
        "last_start_at": "2026-01-24T09:00:00.000Z",
        "last_success_at": "2026-01-24T09:00:00.000Z",
        "last_failure_at": "2026-01-24T08:59:50.000Z",
        "last_duration_ms": 3.0,
        "next_run_at": "2026-01-24T09:00:10.000Z",
        "consecutive_failures": 4,
        "runs": 1,
        "skipped": 2,
        "restarts": 1,
        "last_error": "StoreDown",
    }
    assert body["items"][0].keys() == AdminJobBody.__annotations__.keys()
    assert [(item["name"], item["enabled"]) for item in body["items"]] == [
        ("collect_market_data", True),
        ("other", False),
    ]


async def test_a_pass_by_hand_is_accepted_and_audited(client: Client, world: World) -> None:
    async with Running(world.bound.jobs, name="collect_market_data") as job:
        answer = await client.post(f"{URL}/collect_market_data/run")
        await job.another()

    assert answer.status == 202
    assert (await answer.json())["name"] == "collect_market_data"
    assert job.triggers == ["schedule", "manual"]
    assert [(row["action"], row["subject"]) for row in world.audit.rows] == [
        ("job.run", "collect_market_data")
    ]


async def test_a_job_that_does_not_exist_is_answered_with_those_that_do(
    client: Client, world: World
) -> None:
    world.jobs.jobs = [a_job_state(), a_job_state(name="other")]

    answer = await client.post(f"{URL}/colect/run")

    assert answer.status == 404
    detail = (await answer.json())["detail"]
    assert detail == "there is no job 'colect'; there is collect_market_data, other"
    assert world.audit.rows == []


async def test_where_another_process_trades_it_is_a_conflict(client: Client, world: World) -> None:
    await world.bound.leadership.resign()

    async with Running(world.bound.jobs, name="collect_market_data", needs_lease=True) as job:
        answer = await client.post(f"{URL}/collect_market_data/run")
        await job.rest()

    assert answer.status == 409
    assert (await answer.json())["type"].endswith(":not-leader")
    assert job.passes == 1


async def test_a_run_that_comes_too_soon_is_told_when_it_may_come(
    client: Client, world: World
) -> None:
    world.signals.signals.extend(
        a_signal(id=n, market=market, created_at=T0 - timedelta(seconds=60.8))
        for n, market in enumerate(world.config.markets, start=1)
    )
    (job,) = (j for j in jobs(world.bound) if j.name == "generate_trading_signal")

    async with Running(world.bound.jobs, name=job.name, check_call=job.check_call):
        answer = await client.post(f"{URL}/generate_trading_signal/run")

    assert (answer.status, answer.headers["Retry-After"]) == (429, "240")
    assert (await answer.json())["type"].endswith(":too-soon")


async def test_what_cannot_be_recorded_is_not_done(client: Client, world: World) -> None:
    world.audit.fail = StoreBusy("every connection is taken", retry_after_s=1)

    async with Running(world.bound.jobs, name="collect_market_data") as job:
        answer = await client.post(f"{URL}/collect_market_data/run")
        await job.rest()

    assert (answer.status, job.passes) == (503, 1)


async def test_a_pass_by_hand_takes_no_body(client: Client, world: World) -> None:
    async with Running(world.bound.jobs, name="collect_market_data") as job:
        answer = await client.post(f"{URL}/collect_market_data/run", json={"market": "KRW-BTC"})
        await job.rest()

    assert (answer.status, job.passes) == (400, 1)


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("viewer", 403), ("admin", 202)])
async def test_only_an_admin_has_a_pass_made(serve: Serve, token: str | None, status: int) -> None:
    tokens = {
        f"{role}_token": SecretStr(f"the-token-of-the-{role}") for role in ("viewer", "admin")
    }
    world = World(config=a_config(**tokens))
    client = await serve(world)
    headers = {"Authorization": f"Bearer the-token-of-the-{token}"} if token else {}

    async with Running(world.bound.jobs, name="collect_market_data"):
        answer = await client.post(f"{URL}/collect_market_data/run", headers=headers)

    assert answer.status == status


async def test_the_machine_is_shown_with_the_process_and_its_connections(
    client: Client, world: World
) -> None:
    world.machine_reading = a_machine_reading(disk_used_pct=91.5)

    body = await (await client.get("/api/v1/admin/system")).json()

    assert body.keys() == SystemBody.__annotations__.keys()
    assert (body["disk"]["status"], body["disk"]["used_pct"]) == ("unhealthy", 91.5)
    assert body["pool"].keys() == {"size", "free", "max", "waiting"}
    assert (body["mode"], body["version"]) == ("sandbox", __version__)
    assert (body["uptime_seconds"], body["time"]) == (0, "2026-01-24T09:00:00.000Z")


async def test_a_question_that_the_machine_does_not_know_is_refused(client: Client) -> None:
    assert (await client.get("/api/v1/admin/system?x=1")).status == 400
