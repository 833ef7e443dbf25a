"""Metrics: statistics from the database, and counters of this process."""

from dataclasses import asdict
from datetime import timedelta
from typing import Final, cast

from aiohttp import hdrs, web

from service.domain.days import korean_day, korean_midnight
from service.ports.health import PoolMetrics
from service.settings.table import AI_DAILY_BUDGET_USD
from service.web.keys import CLOCK, DATABASE, EXPOSITION, REAL_CLOCK, SETTINGS, STATISTICS
from service.web.protocol.query import Query
from service.web.protocol.responses import json_response, raw_response

_DAY: Final = timedelta(days=1)
_PROMETHEUS: Final = {hdrs.CONTENT_TYPE: "text/plain; version=0.0.4; charset=utf-8"}


async def pool(request: web.Request) -> web.Response:
    Query(request)
    database = request.app[DATABASE]
    body = asdict(database.state()) | {"wait_p95_ms": database.wait_p95_ms()}
    return json_response(cast("PoolMetrics", body))


async def cache(request: web.Request) -> web.Response:
    Query(request)
    return json_response(request.app[SETTINGS].stats())


async def jobs(request: web.Request) -> web.Response:
    """The last hours by the market's clock, by which jobs are scheduled."""
    hours = _hours(request)
    until = request.app[CLOCK].now()
    since = until - hours
    return raw_response(await request.app[STATISTICS].jobs(since=since, until=until))


async def http(request: web.Request) -> web.Response:
    """The last hours of real time."""
    hours = _hours(request)
    until = request.app[REAL_CLOCK].utc_now()
    since = until - hours
    return raw_response(await request.app[STATISTICS].requests(since=since, until=until))


async def ai(request: web.Request) -> web.Response:
    """Today and the days before it, Korean days by the market's clock."""
    days = Query(request).whole_number("days")
    today = korean_day(request.app[CLOCK].now())
    midnight = korean_midnight(today)
    return raw_response(
        await request.app[STATISTICS].model_calls(
            since=midnight - (days - 1) * _DAY,
            until=midnight + _DAY,
            today=today,
            budget_usd=await request.app[SETTINGS].get(AI_DAILY_BUDGET_USD),
        )
    )


async def exposition(request: web.Request) -> web.Response:
    Query(request)
    return web.Response(body=request.app[EXPOSITION](), headers=_PROMETHEUS)


def _hours(request: web.Request) -> timedelta:
    return timedelta(hours=Query(request).whole_number("hours"))
