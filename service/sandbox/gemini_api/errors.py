"""The model's refusals as Gemini writes them: code, status, message, google.rpc details."""

from typing import Final

from service.sandbox.reply import Body

_RPC: Final = "type.googleapis.com/google.rpc."
_METRIC: Final = "generativelanguage.googleapis.com/generate_content_free_tier_requests"


class Problem(Exception):
    """The request is answered with an error body."""

    def __init__(self, code: int, status: str, message: str, *details: Body) -> None:
        super().__init__(message)
        self.code = code
        self.body = {
            "error": {"code": code, "message": message, "status": status}
            | ({"details": list(details)} if details else {})
        }


def bad_request(message: str) -> Problem:
    return Problem(400, "INVALID_ARGUMENT", message)


def no_key() -> Problem:
    return Problem(
        403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers: no API key."
    )


def not_found(model: str, version: str) -> Problem:
    return Problem(404, "NOT_FOUND", f"models/{model} is not found for API version {version}.")


def rate_limited(model: str) -> Problem:
    """Return the 429 of an exhausted minute quota, with the wait in the body only."""
    return _quota_exceeded(model, per="Minute", most=10, retry="7.5s")


def quota_exhausted(model: str) -> Problem:
    """Return the 429 of an exhausted day; the wait that it names is too short."""
    return _quota_exceeded(model, per="Day", most=20, retry="34.074824224s")


def _quota_exceeded(model: str, *, per: str, most: int, retry: str) -> Problem:
    violation = {
        "quotaMetric": _METRIC,
        "quotaId": f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": str(most),
    }
    return Problem(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
        {"@type": _RPC + "QuotaFailure", "violations": [violation]},
        {"@type": _RPC + "RetryInfo", "retryDelay": retry},
    )
