"""JSON answers in UTF-8, as both vendors send them."""

import orjson
from aiohttp import web

Body = dict[str, object]


def reply(body: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        charset="utf-8",
    )
