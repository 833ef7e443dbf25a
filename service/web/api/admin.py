"""The machine, the repeated jobs with a pass by hand, and what callers have asked for."""

import platform
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from typing_extensions import TypedDict

from service.domain.errors import NotFound
from service.domain.instants import rfc3339
from service.ports.health import JobState
from service.ports.machine import SystemBody
from service.web.contract.scalars import Instant
from service.web.keys import DATABASE, HEALTH, JOBS, LISTS, MACHINE, REAL_CLOCK, RUN_JOB
from service.web.protocol.audit import audited
from service.web.protocol.bodies import nothing_of
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query
from service.web.protocol.responses import json_response, list_response


class AdminJobBody(TypedDict):
    name: str
    period_s: float  #: of the market's time; 0 before the first pass
    enabled: bool
    running: bool
    last_start_at: Instant | None
    last_success_at: Instant | None
    last_failure_at: Instant | None
    last_duration_ms: float | None  #: real time
    next_run_at: Instant | None  #: null while it runs or is switched off
    consecutive_failures: int
    runs: int
    skipped: int
    restarts: int
    last_error: str | None  #: class of the last failure's error; null after a success


class AdminJobsBody(TypedDict):
    items: list[AdminJobBody]
    next_cursor: None


async def system(request: web.Request) -> web.Response:
    """The machine and this process; the numbers are at most ten seconds old."""
    Query(request)
    health = request.app[HEALTH].body()
    pool = request.app[DATABASE].state()
    body: SystemBody = {
        **await request.app[MACHINE](),
        "version": health["version"],
        "python": platform.python_version(),
        "mode": health["mode"],
        "time": rfc3339(request.app[REAL_CLOCK].utc_now()),
        "uptime_seconds": health["uptime_seconds"],
        "pool": {"size": pool.size, "free": pool.free, "max": pool.max, "waiting": pool.waiting},
    }
    return json_response(body)


async def jobs(request: web.Request) -> web.Response:
    Query(request)
    return list_response([_job_body(state) for state in request.app[JOBS].states()])


async def audit(request: web.Request) -> web.Response:
    """Every request for a change, the newest first, whether it was done or refused."""
    query = Query(request)
    page = window(query)
    return page_response(
        await request.app[LISTS].audit(
            limit=page.limit, before=page.before, action=query.text("action")
        )
    )


async def run_job(request: web.Request) -> web.Response:
    """Request a pass; the job's own loop makes it, so it never overlaps another."""
    Query(request)
    await nothing_of(request, "the address names the job")
    name = _known(request.match_info["name"], request.app[JOBS].states())
    # The audit row comes first: if it cannot be written, nothing is done.
    await audited(request, action="job.run", subject=name)
    state = await request.app[RUN_JOB](name)
    return json_response(_job_body(state), status=HTTPStatus.ACCEPTED)


def _known(name: str, states: Sequence[JobState]) -> str:
    names = [state.name for state in states]
    if name in names:
        return name
    raise NotFound(f"there is no job {name[:40]!r}; there is {', '.join(names) or 'none yet'}")


def _job_body(job: JobState) -> AdminJobBody:
    return AdminJobBody(
        name=job.name,
        period_s=job.every_s,
        enabled=job.is_enabled,
        running=job.running,
        last_start_at=_text(job.last_start_at),
        last_success_at=_text(job.last_success_at),
        last_failure_at=_text(job.last_failure_at),
        last_duration_ms=job.last_duration_ms,
        next_run_at=_text(job.next_run_at),
        consecutive_failures=job.consecutive_failures,
        runs=job.runs,
        skipped=job.skipped,
        restarts=job.restarts,
        last_error=job.last_error,
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
