"""The list of the API's routes, from their table."""

from aiohttp import web
from typing_extensions import TypedDict

from service import __version__
from service.web.contract.route import TABLE
from service.web.protocol.query import Query
from service.web.protocol.responses import json_response


class IndexRowBody(TypedDict):
    method: str
    path: str
    name: str
    role: str


class IndexBody(TypedDict):
    version: str
    openapi: str  #: the address of the document
    items: list[IndexRowBody]
    next_cursor: None


async def index(request: web.Request) -> web.Response:
    Query(request)
    rows = [
        IndexRowBody(method=row.method, path=row.path, name=row.name, role=row.role)
        for row in request.app[TABLE].values()
    ]
    return json_response(
        IndexBody(version=__version__, openapi="/openapi.json", items=rows, next_cursor=None)
    )
