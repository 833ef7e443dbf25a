"""Upbit: whether it answers, whose clock is right, and what our key is worth.

Only requests that change nothing. Whether a key may withdraw is not checked. Upbit tells a key's
rights only to a main pocket's key that may manage pockets. The only other way is to try a
withdrawal. Source: Upbit docs v1.6.4, "list API keys" and "list API keys by pocket".
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from service.app.checks.finding import CheckResult, fail, ok, refusal, warn
from service.domain.errors import BoundaryError, ExchangeRefused
from service.domain.key_answers import KeyAnswer
from service.domain.markets import Market

UPBIT: Final = "upbit"
CLOCK: Final = "upbit clock"
KEY: Final = "upbit key"
KEY_EXPIRY: Final = "upbit key expiry"
RIGHTS: Final = "upbit key rights"
SKEW_WARN_S: Final = 2.0
SKEW_FAIL_S: Final = 30.0
EXPIRY_WARN: Final = timedelta(days=30)
NEW_KEY: Final = "issue a new key on Upbit's Open API page and put it into UPBIT_ACCESS_KEY"
NETWORK: Final = "check this machine's network, or try again later"
SET_CLOCK: Final = "set this machine's clock, and keep it set (chrony, systemd-timesyncd)"


class ExchangeCheck(Protocol):
    async def markets(self) -> frozenset[Market]: ...


class AccountCheck(Protocol):
    """What of an exchange's adapter the check uses; satisfied by UpbitRest."""

    @property
    def clock_skew_s(self) -> float | None: ...

    def take_clock_skews_s(self) -> tuple[float, ...]: ...

    def take_key_answers(self) -> tuple[KeyAnswer, ...]: ...

    async def balances(self) -> object: ...

    async def key_expires_at(self) -> datetime | None: ...


async def reach(exchange: ExchangeCheck, *, markets: Sequence[Market]) -> CheckResult:
    """Ask for the list of markets: whether Upbit answers at all, and trades what we name."""
    try:
        traded = await exchange.markets()
    except BoundaryError as exc:
        return refusal(UPBIT, exc, remedy=NETWORK)
    if missing := [str(market) for market in markets if market not in traded]:
        text = f"answers, but does not trade {', '.join(missing)}"
        return fail(UPBIT, text, "take it out of TRADER_MARKETS")
    return ok(UPBIT, f"answers; {len(traded)} markets")


async def key(account: AccountCheck) -> CheckResult:
    """Ask for the account, as trading does."""
    try:
        await account.balances()
    except ExchangeRefused as exc:
        return refusal(KEY, exc, remedy="check UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY")
    except BoundaryError as exc:
        return refusal(KEY, exc, remedy=NETWORK)
    return ok(KEY, "the account answers")


async def key_expiry(account: AccountCheck, *, now: datetime) -> CheckResult:
    """Ask when the key ends. `now` is real time."""
    try:
        ends_at = await account.key_expires_at()
    except BoundaryError as exc:
        return unknown_expiry(exc)
    return judged_expiry(ends_at, now=now)


def unknown_expiry(exc: BoundaryError) -> CheckResult:
    return warn(KEY_EXPIRY, f"not known ({exc})", "look at Upbit's Open API page")


def judged_expiry(ends_at: datetime | None, *, now: datetime) -> CheckResult:
    if ends_at is None:
        return warn(KEY_EXPIRY, "Upbit's list does not name our key", "look at its Open API page")
    if ends_at <= now:
        return fail(KEY_EXPIRY, f"ended on {ends_at:%Y-%m-%d}", NEW_KEY)
    days = (ends_at - now).days
    text = f"ends on {ends_at:%Y-%m-%d}, in {days} day{'' if days == 1 else 's'}"
    return warn(KEY_EXPIRY, text, NEW_KEY) if ends_at - now <= EXPIRY_WARN else ok(KEY_EXPIRY, text)


def clock(skew_s: float | None) -> CheckResult:
    """Judge by how much our clock is ahead at the least; None when no answer said the time."""
    if skew_s is None:
        return warn(CLOCK, "Upbit has not told the time", "see the other lines on Upbit")
    if abs(skew_s) <= SKEW_WARN_S:
        return ok(CLOCK, f"within {SKEW_WARN_S:g} s of ours")
    text = f"ours is {abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}"
    return (fail if abs(skew_s) > SKEW_FAIL_S else warn)(CLOCK, text, SET_CLOCK)


def rights() -> CheckResult:
    """Say what cannot be known."""
    return warn(
        RIGHTS,
        "Upbit tells nobody whether a key may withdraw, short of trying",
        "make sure on its Open API page that this one may only view assets, view orders and order",
    )
