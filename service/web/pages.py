"""The pages: small static files without any data of the account."""

from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service.web.contract.roles import Role
from service.web.contract.route import OK, RouteRow
from service.web.protocol.etag import is_known, quoted, tag_of

_FOLDER: Final = Path(__file__).parent / "page"
#: Address, file, type and what docs/api.md says; no other file of the folder is served.
FILES: Final = (
    (
        "/",
        "index.html",
        "text/html",
        "the plain page; it asks for `dashboard/summary` every 2 s and for `config` every 30 s",
    ),
    ("/page.css", "page.css", "text/css", "its style"),
    ("/page.js", "page.js", "text/javascript", "its script"),
    ("/icon.svg", "icon.svg", "image/svg+xml", "its icon"),
    ("/docs", "docs.html", "text/html", "this API as a page, made from `/openapi.json`"),
    ("/docs.js", "docs.js", "text/javascript", "its script"),
    (
        "/openapi.json",
        "openapi.json",
        "application/json",
        "the OpenAPI 3.1 document of this API, for generated clients",
    ),
)


def page_rows() -> tuple[RouteRow, ...]:
    """Return the rows of the files, each read now."""
    return tuple(
        RouteRow(
            method="GET",
            path=path,
            name=f"get_{name.replace('.', '_')}",
            handler=_serving(_FOLDER / name, kind),
            # A token is typed in on a page, so the page comes first.
            role=Role.ANONYMOUS,
            says=says,
            answers={OK: None},
            query=None,
            media_type=kind,
            is_revalidated=True,
            is_queued=False,
        )
        for path, name, kind, says in FILES
    )


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
