"""Upbit's rate limits, and the pauses that its answers ask for.

Limits count requests by IP address or pocket and by group of endpoints, in real seconds.
Source: Upbit docs, "rate limits" (2026-10-07) and changelog of 2026-08-21 (order 8/s -> 12/s).
"""

import re
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from service.adapters.holds import Holds
from service.domain.errors import ExchangeUnavailable
from service.ports.clock import RealClock


class Group(StrEnum):
    """The endpoints that share one limit.

    The names are those of Upbit's documents. Its answers name some groups otherwise (`candles`,
    `crix-trades`, captured in March 2026). So the endpoint, not the answer, decides the group.
    """

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
#: Upbit counts by the second and documents no Retry-After. A longer one is a proxy's. It must not
#: stop the look-up of unsettled orders for hours.
LONGEST_HOLD_S: Final = 300.0
_LEFT: Final = re.compile(r"\bsec=\s*(\d{1,6})\b")
_BAN: Final = re.compile(r"(?P<n>[0-9]{1,6})\s*(?:(?P<minutes>min|분)|sec|s\b|초)", re.IGNORECASE)


def ban_s(raw: bytes) -> float | None:
    """Return the seconds of a block that the text of a 418 names, or None.

    The documents promise the time "in the response", but not in which field. So any number with a
    unit of time counts; without one the caller guesses.
    """
    found = _BAN.search(raw[:2000].decode(errors="replace"))
    if found is None:
        return None
    return float(found["n"]) * (60 if found["minutes"] else 1)


class Limiter:
    """Keeps each group within its limit, and stops all requests during a ban.

    One instance serves every caller: a wait that Upbit asks of one holds for all (FR-010).

    Args:
        paced: False applies only what answers ask for; for a sandbox whose time runs faster.
        seconds: the clock of `Holds`; real seconds by default.
    """

    def __init__(
        self,
        real_clock: RealClock,
        *,
        paced: bool = True,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        self._real_clock = real_clock
        self._paced = paced
        self._holds = Holds(seconds or real_clock.monotonic)
        self._sent = {group: deque[float](maxlen=n) for group, n in PER_SECOND.items()}
        self._closed_until: dict[str, float] = {}
        self._banned_until = 0.0
        self._next_ban_s = FIRST_BAN_S

    def check(self, group: Group) -> None:
        """Raise what `acquire` raises for `group` now, and count nothing."""
        self._check_hold(group)
        self._check_ban()

    async def acquire(self, group: Group) -> None:
        """Wait until a request to `group` is allowed, and count it.

        Raises: ExchangeUnavailable, without a request. Its code is "banned" while Upbit has
            blocked us, since a request then makes the block longer. It is "too_many_requests"
            while a wait that Upbit asked of the group lasts, if it was longer than a second.
        """
        self._check_hold(group)
        while (wait_s := self._wait_s(group)) > 0:
            await self._real_clock.sleep_real(wait_s)
            self._check_hold(group)  # a hold may have begun during the pause
        self._sent[group].append(self._real_clock.monotonic())

    def heard(self, remaining: str | None, *, group: Group) -> None:
        """Read a `Remaining-Req` header, e.g. `group=default; min=1800; sec=29`.

        `min` is constant and has no meaning. A header of another form is ignored.

        Args: group: of the endpoint that answered; the header's own name for it may differ.
        """
        left = _LEFT.search(remaining or "")
        if left and int(left[1]) == 0:
            self.close(group)

    def close(self, group: Group, *, asked_s: float | None = None) -> None:
        """Send nothing to `group` for this second, or for `asked_s` when that is longer.

        The pause is a whole second from the answer on. Upbit's seconds need not begin with ours,
        and after a whole second its next one has begun.
        """
        self._closed_until[group] = self._real_clock.monotonic() + WINDOW_S
        if asked_s is not None and asked_s > WINDOW_S:
            self._holds.keep(group, min(asked_s, LONGEST_HOLD_S), code="too_many_requests")

    def ban(self, seconds: float | None) -> float:
        """Send nothing for `seconds`, or for a guess that doubles each time; return the length."""
        length = self._next_ban_s if seconds is None else seconds
        length = min(length, LONGEST_BAN_S)
        self._next_ban_s = min(2 * length, LONGEST_BAN_S)
        # The longest ban counts: answers to concurrent requests may name different ones.
        self._banned_until = max(self._banned_until, self._real_clock.monotonic() + length)
        return length

    def reset_ban(self) -> None:
        """Reset the guess of the next ban, since Upbit has answered a request."""
        if (
            self._real_clock.monotonic() >= self._banned_until
        ):  # else the request is older than the ban
            self._next_ban_s = FIRST_BAN_S

    def _check_hold(self, group: Group) -> None:
        hold = self._holds.longest(group)
        if hold is not None:
            raise ExchangeUnavailable(
                f"Upbit asked us to wait; nothing is sent to {group} for {hold.left_s:.0f} s",
                code=hold.code,
                retry_after_s=hold.left_s,
                sent=False,
            )

    def _check_ban(self) -> None:
        left = self._banned_until - self._real_clock.monotonic()
        if left > 0:
            raise ExchangeUnavailable(
                f"Upbit has blocked us for sending too much; nothing is sent for {left:.0f} s",
                code="banned",
                retry_after_s=left,
                sent=False,
            )

    def _wait_s(self, group: Group) -> float:
        self._check_ban()
        now = self._real_clock.monotonic()
        sent = self._sent[group]
        full_for = sent[0] + WINDOW_S - now if self._paced and len(sent) == sent.maxlen else 0.0
        return max(full_for, self._closed_until.get(group, 0.0) - now)
