"""What goes wrong with a call becomes the error its caller must act on, and carries no secret."""

import asyncio
import json
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from service.adapters.upbit.client import LONGEST_BODY
from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import (
    BoundaryError,
    ExchangeRefused,
    ExchangeUnavailable,
    OutcomeUnknown,
)
from service.domain.orders import ExchangeOrder
from tests.builders import an_intent, at_liberty
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.integration.adapters import recorded
from tests.integration.adapters.upbit_stub import (
    ACCESS_KEY,
    SECRET_KEY,
    Recorded,
    UpbitStub,
)

Answers = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def error_body(name: str | int) -> str:
    return json.dumps({"error": {"name": name, "message": "까닭 canary-message"}})


#: every name that Upbit's documents and clients know for a refusal, and an unknown one
NAMES = {
    400: (
        "create_ask_error",
        "create_bid_error",
        "insufficient_funds_bid",
        "insufficient_funds_ask",
        "under_min_total_bid",
        "under_min_total_ask",
        "over_krw_funds_bid",
        "over_max_total_market_ask",
        "invalid_price_bid",
        "invalid_price_ask",
        "invalid_parameter",
        "validation_error",
        "invalid_time_in_force",
        "invalid_post_only",
        "notfoundmarket",
        "invalid_volume_bid",
        "invalid_volume_ask",
        "invalid_funds",
        "volume_too_large",
        "order_disabled_member",
        "thirdparty_agreement_required",
        "an_error_of_next_year",
    ),
    401: (
        "invalid_query_payload",
        "jwt_verification",
        "expired_access_key",
        "no_authorization_ip",
        "no_authorization_i_p",
        "no_authorization_token",
        "invalid_access_key",
        "out_of_scope",
    ),
    403: (
        "out_of_scope",
        "market_offline",
        "open_api_withdraw_locked",
    ),
    404: (
        "order_not_found",
        "pocket_not_found",
        "currency_not_found",
    ),
}
REFUSALS = [(status, name) for status, names in NAMES.items() for name in names]


async def submit(upbit: UpbitRest) -> ExchangeOrder:
    return await upbit.submit(an_intent(), identifier="uat-1", before_send=at_liberty)


# --- answers that say no ----------------------------------------------------------------------


@pytest.mark.parametrize(("status", "name"), REFUSALS)
async def test_a_named_refusal_of_an_order_is_certain(
    upbit: UpbitRest, stub: UpbitStub, status: int, name: str
) -> None:
    stub.answer("POST /v1/orders", error_body(name), status=status)

    with pytest.raises(ExchangeRefused) as caught:
        await submit(upbit)

    assert caught.value.code == name
    assert name in str(caught.value)
    assert "canary-message" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error_body("duplicated_identifier")),
        (401, error_body("nonce_used")),
        (400, "<html>bad gateway of a proxy</html>"),
        (403, "{}"),
        (404, error_body(404)),
        (302, ""),
        (405, error_body("odd")),
        (408, error_body("timeout")),
        (409, error_body("conflict")),
        (500, error_body("server_error")),
        (502, "<html>"),
        (503, ""),
        (201, ""),
        (201, "<html>"),
        (201, recorded.BID_PLACED[:-30]),
        (201, '{"uuid": 5}'),
        (201, '{"uuid": 1e99999999999999999999}'),
        (201, recorded.BID_PLACED.replace("2026-01-24T18", "0001-01-01T00")),
        (201, recorded.BID_PLACED.replace('"executed_volume":"0"', '"executed_volume":null')),
        (201, "null"),
        (201, "[" + recorded.BID_PLACED + "]"),
        (201, recorded.BID_PLACED.replace("KRW-BTC", "KRW-ETH")),
        (201, recorded.BID_PLACED.replace("uat-1", "uat-2")),
        (204, ""),
    ],
)
async def test_any_other_answer_to_an_order_leaves_its_outcome_unknown(
    upbit: UpbitRest, stub: UpbitStub, status: int, body: str
) -> None:
    stub.answer("POST /v1/orders", body, status=status)

    with pytest.raises(OutcomeUnknown):
        await submit(upbit)

    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        *((status, error_body(name), name) for status, name in REFUSALS),
        (404, error_body(404), "http_404"),
        (400, "<html>", "http_400"),
    ],
)
async def test_a_refused_read_is_refused(
    upbit: UpbitRest, stub: UpbitStub, status: int, body: str, code: str
) -> None:
    stub.answer("GET /v1/accounts", body, status=status)

    with pytest.raises(ExchangeRefused) as caught:
        await upbit.balances()

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, error_body("server_error")),
        (503, ""),
        (408, ""),
        (302, ""),
        (401, error_body("nonce_used")),
        (200, ""),
        (200, "{}"),
        (200, "<html>maintenance</html>"),
        (200, '[{"balance":"canary-balance","locked":"0"}]'),
    ],
)
async def test_a_read_that_went_wrong_may_be_tried_again(
    upbit: UpbitRest, stub: UpbitStub, status: int, body: str
) -> None:
    stub.answer("GET /v1/accounts", body, status=status)

    with pytest.raises(ExchangeUnavailable) as caught:
        await upbit.balances()

    assert "canary" not in everything_about(caught.value)


@pytest.mark.parametrize(
    ("status", "name", "of_account"),
    [
        *((status, name, status in {401, 403}) for status, name in REFUSALS),
        (401, None, True),
        (403, None, True),
        (404, None, False),
    ],
)
async def test_a_refusal_of_key_address_or_rights_is_told_from_one_of_the_question(
    upbit: UpbitRest, stub: UpbitStub, status: int, name: str | None, of_account: bool
) -> None:
    """Else a key that has expired would put every open order aside, one by one."""
    stub.answer("GET /v1/accounts", error_body(name) if name else "", status=status)
    stub.answer("POST /v1/orders", error_body(name or "a_name"), status=status)

    told = []
    for call in (upbit.balances(), submit(upbit)):
        with pytest.raises(ExchangeRefused) as caught:
            await call
        told.append(caught.value.of_account)

    assert told == [of_account] * 2


async def test_a_balance_that_cannot_be_read_may_be_asked_for_again_and_hides_no_other(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    rows = [
        {"currency": "KRW", "balance": "canary-balance", "locked": "0"},
        {"currency": "BTC", "balance": "1", "locked": "0"},
    ]
    stub.answer("GET /v1/accounts", json.dumps(rows))

    with Logs.captured() as logs:
        balances = await upbit.balances()
        with pytest.raises(ExchangeUnavailable) as caught:
            balances.get("KRW")
        raw, lines = logs.raw, logs.lines

    assert balances["BTC"].total == 1
    assert "canary" not in everything_about(caught.value)
    assert b"canary" not in raw
    assert [(line["level"], line["currency"]) for line in lines] == [("WARNING", "KRW")]


async def test_an_unknown_order_differs_from_a_refused_question(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("GET /v1/order", error_body("order_not_found"), status=404)
    stub.answer("GET /v1/order", error_body("invalid_parameter"), status=400)

    unknown = await upbit.find("uat-1")
    with pytest.raises(ExchangeRefused):
        await upbit.find("uat-1")

    assert unknown is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "<html>no such page</html>"),
        (404, error_body(404)),
        (400, ""),
        (403, "{}"),
        (410, "gone"),
    ],
)
async def test_a_refused_look_up_without_upbits_error_name_may_be_a_proxys(
    upbit: UpbitRest, stub: UpbitStub, status: int, body: str
) -> None:
    """Regression: a proxy's 404 for a minute counted against every order, and put them aside."""
    stub.answer("GET /v1/order", body, status=status)

    with pytest.raises(ExchangeUnavailable) as caught:
        await upbit.find("uat-1")

    assert caught.value.code == f"http_{status}"


@pytest.mark.parametrize("status", [307, 302])
async def test_a_signed_order_does_not_follow_a_redirect(
    upbit: UpbitRest, stub: UpbitStub, status: int
) -> None:
    elsewhere = {"Location": f"{stub.address}/elsewhere"}
    stub.answer("POST /v1/orders", "", status=status, headers=elsewhere)

    with pytest.raises(OutcomeUnknown):
        await submit(upbit)

    assert [seen.path for seen in stub.seen] == ["/v1/orders"]


async def test_an_endless_body_is_cut_off(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer("GET /v1/accounts", b" " * (LONGEST_BODY + 1))

    with pytest.raises(ExchangeUnavailable, match="longer than"):
        await upbit.balances()


# --- too fast ---------------------------------------------------------------------------------


@pytest.mark.proves("S4.1")
@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        (Recorded(status=429, body="Too many API requests."), 1.0),
        (Recorded(status=429, body=error_body("too_many_requests")), 1.0),
        (Recorded(status=429, headers={"Retry-After": "7"}), 7.0),
        (Recorded(status=429, headers={"Retry-After": "3600"}), 3600.0),
    ],
)
@pytest.mark.parametrize("writing", [True, False])
async def test_too_many_requests_says_when_to_come_back_and_leaves_an_order_to_look_up(
    upbit: UpbitRest, stub: UpbitStub, asked: Recorded, wait_s: float, *, writing: bool
) -> None:
    stub.record("POST /v1/orders", asked)
    stub.record("GET /v1/accounts", asked)

    with pytest.raises(OutcomeUnknown if writing else ExchangeUnavailable) as caught:
        await (submit(upbit) if writing else upbit.balances())

    assert caught.value.code == "too_many_requests"
    assert caught.value.retry_after_s == wait_s
    assert len(stub.seen) == 1


async def test_after_too_many_requests_the_group_rests_for_a_second(
    upbit: UpbitRest, stub: UpbitStub, limits_clock: FakeClock
) -> None:
    stub.answer("GET /v1/accounts", "Too many API requests.", status=429)
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS)
    with pytest.raises(ExchangeUnavailable):
        await upbit.balances()

    await upbit.balances()

    assert limits_clock.waits == [1.0]


async def test_while_blocked_nothing_is_sent_until_the_block_ends(
    upbit: UpbitRest, stub: UpbitStub, limits_clock: FakeClock
) -> None:
    blocked = '{"error":{"name":418,"message":"90초 동안 차단되었습니다."}}'
    stub.answer("GET /v1/accounts", blocked, status=418)
    stub.answer("GET /v1/accounts", recorded.ACCOUNTS)
    with pytest.raises(ExchangeUnavailable) as caught:
        await upbit.balances()
    assert (caught.value.code, caught.value.retry_after_s) == ("banned", 90)

    for call in (upbit.balances, lambda: submit(upbit), lambda: upbit.cancel("uat-1")):
        with pytest.raises(ExchangeUnavailable, match="blocked"):
            await call()
    assert len(stub.seen) == 1

    limits_clock.pass_time(90)
    assert await upbit.balances()


async def test_an_order_that_met_the_block_is_not_called_refused(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer("POST /v1/orders", "I'm a teapot", status=418)

    with pytest.raises(OutcomeUnknown) as caught:
        await submit(upbit)

    assert caught.value.code == "banned"


async def test_a_block_is_kept_although_its_text_is_lost(
    session: aiohttp.ClientSession, limits_clock: FakeClock
) -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 418 teapot\r\nContent-Length: 500\r\n\r\nblocked")

    async with raw_server(cut) as address:
        upbit = adapter(session, address, clock=limits_clock)
        with pytest.raises(ExchangeUnavailable) as caught:
            await upbit.balances()

    assert caught.value.code == "banned"
    with pytest.raises(ExchangeUnavailable, match="nothing is sent"):
        await upbit.balances()


# --- silence ----------------------------------------------------------------------------------


async def test_an_order_that_could_not_leave_has_certainly_not_happened(
    session: aiohttp.ClientSession,
) -> None:
    async with raw_server(_close) as address:
        pass  # closed again: the port refuses now

    with pytest.raises(ExchangeUnavailable) as caught:
        await submit(adapter(session, address))

    assert caught.value.code == "unreachable"


async def test_an_order_whose_host_has_no_address_has_certainly_not_happened() -> None:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=_NoSuchHost())
    ) as session:
        with pytest.raises(ExchangeUnavailable) as caught:
            await submit(adapter(session, "http://nowhere.invalid"))

    assert caught.value.code == "unreachable"
    assert isinstance(caught.value.__cause__, aiohttp.ClientConnectorDNSError)


async def test_an_order_that_failed_in_the_tls_handshake_has_certainly_not_happened(
    session: aiohttp.ClientSession,
) -> None:
    async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 no tls here\r\n\r\n")

    async with raw_server(no_tls) as address:
        upbit = adapter(session, address.replace("http:", "https:"))
        with pytest.raises(ExchangeUnavailable) as caught:
            await submit(upbit)

    assert isinstance(caught.value.__cause__, ssl.SSLError | aiohttp.ClientConnectorError)


@pytest.mark.parametrize(
    "short",
    [aiohttp.ClientTimeout(total=30, connect=0.01), aiohttp.ClientTimeout(total=0.05)],
    ids=["the time to connect", "the time of the whole call"],
)
async def test_an_order_that_waited_in_vain_for_a_connection_has_certainly_not_happened(
    stub: UpbitStub, monkeypatch: pytest.MonkeyPatch, short: aiohttp.ClientTimeout
) -> None:
    monkeypatch.setattr("service.adapters.upbit.client.ORDER_TIMEOUT", short)
    held, release = asyncio.Event(), asyncio.Event()

    async def hold(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        held.set()
        await release.wait()

    async with (
        raw_server(hold) as address,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
    ):
        upbit = adapter(session, address)
        holding = asyncio.create_task(upbit.balances())
        await held.wait()
        with pytest.raises(ExchangeUnavailable) as caught:
            await submit(upbit)
        release.set()
        with pytest.raises(ExchangeUnavailable):
            await holding

    assert caught.value.code == "unreachable"


async def test_an_order_whose_connection_drops_has_an_unknown_outcome(
    session: aiohttp.ClientSession,
) -> None:
    async with raw_server(_close) as address:
        with pytest.raises(OutcomeUnknown) as caught:
            await submit(adapter(session, address))

    assert caught.value.code == "disconnected"


async def test_an_order_whose_answer_breaks_off_has_an_unknown_outcome(
    session: aiohttp.ClientSession,
) -> None:
    async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"uuid":')

    async with raw_server(half) as address:
        with pytest.raises(OutcomeUnknown):
            await submit(adapter(session, address))


async def test_an_order_answered_with_rubbish_has_an_unknown_outcome(
    session: aiohttp.ClientSession,
) -> None:
    async def rubbish(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"canary-balance 5000 KRW\r\n\r\n")

    async with raw_server(rubbish) as address:
        with pytest.raises(OutcomeUnknown) as caught:
            await submit(adapter(session, address))

    assert "canary" not in everything_about(caught.value)
    # aiohttp's own error holds our request: its repr would print the token.
    assert isinstance(caught.value.__cause__, aiohttp.ClientResponseError)
    assert "Bearer" not in everything_about(caught.value)


@pytest.mark.parametrize(
    ("writing", "expected"), [(True, OutcomeUnknown), (False, ExchangeUnavailable)]
)
async def test_a_call_ends_when_its_time_is_up(
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    writing: bool,
    expected: type[BoundaryError],
) -> None:
    short = aiohttp.ClientTimeout(total=0.05)
    monkeypatch.setattr("service.adapters.upbit.client.ORDER_TIMEOUT", short)
    monkeypatch.setattr("service.adapters.upbit.client.READ_TIMEOUT", short)

    async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_server(silence) as address:
        upbit = adapter(session, address)
        with pytest.raises(expected) as caught:
            await (submit(upbit) if writing else upbit.balances())

    assert caught.value.code == "timeout"


async def test_cancelling_an_order_in_flight_stays_a_cancellation(
    session: aiohttp.ClientSession,
) -> None:
    arrived = asyncio.Event()

    async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with raw_server(silence) as address:
        sending = asyncio.create_task(submit(adapter(session, address)))
        await arrived.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


async def test_an_order_on_a_reused_connection_that_drops_is_sent_exactly_once(
    session: aiohttp.ClientSession,
) -> None:
    lines, answer_then_drop = _answer_once_then_drop(recorded.ACCOUNTS)

    async with raw_server(answer_then_drop) as address:
        upbit = adapter(session, address)
        await upbit.balances()
        with pytest.raises(OutcomeUnknown):
            await submit(upbit)

    assert lines == ["GET /v1/accounts", "POST /v1/orders"]


async def test_aiohttp_repeats_a_cancellation_on_a_dropped_connection_which_is_harmless(
    session: aiohttp.ClientSession,
) -> None:
    lines, answer_then_drop = _answer_once_then_drop(recorded.ACCOUNTS)

    async with raw_server(answer_then_drop) as address:
        upbit = adapter(session, address)
        await upbit.balances()
        await upbit.cancel("uat-1")

    # By identifier, so that the second is the same wish again.
    assert lines == ["GET /v1/accounts", *["DELETE /v1/order?identifier=uat-1"] * 2]


@pytest.mark.parametrize(
    ("call", "expected"),
    [("cancel", OutcomeUnknown), ("find", ExchangeUnavailable)],
)
async def test_a_request_whose_repetition_a_ban_forbids_may_have_arrived_the_first_time(
    session: aiohttp.ClientSession,
    call: Literal["cancel", "find"],
    expected: type[BoundaryError],
) -> None:
    """The ban begins between the first copy and the one that aiohttp would send after it."""
    lines: list[str] = []

    async def drop_and_ban(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await reader.readuntil(b"\r\n\r\n")).decode().split("?")[0])
        raw = recorded.ACCOUNTS.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        lines.append((await reader.readuntil(b"\r\n\r\n")).decode().split("?")[0])
        upbit._client._limiter.ban(90)

    async with raw_server(drop_and_ban) as address:
        upbit = adapter(session, address)
        await upbit.balances()
        with pytest.raises(expected) as caught:
            await (upbit.cancel("uat-1") if call == "cancel" else upbit.find("uat-1"))

    assert [line.partition(" ")[0] for line in lines] == [
        "GET",
        "DELETE" if call == "cancel" else "GET",
    ]
    assert caught.value.sent
    assert caught.value.code == "disconnected"


async def test_aiohttp_repeats_a_question_on_a_dropped_connection_which_is_harmless(
    session: aiohttp.ClientSession,
) -> None:
    lines, answer_then_drop = _answer_once_then_drop(recorded.ACCOUNTS)

    async with raw_server(answer_then_drop) as address:
        upbit = adapter(session, address)
        await upbit.balances()
        balances = await upbit.balances()

    assert "KRW" in balances
    assert lines == ["GET /v1/accounts"] * 3


@pytest.mark.parametrize(
    ("route", "expected"),
    [("GET /v1/order", ExchangeUnavailable), ("DELETE /v1/order", OutcomeUnknown)],
)
async def test_a_repeated_request_that_is_turned_away_as_repeated_is_not_called_refused(
    upbit: UpbitRest, stub: UpbitStub, route: str, expected: type[BoundaryError]
) -> None:
    # The copy that aiohttp sends has the nonce of the first, which may well have worked.
    stub.answer(route, error_body("nonce_used"), status=401)

    with pytest.raises(expected):
        await (upbit.find("uat-1") if route.startswith("GET") else upbit.cancel("uat-1"))


# --- secrets ----------------------------------------------------------------------------------


async def test_the_adapter_does_not_show_its_keys(upbit: UpbitRest) -> None:
    assert "canary" not in repr(upbit)
    assert "canary" not in str(upbit)
    assert "canary" not in repr(upbit._client)


@pytest.mark.proves("FR-010")
async def test_a_429_stops_its_group_for_every_caller_and_no_other_group(
    upbit: UpbitRest, stub: UpbitStub, limits_clock: FakeClock
) -> None:
    """FR-010: the limit group of Upbit that asked for a wait is left alone until it is over."""
    stub.answer("GET /v1/accounts", "Too many", status=429, headers={"Retry-After": "30"})
    with pytest.raises(ExchangeUnavailable):
        await upbit.balances()
    limits_clock.pass_time(10)

    with pytest.raises(ExchangeUnavailable) as same_group:
        await upbit.find("uat-1")
    stub.answer("GET /v1/market/all", "[]")
    await upbit.markets()

    assert (same_group.value.sent, same_group.value.retry_after_s) == (False, 20)
    assert [seen.path for seen in stub.seen] == ["/v1/accounts", "/v1/market/all"]


@pytest.mark.proves("FR-010")
async def test_a_wait_asked_of_an_order_is_known_before_the_next_order(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    """FR-010: and looking orders up, which has a limit of its own, goes on."""
    upbit.check_orders()
    stub.answer("POST /v1/orders", "Too many", status=429, headers={"Retry-After": "30"})
    stub.answer("GET /v1/order", error_body("order_not_found"), status=404)
    with pytest.raises(OutcomeUnknown):
        await upbit.submit(an_intent(), identifier="uat-1", before_send=at_liberty)

    with pytest.raises(ExchangeUnavailable) as held:
        upbit.check_orders()

    assert (held.value.sent, held.value.retry_after_s) == (False, 30)
    assert await upbit.find("uat-1") is None


@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 404, 408, 418, 429, 500])
@pytest.mark.parametrize(
    "body", [f"{ACCESS_KEY} {SECRET_KEY}", error_body(f"{ACCESS_KEY} {SECRET_KEY}"), "{}"]
)
async def test_no_error_repeats_what_a_proxy_echoes(
    upbit: UpbitRest, stub: UpbitStub, status: int, body: str
) -> None:
    stub.answer("POST /v1/orders", body, status=status, headers={"X-Echo": ACCESS_KEY})

    with pytest.raises(BoundaryError) as caught:
        await submit(upbit)

    assert "canary" not in everything_about(caught.value)
    assert "Bearer" not in everything_about(caught.value)


async def test_a_session_that_raises_for_status_changes_nothing(stub: UpbitStub) -> None:
    stub.answer("POST /v1/orders", error_body("insufficient_funds_bid"), status=400)

    async with aiohttp.ClientSession(raise_for_status=True) as session:
        with pytest.raises(ExchangeRefused) as caught:
            await submit(adapter(session, stub.address))

    assert caught.value.code == "insufficient_funds_bid"


# --- means ------------------------------------------------------------------------------------


def everything_about(error: BaseException) -> str:
    """Return all that a log could print of `error` and of what caused it."""
    parts = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    cause = error.__cause__ or error.__context__
    return "\n".join(parts) + (everything_about(cause) if cause else "")


def adapter(
    session: aiohttp.ClientSession, address: str, *, clock: FakeClock | None = None
) -> UpbitRest:
    return UpbitRest(
        session,
        quotation_url=address,
        exchange_url=address,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        real_clock=clock or FakeClock(),
    )


class _NoSuchHost(AbstractResolver):
    async def resolve(self, *_: Any, **__: Any) -> list[ResolveResult]:
        raise OSError("no such host")

    async def close(self) -> None:
        pass


@asynccontextmanager
async def raw_server(answers: Answers) -> AsyncIterator[str]:
    """Serve `answers` on loopback: it is called when a request's head has arrived."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await answers(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


def _answer_once_then_drop(body: str) -> tuple[list[str], Answers]:
    """Return the request lines seen, and answers: the first on each connection but the first
    connection's later ones are dropped.
    """
    lines: list[str] = []
    connections = 0

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines.append(head.split(" HTTP/")[0])
            if lines[1:] and connections == 1:
                return
            raw = body.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
            if connections > 1:
                return

    return lines, answers
