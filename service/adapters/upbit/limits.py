"""Upbit's rate limits, and the pauses that its answers ask for.

Limits count requests by IP address or pocket and by group of endpoints, in real seconds.
Source: Upbit docs, "rate limits" (2026-10-07) and changelog of 2026-08-21 (order 8/s -> 12/s).
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum, StrEnum
from math import ceil
from typing import Final

from service.adapters.holds import Holds
from service.domain.errors import ExchangeUnavailable
from service.ports.clock import RealClock


class Group(StrEnum):
    """The endpoints that share one limit, by the names of Upbit's documents.

    Answers name some groups otherwise (`candles`, `crix-trades`, captured in March 2026). So these
    count until an endpoint has answered; from then on the name in its answer counts.
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


class Share(Enum):
    """What may use how much of each limit. The rest is left for what comes first."""

    WHOLE = "whole"  #: cancels and sales
    TRADING = "trading"  #: purchases, and what a decision or an open order needs to know
    WATCHING = "watching"  #: what is only shown, collected or measured


#: Requests of a full second that a share leaves to the others.
LEFT_OVER: Final[Mapping[Share, Decimal]] = {
    Share.WHOLE: Decimal(0),
    Share.TRADING: Decimal("0.1"),
    Share.WATCHING: Decimal("0.5"),
}
#: Names on the wire that are a documented group's.
_ALIASES: Final[Mapping[str, str]] = {"candles": Group.CANDLE}
MOST_NAMES: Final = 64  #: groups that answers may name; more are nonsense
_NAME: Final = re.compile(r"\bgroup=\s*([a-z][a-z0-9-]{0,39})\b")
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
    Endpoints are named with their method, e.g. `GET /v1/accounts`; without one a call counts for
    the documented group.

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
        self._sent = {str(group): deque[float](maxlen=n) for group, n in PER_SECOND.items()}
        self._learnt: dict[str, str] = {}  #: group by endpoint, as its answers name it
        self._closed_until: dict[str, float] = {}
        self._banned_until = 0.0
        self._next_ban_s = FIRST_BAN_S

    def check(self, group: Group, *, endpoint: str | None = None) -> None:
        """Raise what `acquire` raises for `group` now, and count nothing."""
        self._check_hold(self._name(group, endpoint))
        self._check_ban()

    async def acquire(
        self, group: Group, *, endpoint: str | None = None, share: Share = Share.WHOLE
    ) -> None:
        """Wait until a request to `group` is allowed, and count it.

        Raises: ExchangeUnavailable, without a request. Its code is "banned" while Upbit has
            blocked us, since a request then makes the block longer. It is "too_many_requests"
            while a wait that Upbit asked of the group lasts, if it was longer than a second.
        """
        name = self._name(group, endpoint)
        self._check_hold(name)
        while (wait_s := self._wait_s(name, share)) > 0:
            await self._real_clock.sleep_real(wait_s)
            name = self._name(group, endpoint)  # an answer may have named it meanwhile
            self._check_hold(name)  # a hold may have begun during the pause
        self._sent[name].append(self._real_clock.monotonic())

    def heard(self, remaining: str | None, *, group: Group, endpoint: str | None = None) -> None:
        """Read a `Remaining-Req` header, e.g. `group=default; min=1800; sec=29`.

        `min` is constant and has no meaning. A header of another form is ignored.

        Args: group: of the endpoint that answered; the header's own name for it may differ.
        """
        named, left = _NAME.search(remaining or ""), _LEFT.search(remaining or "")
        if named and endpoint is not None:
            self._learn(endpoint, _ALIASES.get(named[1], named[1]), group)
        if left and int(left[1]) == 0:
            self.close(group, endpoint=endpoint)

    def close(
        self, group: Group, *, endpoint: str | None = None, asked_s: float | None = None
    ) -> None:
        """Send nothing to `group` for this second, or for `asked_s` when that is longer.

        The pause is a whole second from the answer on. Upbit's seconds need not begin with ours,
        and after a whole second its next one has begun.
        """
        name = self._name(group, endpoint)
        self._closed_until[name] = self._real_clock.monotonic() + WINDOW_S
        if asked_s is not None and asked_s > WINDOW_S:
            self._holds.keep(name, min(asked_s, LONGEST_HOLD_S), code="too_many_requests")

    def _name(self, group: Group, endpoint: str | None) -> str:
        return self._learnt.get(endpoint or "", str(group))

    def _learn(self, endpoint: str, name: str, group: Group) -> None:
        if name == self._name(group, endpoint):
            return
        if name not in self._sent:
            if len(self._sent) >= MOST_NAMES:
                return
            self._sent[name] = deque(maxlen=PER_SECOND[group])
        self._learnt[endpoint] = name
        # The request that was answered counts for the group that it belonged to.
        self._sent[name].append(self._real_clock.monotonic())

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

    def _check_hold(self, name: str) -> None:
        hold = self._holds.longest(name)
        if hold is not None:
            raise ExchangeUnavailable(
                f"Upbit asked us to wait; nothing is sent to {name} for {hold.left_s:.0f} s",
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

    def _wait_s(self, name: str, share: Share) -> float:
        self._check_ban()
        now = self._real_clock.monotonic()
        closed_for = self._closed_until.get(name, 0.0) - now
        if not self._paced:
            return closed_for
        sent = self._sent[name]
        assert sent.maxlen is not None  # noqa: S101 - each is made with its limit
        most = sent.maxlen - ceil(sent.maxlen * LEFT_OVER[share])
        # Full: until so many have left the window that one more fits the share.
        full_for = sent[-most] + WINDOW_S - now if len(sent) >= most else 0.0
        return max(full_for, closed_for)
