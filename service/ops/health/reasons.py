"""The closed list of reasons for a bad status, with a sentence and the sources of each.

A health body never carries an error's own text, because that may hold secrets.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, Literal, get_args

from service.domain.errors import BoundaryError, StoreBusy, StoreDown, StoreTimeout

Reason = Literal[
    "timeout",
    "connection_refused",
    "auth_rejected",
    "key_expiring",
    "key_expired",
    "rate_limited",
    "banned_until",
    "circuit_open",
    "quota_exhausted",
    "bad_response",
    "pool_exhausted",
    "heartbeat_stale",
    "loop_dead",
    "prober_stalled",
    "event_loop_lag",
    "signal_older_than_1h",
    "no_signal_yet",
    "last_order_failed",
    "unknown_orders",
    "reconcile_mismatch",
    "starting",
    "disk_full",
    "clock_skew",
    "notifications_lost",
    "feed_lost",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

SENTENCES: Final[Mapping[Reason, str]] = {
    "timeout": "It did not answer in time.",
    "connection_refused": "It cannot be reached.",
    "auth_rejected": "It rejects our key or password; check the configuration.",
    "key_expiring": "The key expires within 30 days; make a new one.",
    "key_expired": "The key has expired; make a new one.",
    "rate_limited": "It asks us to slow down.",
    "banned_until": "It has blocked us for sending too much; nothing is sent until that ends.",
    "circuit_open": "It failed too often; nothing is sent to it for a while.",
    "quota_exhausted": "Today's quota is used up.",
    "bad_response": "Its answer could not be understood.",
    "pool_exhausted": "The database connections do not suffice: callers wait for one.",
    "heartbeat_stale": "A repeating job has shown no sign of life in time.",
    "loop_dead": "A repeating job fails every time, or ended and had to be started again.",
    "prober_stalled": "It has not been looked at for three periods.",
    "event_loop_lag": "The process is too busy to keep its own time.",
    "signal_older_than_1h": "The last signal is more than an hour old.",
    "no_signal_yet": "There has been no signal since the start, an hour ago or more.",
    "last_order_failed": "The last order failed.",
    "unknown_orders": "There are orders whose fate is not known yet.",
    "reconcile_mismatch": "Our records and the exchange's differ.",
    "starting": "It has not been looked at yet.",
    "disk_full": "The disk is full, or the database takes no writes.",
    "clock_skew": "Our clock differs from the exchange's.",
    "notifications_lost": "Changes of settings are not announced; each read asks the database.",
    "feed_lost": "Its stream of prices is silent; prices are asked for every ten seconds instead.",
}

#: Certain after one answer; other failures may be chance.
DEFINITE: Final[frozenset[Reason]] = frozenset(
    {
        "auth_rejected",
        "key_expired",
        "key_expiring",
        "quota_exhausted",
        "banned_until",
        "disk_full",
    }
)
#: Reasons for a warning: the component still works.
MILD: Final[frozenset[Reason]] = frozenset(
    {"starting", "key_expiring", "clock_skew", "notifications_lost", "feed_lost"}
)

_BY_CODE: Final[Mapping[str, Reason]] = {
    **{reason: reason for reason in REASONS},
    # Upbit's error names and the adapter's own codes
    **dict.fromkeys(
        ("invalid_access_key", "jwt_verification", "invalid_query_payload", "nonce_used"),
        "auth_rejected",
    ),
    **dict.fromkeys(
        ("no_authorization_ip", "no_authorization_i_p", "no_authorization_token", "out_of_scope"),
        "auth_rejected",
    ),
    **dict.fromkeys(("http_401", "http_403"), "auth_rejected"),
    "expired_access_key": "key_expired",
    **dict.fromkeys(("too_many_requests", "http_429"), "rate_limited"),
    **dict.fromkeys(("banned", "http_418"), "banned_until"),
    **dict.fromkeys(("unreachable", "disconnected"), "connection_refused"),
    "bad_answer": "bad_response",
    # Gemini's status words
    **dict.fromkeys(("unauthenticated", "permission_denied"), "auth_rejected"),
    "resource_exhausted": "rate_limited",
    "deadline_exceeded": "timeout",
    # PostgreSQL's SQLSTATEs
    **dict.fromkeys(("28000", "28p01"), "auth_rejected"),
    **dict.fromkeys(("57014", "55p03"), "timeout"),
    "53100": "disk_full",
    "25006": "disk_full",  # managed servers turn read-only when their disk fills up
    "53300": "pool_exhausted",
}
_BY_CLASS: Final[Mapping[type[BaseException], Reason]] = {
    StoreBusy: "pool_exhausted",
    StoreDown: "connection_refused",
    StoreTimeout: "timeout",
    TimeoutError: "timeout",
    # aiopg raises it for a statement that the server cancelled.
    asyncio.CancelledError: "timeout",
    OSError: "connection_refused",
}


def reason_of(error: BaseException) -> Reason:
    """Return the reason that `error` stands for: by its code, else by its class."""
    if isinstance(error, BoundaryError) and error.code is not None:
        by_code = _BY_CODE.get(error.code.lower())
        if by_code is not None:
            return by_code
    known = (_BY_CLASS[kind] for kind in type(error).__mro__ if kind in _BY_CLASS)
    return next(known, "bad_response")
