"""The expiry of our key and the clock's skew, from answers that Upbit gives anyway."""

from datetime import UTC, datetime, timedelta

import pytest

from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import ExchangeRefused, ExchangeUnavailable
from tests.integration.adapters import recorded
from tests.integration.adapters.upbit_stub import ACCESS_KEY, UpbitStub, nonce_of

KEYS = """[
 {"access_key":"another-key-of-the-account","expire_at":"2026-12-01T09:00:00+09:00"},
 {"access_key":"canary-access-key","expire_at":"2027-03-09T12:34:56+09:00"}]"""
SLOW = "Sun, 06 Nov 1994 08:49:37 GMT"


async def test_our_keys_end_is_found_among_the_accounts_keys(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("GET /v1/api_keys", KEYS)

    ends_at = await upbit.key_expires_at()

    assert ends_at == datetime(2027, 3, 9, 3, 34, 56, tzinfo=UTC)
    assert stub.seen[0].line == "GET /v1/api_keys"
    assert nonce_of(stub.seen[0])


async def test_a_list_without_our_key_is_no_end(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/api_keys", "[]")

    assert await upbit.key_expires_at() is None


@pytest.mark.parametrize("body", ["{}", '[{"access_key":"canary-access-key"}]', "[1]"])
async def test_an_odd_list_is_an_error_that_shows_no_key(
    upbit: UpbitRest, stub: UpbitStub, body: str
) -> None:
    stub.answer("GET /v1/api_keys", body)

    with pytest.raises(ExchangeUnavailable) as failed:
        await upbit.key_expires_at()

    assert failed.value.code == "bad_answer"
    assert ACCESS_KEY not in str(failed.value)


async def test_the_clock_is_compared_on_every_answer_refusals_too(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    refusal = '{"error":{"name":"jwt_verification","message":"no"}}'
    stub.answer("GET /v1/accounts", refusal, status=401, headers={"Date": SLOW})
    before = upbit.clock_skew_s

    with pytest.raises(ExchangeRefused):
        await upbit.balances()

    assert before is None
    assert upbit.clock_skew_s is not None
    assert timedelta(seconds=upbit.clock_skew_s) > timedelta(days=365 * 30)


async def test_a_server_with_our_time_is_within_a_second(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/market/all", recorded.MARKETS)

    await upbit.markets()

    assert upbit.clock_skew_s == 0


async def test_an_answer_that_a_cache_has_kept_tells_no_time(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("GET /v1/accounts", "[]", headers={"Date": SLOW, "Age": "61"})

    await upbit.balances()

    assert upbit.clock_skew_s is None
    assert upbit.take_clock_skews_s() == ()
