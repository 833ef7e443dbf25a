"""Security headers against framing, content sniffing, foreign scripts and caching."""

from typing import Final

from aiohttp import hdrs, web
from multidict import istr

_FRAMES: Final = istr("X-Frame-Options")
SECURITY: Final[dict[str, str]] = {
    istr("X-Content-Type-Options"): "nosniff",
    _FRAMES: "DENY",
    istr("Referrer-Policy"): "no-referrer",
    istr("Content-Security-Policy"): (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    hdrs.CACHE_CONTROL: "no-store",
}


async def secure(_request: web.Request, response: web.StreamResponse) -> None:
    """A handler of on_response_prepare, the only hook that aiohttp's own answers pass too."""
    headers = response.headers
    if _FRAMES not in headers:
        kept = headers.get(hdrs.CACHE_CONTROL)
        headers.update(SECURITY)
        if kept is not None:
            headers[hdrs.CACHE_CONTROL] = kept
    headers.pop(hdrs.SERVER, None)  # it shows the exact versions of Python and aiohttp
