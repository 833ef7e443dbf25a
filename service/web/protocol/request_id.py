"""The id of a request: in its answer, its log lines and the rows it writes."""

import itertools
import re
import secrets
from collections.abc import Callable
from typing import Final

from aiohttp import web
from multidict import istr

HEADER: Final = istr("X-Request-ID")
REQUEST_ID = web.RequestKey("request_id", str)
_SANE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def counted_ids() -> Callable[[], str]:
    """Return a function that makes ids: a random prefix and a counter; a uuid costs more."""
    return map(f"{secrets.token_hex(6)}-{{}}".format, itertools.count(1)).__next__


def id_of(request: web.BaseRequest, new_id: Callable[[], str]) -> str:
    """Return the caller's id, if it is safe for a log line, else a new one."""
    given = request.headers.get(HEADER)
    return given if given is not None and _SANE.fullmatch(given) else new_id()
