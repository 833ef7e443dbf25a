"""Upbit's rate limits: requests a second in each group; every answer names the rest."""

from collections.abc import Callable
from typing import Final

from service.sandbox.errors import refused

#: group -> (requests, seconds); Upbit docs: rate-limits, state 2026-10-07. `candles` and
#: `crix-trades` are the names in answers (captured in March 2026); the documents have others.
LIMITS: Final = {
    "market": (10, 1),
    "candles": (10, 1),
    "crix-trades": (10, 1),
    "ticker": (10, 1),
    "orderbook": (10, 1),
    "default": (30, 1),
    "order": (12, 1),
    "order-test": (8, 1),
    "order-cancel-all": (1, 2),
    "websocket-connect": (5, 1),
    "origin": (1, 10),
}
_QUOTATION: Final = (
    ("/v1/market/", "market"),
    ("/v1/candles/", "candles"),
    ("/v1/trades/", "crix-trades"),
    ("/v1/ticker", "ticker"),
    ("/v1/orderbook", "orderbook"),
    ("/websocket/", "websocket-connect"),
)
_WRITING: Final = {
    ("POST", "/v1/orders"): "order",
    ("POST", "/v1/orders/cancel_and_new"): "order",
    ("POST", "/v1/orders/test"): "order-test",
    ("DELETE", "/v1/orders/open"): "order-cancel-all",
}


def group_of(method: str, path: str, *, has_origin: bool = False) -> str:
    """Return the limit's group of a request; a quotation for a web page has its own group."""
    for prefix, group in _QUOTATION:
        if path.startswith(prefix):
            return "origin" if has_origin else group
    return _WRITING.get((method, path), "default")


def is_quotation(group: str) -> bool:
    return group == "origin" or group in {name for _, name in _QUOTATION}


class RequestCounter:
    """Counts requests in fixed windows of real time, one account and one address."""

    def __init__(self, *, monotonic: Callable[[], float], is_enforced: bool) -> None:
        self._monotonic = monotonic
        self.is_enforced = is_enforced
        self._windows: dict[str, tuple[int, int]] = {}

    def count(self, group: str) -> int:
        """Count one request; return how many are left in this window."""
        limit, seconds = LIMITS[group]
        window = int(self._monotonic()) // seconds
        seen, used = self._windows.get(group, (window, 0))
        used = used + 1 if seen == window else 1
        self._windows[group] = (window, used)
        return max(0, limit - used) if self.is_enforced else limit - 1

    def check(self, group: str) -> None:
        """Raise Refused (429) when the request just counted was one too many."""
        if self.is_enforced and self._windows[group][1] > LIMITS[group][0]:
            raise refused("too_many_requests")
