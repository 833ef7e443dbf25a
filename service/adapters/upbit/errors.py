"""Upbit's error answers and timeouts, translated into ours.

Source: Upbit docs, "REST API guide" (errors, 2026-10-06) and "new order".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp

from service.adapters.answers import strip_secrets
from service.adapters.upbit.limits import WINDOW_S
from service.domain.errors import (
    BoundaryError,
    ExchangeRefused,
    ExchangeUnavailable,
    OutcomeUnknown,
)

# After one of these errors the request was not sent, so no order can have arrived. With redirects
# off and no proxy, aiohttp raises them only before it writes.
_UNSENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_OF_ACCOUNT: Final = frozenset({401, 403})  #: not about what was asked: no call is answered
_DEFINITE: Final = frozenset({400, 401, 403, 404})
_SLOW_DOWN: Final = 429
_BLOCKED: Final = 418
_CLIENT_ERRORS: Final = range(400, 500)
_TRY_AGAIN: Final = frozenset({408, 425})

# Upbit refuses a used identifier: so an earlier copy of this attempt has arrived. A nonce is new
# for each attempt. If Upbit has seen it, a proxy delivered the request twice. The first copy may
# have become an order.
_EARLIER_COPY_ARRIVED: Final = frozenset({"duplicated_identifier", "nonce_used"})

_REMEDIES: Final = {
    "create_ask_error": "the order names what a sale does not take",
    "create_bid_error": "the order names what a purchase does not take",
    "expired_access_key": "issue a new key at Upbit (they last a year)",
    "insufficient_funds_ask": "the account holds too few coins",
    "insufficient_funds_bid": "the account holds too little money, or the fee was not left over",
    "currency_not_found": "Upbit has no such currency",
    "invalid_access_key": "check UPBIT_ACCESS_KEY",
    "invalid_price_ask": "the price is off the market's tick",
    "invalid_price_bid": "the price is off the market's tick",
    "jwt_verification": "check UPBIT_SECRET_KEY",
    "market_offline": "the exchange is in maintenance",
    "no_authorization_i_p": "allow this machine's address for the key at Upbit",
    "no_authorization_ip": "allow this machine's address for the key at Upbit",
    "no_authorization_token": "check UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY",
    "notfoundmarket": "Upbit has no such market",
    "order_disabled_member": "Upbit does not let this account order; ask its customer centre",
    "order_not_found": "Upbit knows no such order",
    "out_of_scope": "the key lacks a right: allow viewing assets, viewing orders and ordering",
    "over_krw_funds_bid": "the order is above the market's maximum",
    "over_max_total_market_ask": "the order is above the market's maximum",
    "thirdparty_agreement_required": "agree to third-party provision in Upbit's app",
    "under_min_total_ask": "the order is below the market's minimum",
    "under_min_total_bid": "the order is below the market's minimum",
}


class ErrorAnswer(Exception):
    """Upbit answered with another status than 2xx. `name` is its error name, if readable."""

    def __init__(
        self, status: int, name: str | None = None, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{status} {name or 'without an error name'}")
        self.status = status
        self.name = name
        self.retry_after_s = retry_after_s


class Unsent(Exception):
    """No byte of the request has left, because of `error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__("nothing has left")
        self.error = error


class OddAnswer(ValueError):
    """A 2xx that cannot be read. The text names the field, never its value, e.g. a balance."""


@contextmanager
def translated(*, writing: bool, named: bool = False) -> Iterator[None]:
    """Translate every error of a call into one of ours.

    A lost read is harmless. A lost order may be on the book. So while `writing`, an error that
    proves neither a refusal nor an unsent request is OutcomeUnknown. Cancellation passes through:
    the order's row, committed before the request, stays PENDING.

    Args: named: a refusal counts only with Upbit's error name: without one it may be a proxy's.
    """
    lost = OutcomeUnknown if writing else ExchangeUnavailable
    try:
        yield
    except ErrorAnswer as exc:
        raise _meaning(exc, writing=writing, named=named) from exc
    except OddAnswer as exc:
        raise lost(f"Upbit's answer cannot be read: {exc}", code="bad_answer") from exc
    except Unsent as exc:
        strip_secrets(exc.error)
        raise ExchangeUnavailable("Upbit cannot be reached", code="unreachable") from exc.error
    except _UNSENT as exc:
        strip_secrets(exc)
        raise ExchangeUnavailable("Upbit cannot be reached", code="unreachable") from exc
    except TimeoutError as exc:  # before ClientError: aiohttp's socket timeouts are both
        strip_secrets(exc)
        raise lost("Upbit did not answer in time", code="timeout") from exc
    except aiohttp.ClientError as exc:
        strip_secrets(exc)
        raise lost("the connection to Upbit broke", code="disconnected") from exc


def _meaning(answer: ErrorAnswer, *, writing: bool, named: bool) -> BoundaryError:
    lost = OutcomeUnknown if writing else ExchangeUnavailable
    code = answer.name or f"http_{answer.status}"
    if answer.status == _SLOW_DOWN:
        wait_s = WINDOW_S if answer.retry_after_s is None else answer.retry_after_s
        # OutcomeUnknown for an order: Upbit may count requests before or after it takes the order.
        return lost("Upbit asks us to slow down", code="too_many_requests", retry_after_s=wait_s)
    if answer.status == _BLOCKED:
        return lost(
            "Upbit has blocked us for sending too much; nothing is sent until that ends",
            code="banned",
            retry_after_s=answer.retry_after_s,
        )
    if code in _EARLIER_COPY_ARRIVED:
        return lost(f"Upbit has seen this request before: {code}", code=code)
    if _is_refusal(answer, writing=writing, named=named):
        remedy = _REMEDIES.get(code)
        return ExchangeRefused(
            f"Upbit refused: {code}" + (f"; {remedy}" if remedy else ""),
            of_account=answer.status in _OF_ACCOUNT,
            code=code,
        )
    return lost(f"Upbit answered {answer.status}", code=code)


def _is_refusal(answer: ErrorAnswer, *, writing: bool, named: bool) -> bool:
    if named and answer.name is None:
        return False
    if writing:
        # An answer without Upbit's error name may be a proxy's, sent after Upbit took the order.
        return answer.status in _DEFINITE and answer.name is not None
    return answer.status in _CLIENT_ERRORS and answer.status not in _TRY_AGAIN
