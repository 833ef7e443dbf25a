"""The plain page: four small files without anything of the account in them."""

import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

_FOLDER: Final = Path(__file__).parent / "page"
#: Address, file and type; nothing else of the folder is ever served.
FILES: Final = (
    ("/", "index.html", "text/html"),
    ("/page.css", "page.css", "text/css"),
    ("/page.js", "page.js", "text/javascript"),
    ("/icon.svg", "icon.svg", "image/svg+xml"),
)


def page_routes() -> list[web.RouteDef]:
    return [web.get(path, _serving(_FOLDER / name, kind)) for path, name, kind in FILES]


def _serving(file: Path, kind: str) -> Handler:
    body = file.read_bytes()
    tag = hashlib.sha256(body).hexdigest()[:32]
    # Asked for again each time, answered in full only when it changed.
    headers = {hdrs.CACHE_CONTROL: "no-cache", hdrs.ETAG: f'"{tag}"'}

    async def serve(request: web.Request) -> web.Response:
        if any(known.value == tag for known in request.if_none_match or ()):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(body=body, headers=headers, content_type=kind, charset="utf-8")

    return serve
