"""A key that the exchange rejects, from its socket to the rows of halt, event and alert."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import BoundaryError
from service.domain.key_answers import KeyAnswer
from service.flows.alerts.rules import risk_notices
from service.flows.key_guard import RESUME_AFTER_S, KeyGuard
from service.store.database.pool import Pool
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC, an_intent, at_liberty
from tests.fakes.clock import FakeClock
from tests.integration.adapters.upbit_stub import ACCESS_KEY, SECRET_KEY, UpbitStub, open_stub
from tests.integration.store.seeds import rows

HALTS = "SELECT kind, reason, ends FROM trading_halts WHERE ended_at IS NULL"
ALERTS = """
    SELECT key, severity, recovered_at IS NULL
      FROM alerts
     WHERE kind = 'PROBLEM'
     ORDER BY key
"""
OF_KEY = (
    "invalid_access_key",
    "expired_access_key",
    "jwt_verification",
    "no_authorization_ip",
    "no_authorization_i_p",
    "no_authorization_token",
    None,  # a firewall's
)


def refusal(name: str | None) -> str:
    return "<html>forbidden</html>" if name is None else json.dumps({"error": {"name": name}})


@pytest.fixture
async def stub() -> AsyncIterator[UpbitStub]:
    async with open_stub() as stub:
        yield stub


@pytest.fixture
async def upbit(stub: UpbitStub, clock: FakeClock) -> AsyncIterator[UpbitRest]:
    async with aiohttp.ClientSession() as session:
        yield UpbitRest(
            session,
            quotation_url=stub.address,
            exchange_url=stub.address,
            access_key=ACCESS_KEY,
            secret_key=SECRET_KEY,
            real_clock=clock,
        )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def asked(upbit: UpbitRest, *, times: int = 1) -> None:
    for _ in range(times):
        try:
            await upbit.balances()
        except BoundaryError:
            continue


@pytest.mark.parametrize("answer", [(status, name) for status in (401, 403) for name in OF_KEY])
async def test_a_rejected_key_or_address_stops_purchases_until_it_is_accepted(
    upbit: UpbitRest, stub: UpbitStub, pool: Pool, clock: FakeClock, answer: tuple[int, str | None]
) -> None:
    state = PgTradingState(pool, notices=risk_notices)
    guard = KeyGuard(state=state, clock=clock, real_clock=clock, leads=lambda: True)
    for _ in range(2):
        stub.answer("GET /v1/accounts", refusal(answer[1]), status=answer[0])
    stub.answer("GET /v1/accounts", "[]")

    await asked(upbit, times=2)
    await guard.look(upbit.take_key_answers())
    halted, told = await rows(pool, HALTS), await rows(pool, ALERTS)
    clock.pass_time(RESUME_AFTER_S + 1)
    await asked(upbit)
    await guard.look(upbit.take_key_answers())

    assert halted == [("REDUCING", "key_rejected", "condition")]
    assert told == [("trading:key", "critical", True), ("trading:reducing", "critical", True)]
    assert await rows(pool, HALTS) == []
    assert [is_open for _, _, is_open in await rows(pool, ALERTS)] == [False, False]


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (401, "nonce_used"),
        (401, "invalid_query_payload"),
        (403, "market_offline"),
        (400, "insufficient_funds_bid"),
        (404, "order_not_found"),
        (429, "too_many_requests"),
        (418, None),
        (500, None),
        (503, "jwt_verification"),
    ],
)
async def test_an_answer_that_says_nothing_about_the_key_is_none_of_its(
    upbit: UpbitRest, stub: UpbitStub, status: int, name: str | None
) -> None:
    stub.answer("GET /v1/accounts", refusal(name), status=status)

    await asked(upbit, times=3)

    assert upbit.take_key_answers() == ()


async def test_a_public_answer_says_nothing_about_the_key(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("GET /v1/market/all", "[]")
    stub.answer("GET /v1/ticker", refusal(None), status=403)

    await upbit.markets()
    with pytest.raises(BoundaryError):
        await upbit.tickers([KRW_BTC])

    assert upbit.take_key_answers() == ()


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (401, "out_of_scope"),
        (403, "out_of_scope"),
        (400, "order_disabled_member"),
        (400, "thirdparty_agreement_required"),
        (401, "an_error_of_next_year"),
    ],
)
async def test_a_refused_right_concerns_its_own_request(
    upbit: UpbitRest, stub: UpbitStub, status: int, name: str
) -> None:
    stub.answer("POST /v1/orders", refusal(name), status=status)
    stub.answer("GET /v1/accounts", "[]")

    with pytest.raises(BoundaryError):
        await upbit.submit(an_intent(), identifier="uat-1", before_send=at_liberty)
    await asked(upbit)

    assert upbit.take_key_answers() == (
        KeyAnswer(endpoint="POST /v1/orders", refusal=name, is_of_key=False),
        KeyAnswer(endpoint="GET /v1/accounts"),
    )


async def test_an_operators_end_of_the_halt_ends_its_alert(pool: Pool, clock: FakeClock) -> None:
    state = PgTradingState(pool, notices=risk_notices)
    guard = KeyGuard(state=state, clock=clock, real_clock=clock, leads=lambda: True)
    no_right = KeyAnswer(endpoint="POST /v1/orders", refusal="out_of_scope", is_of_key=False)
    await guard.look([no_right, no_right])

    await state.release(actor="admin@127.0.0.1", at=clock.now(), reasons=["right_rejected"])

    assert await rows(pool, ALERTS) == [
        ("trading:reducing", "critical", False),
        ("trading:right", "critical", False),
    ]
