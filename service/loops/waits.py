"""Arithmetic of waits: the Retry-After of an error, and the next grid point after a wait."""

from datetime import datetime, timedelta
from math import ceil, isnan
from typing import Final

from service.domain.errors import BoundaryError, ModelQuotaUsedUp

LONGEST_HOLD_S: Final = 86_400.0  #: of the market's time; a longer Retry-After is cut to this


def asked_s(error: Exception | None) -> float:
    """Return the seconds that `error` asks us to wait: 0 without a valid value, at most a day.

    A used-up quota returns 0, because the adapter's hold enforces it. A job that slept until the
    quota returns would not see that the operator chose another model.
    """
    if not isinstance(error, BoundaryError) or isinstance(error, ModelQuotaUsedUp):
        return 0.0
    wish = error.retry_after_s
    if wish is None or isnan(wish):
        return 0.0
    return min(max(wish, 0.0), LONGEST_HOLD_S)


def on_grid(due: datetime, period: timedelta, *, not_before: datetime) -> tuple[datetime, int]:
    """Return the first of due, due + period, … from `not_before` on, and how many were skipped."""
    passed_over = max(0, ceil((not_before - due) / period))
    return due + period * passed_over, passed_over
