"""What Gemini's refusals and silences mean.

Source: google-genai 3.4 (`errors.APIError`, `client.aio`), google.rpc error details.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
from google.genai import errors
from pydantic import ValidationError

from service.adapters.answers import LONGEST_WAIT_S, retry_after_s, strip_secrets
from service.domain.errors import BoundaryError, ModelRefused, ModelUnavailable

_SLOW_DOWN: Final = 429
_AUTH: Final = frozenset({401, 403})
_UNKNOWN: Final = 404
_TRY_AGAIN: Final = frozenset({408, 499})
_CLIENT_ERRORS: Final = range(400, 500)
_REDIRECTS: Final = range(300, 400)
_STATUS: Final = re.compile(r"[A-Z_]{1,64}")
_DELAY: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")


@contextmanager
def translated() -> Iterator[None]:
    """Turn everything that can go wrong with a call into ModelUnavailable or ModelRefused.

    The cause is kept without what it carries: the SDK's error holds the answer whole, and
    through it our request with the key in its headers.
    """
    try:
        yield
    except errors.APIError as exc:
        meaning = _meaning(exc)
        _bare(exc)
        raise meaning from exc
    except TimeoutError as exc:  # aiohttp's own have no text at all
        strip_secrets(exc)
        raise ModelUnavailable("Gemini did not answer in time", code="timeout") from exc
    except aiohttp.ClientConnectorError as exc:
        raise ModelUnavailable("Gemini cannot be reached", code="unreachable") from exc
    except aiohttp.ClientError as exc:
        strip_secrets(exc)
        raise ModelUnavailable("the connection to Gemini broke", code="disconnected") from exc
    except ValidationError:
        # `from None`: its text quotes the answer, and nothing can take that out of it.
        raise ModelUnavailable("Gemini's answer cannot be read", code="bad_answer") from None
    except (ValueError, RecursionError, AttributeError, TypeError) as exc:
        # A body that is not what its header says: JSONDecodeError, UnicodeDecodeError, or JSON
        # of a shape that the SDK did not expect. The status is lost on the way.
        strip_secrets(exc)
        raise ModelUnavailable("Gemini's answer cannot be read", code="bad_answer") from exc


def _meaning(exc: errors.APIError) -> BoundaryError:
    details = list(_details(exc))
    if exc.code == _SLOW_DOWN:
        return _too_much(exc, details)
    if exc.code in _AUTH or any(d.get("reason") == "API_KEY_INVALID" for d in details):
        # A wrong key is a 400 here, told from other mistakes by its ErrorInfo only.
        return ModelRefused("Gemini rejects the key; check GEMINI_API_KEY", code="auth_rejected")
    if exc.code == _UNKNOWN:
        return ModelRefused(
            "Gemini knows no such model for this API version; change ai_model",
            code="unknown_model",
        )
    if exc.code in _REDIRECTS:
        return ModelRefused("Gemini redirects us; check GEMINI_BASE_URL", code="redirected")
    word = _word(exc)
    if exc.code in _CLIENT_ERRORS and exc.code not in _TRY_AGAIN:
        return ModelRefused(f"Gemini refuses the request: {word}", code=word)
    return ModelUnavailable(
        f"Gemini answered {exc.code}", code=word, retry_after_s=_asked(exc, details)
    )


def _too_much(exc: errors.APIError, details: list[Mapping[str, Any]]) -> BoundaryError:
    if any("PerDay" in quota for quota in _quotas(details)):
        return ModelRefused(
            "today's quota of the model is used up; it returns at midnight Pacific time",
            code="quota_exhausted",
        )
    return ModelUnavailable(
        "Gemini asks us to slow down", code="rate_limited", retry_after_s=_asked(exc, details)
    )


def _asked(exc: errors.APIError, details: list[Mapping[str, Any]]) -> float | None:
    """Return the seconds to wait: the header's, else RetryInfo's; the SDK looks at neither."""
    headers = getattr(exc.response, "headers", None)
    in_header = retry_after_s(headers) if headers is not None else None
    if in_header is not None:
        return in_header
    for item in details:
        delay = _DELAY.fullmatch(str(item.get("retryDelay", "")))
        if delay and str(item.get("@type", "")).endswith("google.rpc.RetryInfo"):
            return min(float(delay[1]), LONGEST_WAIT_S)
    return None


def _quotas(details: list[Mapping[str, Any]]) -> Iterator[str]:
    for item in details:
        violations = item.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict):
                yield str(violation.get("quotaId", ""))


def _details(exc: errors.APIError) -> Iterator[Mapping[str, Any]]:
    """Return the google.rpc items of the body, whatever shape it has."""
    body: object = exc.details
    error = body.get("error") if isinstance(body, dict) else None
    items = error.get("details") if isinstance(error, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


def _word(exc: errors.APIError) -> str:
    status = exc.status
    if isinstance(status, str) and _STATUS.fullmatch(status):
        return status.lower()
    return f"http_{exc.code}"


def _bare(exc: errors.APIError) -> None:
    """Leave of the error its number: the text repeats the body, and a proxy's echoes requests."""
    strip_secrets(exc)
    exc.args = (f"{exc.code}",)
    exc.message = exc.status = exc.details = exc.response = None
