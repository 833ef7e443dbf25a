import asyncio
import string

import pytest

from service.domain.errors import (
    BoundaryError,
    ExchangeRefused,
    ExchangeUnavailable,
    ModelRefused,
    ModelUnavailable,
    StoreBusy,
    StoreDown,
    StoreTimeout,
)
from service.ops.health.reasons import REASONS, SENTENCES, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreBusy("x"), "pool_exhausted"),
        (StoreDown("x"), "connection_refused"),
        (StoreDown("x", code="57P01"), "connection_refused"),
        (StoreDown("x", code="28P01"), "auth_rejected"),
        (StoreDown("x", code="53100"), "disk_full"),
        (StoreTimeout("x"), "timeout"),
        (StoreTimeout("x", code="57014"), "timeout"),
        (TimeoutError(), "timeout"),
        (asyncio.CancelledError(), "timeout"),
        (ConnectionRefusedError(), "connection_refused"),
        (OSError(), "connection_refused"),
        (ExchangeUnavailable("x", code="unreachable"), "connection_refused"),
        (ExchangeUnavailable("x", code="disconnected"), "connection_refused"),
        (ExchangeUnavailable("x", code="timeout"), "timeout"),
        (ExchangeUnavailable("x", code="too_many_requests"), "rate_limited"),
        (ExchangeUnavailable("x", code="banned"), "banned_until"),
        (ExchangeUnavailable("x", code="bad_answer"), "bad_response"),
        (ExchangeUnavailable("x", code="http_503"), "bad_response"),
        (ExchangeRefused("x", code="jwt_verification"), "auth_rejected"),
        (ExchangeRefused("x", code="no_authorization_ip"), "auth_rejected"),
        (ExchangeRefused("x", code="out_of_scope"), "auth_rejected"),
        (ExchangeRefused("x", code="expired_access_key"), "key_expired"),
        (ExchangeRefused("x"), "bad_response"),
        (ModelRefused("x", code="auth_rejected"), "auth_rejected"),
        (ModelRefused("x", code="PERMISSION_DENIED"), "auth_rejected"),
        (ModelRefused("x", code="quota_exhausted"), "quota_exhausted"),
        (ModelUnavailable("x", code="rate_limited"), "rate_limited"),
        (ModelUnavailable("x", code="DEADLINE_EXCEEDED"), "timeout"),
        (ValueError("x"), "bad_response"),
    ],
)
def test_an_error_says_its_reason_by_code_or_class(error: BaseException, reason: str) -> None:
    assert reason_of(error) == reason


@pytest.mark.parametrize("reason", REASONS)
def test_an_adapter_can_say_any_reason_by_its_name(reason: str) -> None:
    assert reason_of(BoundaryError("x", code=reason)) == reason


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_one_sentence_of_our_own(reason: str) -> None:
    sentence = SENTENCES[reason]  # type: ignore[index]  # parametrize forgets the Literal

    assert sentence.endswith(".")
    assert sentence[0] in string.ascii_uppercase


def test_no_sentence_is_left_over() -> None:
    assert set(SENTENCES) == set(REASONS)
