"""Common handling of HTTP answers and errors: asked waits, dates, secrets in errors."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy

#: Any number of seconds is a wish; more than a day counts as a day.
_SECONDS: Final = re.compile(r"[0-9]{1,300}(\.[0-9]{1,9})?")
#: An asked wait is kept up to a day. It is not cut further: callers give up at their own limits.
LONGEST_WAIT_S: Final = 86_400.0


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, at most a day, or None.

    An HTTP-date counts from the server's own `Date`; without `Date` the result is None. Our clock
    may differ from the server's, and in the sandbox it runs faster. Source: RFC 9110 §10.2.3.
    """
    asked = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(asked):
        return min(float(asked), LONGEST_WAIT_S)
    until, sent = http_date(asked), http_date(headers.get("Date", ""))
    if until is None or sent is None:
        return None
    return min(max((until - sent).total_seconds(), 0.0), LONGEST_WAIT_S)


def http_date(text: str) -> datetime | None:
    """Return the instant of an HTTP `Date`, or None when it cannot be read."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def strip_secrets(error: BaseException) -> None:
    """Remove from `error`, and from its causes, what a log must not print.

    aiohttp's response errors hold our request, and their repr prints its headers with the key. The
    errors of its parser have the reason in the first line and quote the faulty bytes below.
    Decoding errors hold the whole body: balances, or an echo of the request.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, aiohttp.ClientResponseError):
            bare = seen.request_info._replace(headers=CIMultiDictProxy(CIMultiDict()))
            seen.request_info, seen.history, seen.args = bare, (), (bare, ())
            seen.headers, seen.message = None, _title(seen.message)
        elif isinstance(seen, HttpProcessingError):
            seen.headers, seen.message, seen.args = None, _title(seen.message), ()
        elif isinstance(seen, json.JSONDecodeError):
            seen.doc = ""
        elif isinstance(seen, UnicodeDecodeError):
            seen.object = b""
            seen.args = (seen.encoding, b"", seen.start, seen.end, seen.reason)
        seen = seen.__cause__ or seen.__context__


def _title(message: str) -> str:
    return message.partition("\n")[0]
