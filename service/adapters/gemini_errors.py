"""Gemini's errors and timeouts, translated into ours.

Source: google-genai 3.6.1 (`errors.APIError`, `client.aio`), google.rpc error details.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import aiohttp
from google.genai import errors
from pydantic import ValidationError

from service.adapters.answers import LONGEST_WAIT_S, retry_after_s, strip_secrets
from service.adapters.gemini_response import AnswerTooLong
from service.domain.errors import (
    BoundaryError,
    ModelQuotaUsedUp,
    ModelRefused,
    ModelUnavailable,
)

_SLOW_DOWN: Final = 429
_AUTH: Final = frozenset({401, 403})
_UNKNOWN: Final = 404
_TRY_AGAIN: Final = frozenset({408, 499})
_CLIENT_ERRORS: Final = range(400, 500)
_REDIRECTS: Final = range(300, 400)
_STATUS: Final = re.compile(r"[A-Z_]{1,64}")
#: protobuf writes seconds only; real bodies also hold `1h16m0.667s`.
_DELAY: Final = re.compile(
    r"(?:(?P<h>[0-9]{1,4})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?)s)?"
)
#: The time zone of the day that Google's quotas are counted by.
_QUOTA_ZONE: Final = "America/Los_Angeles"
_OF_MODEL: Final = "MODEL_CAPACITY_EXHAUSTED"


class Heard(Protocol):
    def __call__(self, error: BoundaryError, *, of_model: bool) -> None:
        """Record an answer that asks for a wait, for one model or for the whole server."""


@contextmanager
def translated(*, now: Callable[[], datetime], heard: Heard) -> Iterator[None]:
    """Translate every error of a call into ModelUnavailable or ModelRefused.

    Args:
        now: aware; the end of the quota's day is counted from it.
        heard: called with each error that asks for a wait.

    The cause is kept without its data: the SDK's error holds the whole answer, and through it our
    request with the key in its headers.
    """
    try:
        yield
    except errors.APIError as exc:
        details = list(_details(exc))
        meaning = _meaning(exc, details, now)
        if meaning.retry_after_s is not None:
            heard(meaning, of_model=_is_of_model(details))
        _bare(exc)
        raise meaning from exc
    except TimeoutError as exc:  # aiohttp's timeouts have no text
        strip_secrets(exc)
        raise ModelUnavailable("Gemini did not answer in time", code="timeout") from exc
    except aiohttp.ClientConnectorError as exc:
        raise ModelUnavailable("Gemini cannot be reached", code="unreachable") from exc
    except aiohttp.ClientError as exc:
        strip_secrets(exc)
        raise ModelUnavailable("the connection to Gemini broke", code="disconnected") from exc
    except AnswerTooLong as exc:
        raise ModelUnavailable(
            "Gemini's answer is longer than any answer to our question", code="bad_answer"
        ) from exc
    except ValidationError:
        # `from None`: its text quotes the answer and cannot be cleaned.
        raise ModelUnavailable("Gemini's answer cannot be read", code="bad_answer") from None
    except (ValueError, RecursionError, AttributeError, TypeError) as exc:
        # The body is not what its header says: JSONDecodeError, UnicodeDecodeError, or JSON of a
        # shape that the SDK does not expect. The SDK's error has no status.
        strip_secrets(exc)
        raise ModelUnavailable("Gemini's answer cannot be read", code="bad_answer") from exc


def _meaning(
    exc: errors.APIError, details: list[Mapping[str, Any]], now: Callable[[], datetime]
) -> BoundaryError:
    if exc.code == _SLOW_DOWN:
        return _too_much(exc, details, now)
    if exc.code in _AUTH or any(d.get("reason") == "API_KEY_INVALID" for d in details):
        # A wrong key is a 400 here; only its ErrorInfo distinguishes it from other errors.
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


def _too_much(
    exc: errors.APIError, details: list[Mapping[str, Any]], now: Callable[[], datetime]
) -> BoundaryError:
    if any("PerDay" in quota for quota in _quotas(details)):
        # Such an answer also has a RetryInfo of seconds, after which the quota is still used up.
        return ModelQuotaUsedUp(
            "today's quota of the model is used up; it returns at midnight Pacific time",
            code="quota_exhausted",
            retry_after_s=quota_returns_in_s(now()),
        )
    return ModelUnavailable(
        "Gemini asks us to slow down", code="rate_limited", retry_after_s=_asked(exc, details)
    )


def quota_returns_in_s(now: datetime) -> float:
    """Return the seconds until the next midnight of Pacific time, when a quota's day ends."""
    local = now.astimezone(ZoneInfo(_QUOTA_ZONE))
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # Subtracted as timestamps: between local times Python ignores a change of the clock.
    return midnight.timestamp() - now.timestamp()


def _is_of_model(details: list[Mapping[str, Any]]) -> bool:
    """Return whether the limit counts each model by itself; unknown means the whole server."""
    quotas = list(_quotas(details))
    if quotas:
        return all("PerModel" in quota for quota in quotas)
    return any(item.get("reason") == _OF_MODEL for item in details)


def _asked(exc: errors.APIError, details: list[Mapping[str, Any]]) -> float | None:
    """Return the seconds to wait, from the header, else from RetryInfo; the SDK reads neither."""
    headers = getattr(exc.response, "headers", None)
    in_header = retry_after_s(headers) if headers is not None else None
    if in_header is not None:
        return in_header
    for item in details:
        delay = _DELAY.fullmatch(str(item.get("retryDelay", "")))
        is_retry_info = str(item.get("@type", "")).endswith("google.rpc.RetryInfo")
        if is_retry_info and delay and delay[0]:
            hours, minutes, seconds = (float(delay[unit] or 0) for unit in "hms")
            return min(hours * 3600 + minutes * 60 + seconds, LONGEST_WAIT_S)
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
    """Reduce the error to its number: its text repeats the body, and a proxy's echoes requests."""
    strip_secrets(exc)
    exc.args = (f"{exc.code}",)
    exc.message = exc.status = exc.details = exc.response = None
