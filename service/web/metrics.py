"""Counters of this process: the connection pool and the settings cache."""

from dataclasses import asdict
from typing import cast

from aiohttp import web

from service.ports import PoolBody
from service.web.bodies import json_response
from service.web.keys import DATABASE, SETTINGS
from service.web.query import Query


async def pool(request: web.Request) -> web.Response:
    Query(request)
    return json_response(cast("PoolBody", asdict(request.app[DATABASE].state())))


async def cache(request: web.Request) -> web.Response:
    Query(request)
    return json_response(request.app[SETTINGS].stats())
