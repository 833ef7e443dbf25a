"""How long to wait, as arithmetic: what another side may ask for, and where the grid goes on."""

from datetime import datetime, timedelta
from math import ceil, isnan
from typing import Final

from service.domain.errors import BoundaryError, ModelQuotaUsedUp

LONGEST_HOLD_S: Final = 86_400.0  #: of the market's time; whoever asks for more is not believed


def asked_s(error: Exception | None) -> float:
    """Return the seconds that `error` asks us to wait: 0 without a sane wish, at most a day.

    A quota that is used up asks for none: the adapter's hold keeps it, and a job that slept until
    it returns would not see that the operator chose another model.
    """
    if not isinstance(error, BoundaryError) or isinstance(error, ModelQuotaUsedUp):
        return 0.0
    wish = error.retry_after_s
    if wish is None or isnan(wish):
        return 0.0
    return min(max(wish, 0.0), LONGEST_HOLD_S)


def on_grid(due: datetime, period: timedelta, *, not_before: datetime) -> tuple[datetime, int]:
    """Return the first of due, due + period, … not before an instant, and how many were passed."""
    passed_over = max(0, ceil((not_before - due) / period))
    return due + period * passed_over, passed_over
