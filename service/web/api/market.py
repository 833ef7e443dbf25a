"""Collected prices and candles, newest first."""

from datetime import timedelta
from typing import Annotated, Final

import orjson
from aiohttp import web
from typing_extensions import TypedDict

from service.domain.errors import NotFound
from service.domain.instants import rfc3339
from service.domain.markets import Timeframe
from service.ports.health import JobState
from service.ports.price_feed import PriceFigures, StreamState
from service.web.contract.market_bodies import CollectedMarketBody
from service.web.contract.scalars import Instant, Made
from service.web.keys import CLOCK, JOBS, LISTS, LIVE
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query
from service.web.protocol.responses import json_response, list_response, raw_response

_COLLECTOR: Final = "collect_market_data"


class CollectorBody(TypedDict):
    since: Instant
    items: Annotated[object, Made(list[CollectedMarketBody])]
    next_cursor: None
    job: "CollectorJobBody | None"  #: null before the scheduler runs
    streams: "dict[str, StreamBody]"  #: by name: prices, orders
    prices: "list[LivePriceBody]"  #: of every market that a price was heard of


class StreamBody(TypedDict):
    connected: bool
    frames: int  #: since the start of the process
    odd_frames: int
    reconnects: int
    quiet_seconds: float | None  #: real; null before the first news


class LivePriceBody(TypedDict):
    market: str
    age_seconds: float  #: market seconds since it was heard
    doubt: str | None  #: why it is not traded on


class CollectorJobBody(TypedDict):
    running: bool
    runs: int
    skipped: int
    consecutive_failures: int
    last_success_at: Instant | None
    last_error: str | None
    last_duration_ms: float | None
    next_run_at: Instant | None


async def overview(request: web.Request) -> web.Response:
    """The newest row of every market, or of the one asked for."""
    markets = Query(request).markets()
    return list_response(await request.app[LISTS].market_latest(markets))


async def latest(request: web.Request) -> web.Response:
    """The newest row of one market, as an object."""
    market = Query(request).one_market()
    row = await request.app[LISTS].market_price(market)
    if row is None:
        raise NotFound(f"no price of {market} has been collected yet")
    return raw_response(row)


async def history(request: web.Request) -> web.Response:
    query = Query(request)
    page, market = window(query), query.one_market()
    return page_response(
        await request.app[LISTS].market_history(market, limit=page.limit, before=page.before)
    )


async def candles(request: web.Request) -> web.Response:
    query = Query(request)
    page, timeframe = window(query), query.choice("timeframe", Timeframe) or Timeframe.M1
    market = query.one_market()
    return page_response(
        await request.app[LISTS].market_candles(
            market, timeframe, limit=page.limit, before=page.before
        )
    )


async def summary(request: web.Request) -> web.Response:
    query = Query(request)
    hours = query.whole_number("hours")
    market = query.one_market()
    since = request.app[CLOCK].now() - timedelta(hours=hours)
    return raw_response(await request.app[LISTS].market_summary(market, since=since))


async def collector_stats(request: web.Request) -> web.Response:
    query = Query(request)
    hours = query.whole_number("hours")
    markets = query.markets()
    since = request.app[CLOCK].now() - timedelta(hours=hours)
    rows = await request.app[LISTS].collector_stats(markets, since=since)
    live = request.app[LIVE]()
    jobs = [job for job in request.app[JOBS].states() if job.name == _COLLECTOR]
    return json_response(
        CollectorBody(
            since=rfc3339(since),
            items=orjson.Fragment(rows),
            next_cursor=None,
            job=_job_body(jobs[0]) if jobs else None,
            streams={name: _stream_body(state) for name, state in live.streams.items()},
            prices=_price_bodies(live.prices),
        )
    )


def _stream_body(state: StreamState) -> StreamBody:
    return StreamBody(
        connected=state.connected,
        frames=state.frames,
        odd_frames=state.odd,
        reconnects=state.reconnects,
        quiet_seconds=None if state.quiet_s is None else round(state.quiet_s, 1),
    )


def _price_bodies(prices: PriceFigures) -> list[LivePriceBody]:
    return [
        LivePriceBody(
            market=str(market), age_seconds=round(age_s, 1), doubt=prices.doubts.get(market)
        )
        for market, age_s in prices.age_s.items()
    ]


def _job_body(job: JobState) -> CollectorJobBody:
    success, following = job.last_success_at, job.next_run_at
    return CollectorJobBody(
        running=job.running,
        runs=job.runs,
        skipped=job.skipped,
        consecutive_failures=job.consecutive_failures,
        last_success_at=None if success is None else rfc3339(success),
        last_error=job.last_error,
        last_duration_ms=job.last_duration_ms,
        next_run_at=None if following is None else rfc3339(following),
    )
