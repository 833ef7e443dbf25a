"""How often Upbit may be asked, and silence when it says so.

Limits are counted in real seconds, an IP address or a pocket, in groups of endpoints.
Source: Upbit docs, "rate limits" (2026-10-07) and changelog of 2026-08-21 (order 8/s -> 12/s).
"""

import re
from collections import deque
from enum import StrEnum
from typing import Final

from service.domain.errors import ExchangeUnavailable
from service.ports import Clock


class Group(StrEnum):
    """The endpoints that share one limit, as `Remaining-Req` calls them."""

    MARKET = "market"
    CANDLE = "candle"
    TICKER = "ticker"
    ORDERBOOK = "orderbook"
    DEFAULT = "default"
    ORDER = "order"


PER_SECOND: Final[dict[Group, int]] = {
    Group.MARKET: 10,
    Group.CANDLE: 10,
    Group.TICKER: 10,
    Group.ORDERBOOK: 10,
    Group.DEFAULT: 30,
    Group.ORDER: 12,
}
WINDOW_S: Final = 1.0
FIRST_BAN_S: Final = 60.0  #: when the answer does not say how long
LONGEST_BAN_S: Final = 86_400.0
_GROUP: Final = re.compile(r"group=\s*([\w-]+)")
_LEFT: Final = re.compile(r"\bsec=\s*(\d{1,6})\b")
_BAN: Final = re.compile(r"(?P<n>[0-9]{1,6})\s*(?:(?P<minutes>min|분)|sec|s\b|초)", re.IGNORECASE)


def ban_s(raw: bytes) -> float | None:
    """Return how long the text of a 418 says that we are blocked, or None.

    The documents promise the time "in the response" without saying where, so any number with a
    unit of time counts; without one the caller guesses.
    """
    found = _BAN.search(raw[:2000].decode(errors="replace"))
    if found is None:
        return None
    return float(found["n"]) * (60 if found["minutes"] else 1)


class Limiter:
    """Keeps each group within its limit and the whole client silent during a ban.

    Without `paced` only what the answers say is heeded: for a sandbox whose time runs faster.
    """

    def __init__(self, clock: Clock, *, paced: bool = True) -> None:
        self._clock = clock
        self._paced = paced
        self._sent = {group: deque[float](maxlen=n) for group, n in PER_SECOND.items()}
        self._closed_until: dict[str, float] = {}
        self._banned_until = 0.0
        self._next_ban_s = FIRST_BAN_S

    async def turn(self, group: Group) -> None:
        """Wait until `group` may be asked, and count the call.

        Raises: ExchangeUnavailable(code="banned") while Upbit has blocked us: a request sent
        during a block makes it longer.
        """
        while (wait_s := self._wait_s(group)) > 0:
            await self._clock.pause(wait_s)
        self._sent[group].append(self._clock.monotonic())

    def heard(self, remaining: str | None) -> None:
        """Take note of a `Remaining-Req` header, e.g. `group=default; min=1800; sec=29`.

        `min` is constant and means nothing. A header that reads otherwise is ignored.
        """
        group, left = _GROUP.search(remaining or ""), _LEFT.search(remaining or "")
        if group and left and int(left[1]) == 0:
            self.close(group[1])

    def close(self, group: str) -> None:
        """Leave `group` alone for this second.

        A whole second from the answer on, not up to our own next second: the server's seconds
        need not begin with ours, and after a whole one its next has begun for certain.
        """
        self._closed_until[group] = self._clock.monotonic() + WINDOW_S

    def ban(self, seconds: float | None) -> float:
        """Be silent for `seconds`, or for a guess that doubles, and return how long."""
        length = self._next_ban_s if seconds is None else seconds
        length = min(length, LONGEST_BAN_S)
        self._next_ban_s = min(2 * length, LONGEST_BAN_S)
        self._banned_until = self._clock.monotonic() + length
        return length

    def welcome(self) -> None:
        """Forget earlier bans: Upbit has answered as usual."""
        if self._clock.monotonic() >= self._banned_until:  # else it was asked before the ban
            self._next_ban_s = FIRST_BAN_S

    def _wait_s(self, group: Group) -> float:
        now = self._clock.monotonic()
        if now < self._banned_until:
            left = self._banned_until - now
            raise ExchangeUnavailable(
                f"Upbit has blocked us for sending too much; nothing is sent for {left:.0f} s",
                code="banned",
                retry_after_s=left,
            )
        sent = self._sent[group]
        full_for = sent[0] + WINDOW_S - now if self._paced and len(sent) == sent.maxlen else 0.0
        return max(full_for, self._closed_until.get(group, 0.0) - now)
