"""The page: four small static files without any data of the account."""

from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service.web.protocol.etag import is_known, quoted, tag_of

_FOLDER: Final = Path(__file__).parent / "page"
#: Address, file and type; no other file of the folder is served.
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
    tag = tag_of(body)
    # Browsers revalidate it each time, and get the file only when it has changed.
    headers = {hdrs.CACHE_CONTROL: "no-cache", hdrs.ETAG: quoted(tag)}

    async def serve(request: web.Request) -> web.Response:
        if is_known(request, tag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(body=body, headers=headers, content_type=kind, charset="utf-8")

    return serve
