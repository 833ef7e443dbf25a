"""What goes wrong with the model becomes one of two errors, and the key never leaves with it."""

import asyncio
import gc
import json
import traceback
import warnings
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from google.genai import errors, models, types

from service.adapters import gemini_wire
from service.adapters.gemini import Gemini, open_gemini
from service.domain.errors import BoundaryError, ModelRefused, ModelUnavailable
from service.ports.model import Prompt
from tests.integration.adapters.conftest import GEMINI_KEY
from tests.integration.adapters.gemini_stub import GeminiStub, Scene, opinion, refused, said

PROMPT = Prompt(system="be careful", facts="market: KRW-BTC")
MODEL = "gemini-3.8-flash"
RETRY_34_S = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"}
RETRY_LATE = RETRY_34_S | {"retryDelay": "3600s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


def quota(quota_id: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": quota_id, "quotaValue": "10"}],
    }


PER_MINUTE = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
PER_DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")


async def ask(gemini: Gemini) -> object:
    return await gemini.ask(PROMPT, model=MODEL)


# --- which error ------------------------------------------------------------------------------


@pytest.mark.proves("FR-010")
@pytest.mark.parametrize(
    ("scene", "code", "wait_s"),
    [
        (refused(429, "RESOURCE_EXHAUSTED", PER_MINUTE, RETRY_34_S), "rate_limited", 34.074824224),
        (refused(429, "RESOURCE_EXHAUSTED", RETRY_LATE), "rate_limited", 3600.0),
        (refused(429, "RESOURCE_EXHAUSTED"), "rate_limited", None),
        (
            refused(429, "RESOURCE_EXHAUSTED", RETRY_34_S, headers={"Retry-After": "7"}),
            "rate_limited",
            7.0,
        ),
        (refused(500, "INTERNAL"), "internal", None),
        (refused(503, "UNAVAILABLE", RETRY_34_S), "unavailable", 34.074824224),
        (refused(504, "DEADLINE_EXCEEDED"), "deadline_exceeded", None),
        (refused(499, "CANCELLED"), "cancelled", None),
        (refused(408, "odd word"), "http_408", None),
        (Scene(status=502, body="<html>", content_type="text/html"), "http_502", None),
        (Scene(status=503, body='{"error":'), "bad_answer", None),
        (Scene(status=503, body="null"), "http_503", None),
        (Scene(status=200, body="<html>", content_type="text/html"), "bad_answer", None),
        (Scene(status=200, body='{"candidates":['), "bad_answer", None),
        (Scene(status=200, body=b'{"a":"\xff\xfe"}'), "bad_answer", None),
        (Scene(status=200, body="[" * 100_000), "bad_answer", None),
        (Scene(status=201, body=opinion().body), "http_201", None),
        (Scene(drop=True), "disconnected", None),
        (Scene(half=True, body=opinion().body), "disconnected", None),
    ],
)
async def test_an_outage_may_be_tried_again_when_the_service_says(
    gemini: Gemini, gemini_stub: GeminiStub, scene: Scene, code: str, wait_s: float | None
) -> None:
    gemini_stub.play(scene)

    with pytest.raises(ModelUnavailable) as caught:
        await ask(gemini)

    assert (caught.value.code, caught.value.retry_after_s) == (code, wait_s)
    assert len(gemini_stub.asked) == 1, "retrying is the runner's"


async def test_a_date_to_come_back_counts_from_the_servers_own(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    dates = {
        "Date": "Sun, 22 Nov 2026 20:55:01 GMT",
        "Retry-After": "Sun, 22 Nov 2026 20:55:10 GMT",
    }
    gemini_stub.play(refused(429, "RESOURCE_EXHAUSTED", headers=dates))

    with pytest.raises(ModelUnavailable) as caught:
        await ask(gemini)

    assert caught.value.retry_after_s == 9


@pytest.mark.parametrize(
    ("scene", "code"),
    [
        (refused(429, "RESOURCE_EXHAUSTED", PER_DAY, RETRY_34_S), "quota_exhausted"),
        (refused(400, "INVALID_ARGUMENT", BAD_KEY), "auth_rejected"),
        (refused(401, "UNAUTHENTICATED"), "auth_rejected"),
        (refused(403, "PERMISSION_DENIED"), "auth_rejected"),
        (refused(404, "NOT_FOUND"), "unknown_model"),
        (refused(400, "INVALID_ARGUMENT"), "invalid_argument"),
        (refused(400, "FAILED_PRECONDITION"), "failed_precondition"),
        (Scene(status=413, body="<html>", content_type="text/html"), "http_413"),
    ],
)
async def test_a_refusal_is_not_worth_another_try(
    gemini: Gemini, gemini_stub: GeminiStub, scene: Scene, code: str
) -> None:
    gemini_stub.play(scene)

    with pytest.raises(ModelRefused) as caught:
        await ask(gemini)

    assert caught.value.code == code
    assert len(gemini_stub.asked) == 1


@pytest.mark.parametrize("scene", [refused(404, "NOT_FOUND"), Scene(status=200, body="5")])
async def test_ping_fails_as_asking_does(
    gemini: Gemini, gemini_stub: GeminiStub, scene: Scene
) -> None:
    gemini_stub.play(scene)

    with pytest.raises(ModelRefused if scene.status == 404 else ModelUnavailable):
        await gemini.ping(MODEL)


@pytest.mark.parametrize("odd", [5, [], {}, True])
async def test_an_answer_that_breaks_the_sdk_from_inside_is_unusable(
    gemini: Gemini, gemini_stub: GeminiStub, odd: Any
) -> None:
    gemini_stub.play(said("{}", finish=odd))

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.proposal is None
    assert answer.why == "unparsed:AttributeError"


async def test_a_model_that_cannot_be_reached_is_unavailable(gemini_stub: GeminiStub) -> None:
    refusing = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = refusing.sockets[0].getsockname()[1]
    refusing.close()
    await refusing.wait_closed()

    async with open_gemini(api_key=GEMINI_KEY, base_url=f"http://127.0.0.1:{port}") as gemini:
        with pytest.raises(ModelUnavailable) as caught:
            await ask(gemini)

    assert caught.value.code == "unreachable"


async def test_a_model_that_says_nothing_times_out(gemini_stub: GeminiStub) -> None:
    gemini_stub.play(Scene(hold=True))

    async with open_gemini(
        api_key=GEMINI_KEY, base_url=gemini_stub.address, timeout_s=0.05
    ) as gemini:
        with pytest.raises(ModelUnavailable) as caught:
            await ask(gemini)

    assert caught.value.code == "timeout"


async def test_the_deadline_sent_is_never_shorter_than_the_service_takes(
    gemini_stub: GeminiStub,
) -> None:
    gemini_stub.play(opinion())

    async with open_gemini(api_key=GEMINI_KEY, base_url=gemini_stub.address, timeout_s=5) as gemini:
        await ask(gemini)

    assert gemini_stub.asked[0].headers["X-Server-Timeout"] == "10"


async def test_cancelling_a_question_stays_a_cancellation(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(Scene(hold=True))
    asking = asyncio.create_task(ask(gemini))
    await gemini_stub.arrived.wait()

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


# --- the SDK's habits (reference: google-genai 3.6.1) --------------------------------------------


async def test_canary_one_question_is_one_request_even_when_the_connection_breaks(
    gemini: Gemini, gemini_stub: GeminiStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    gemini_stub.play(Scene(drop=True))

    with pytest.raises(ModelUnavailable):
        await ask(gemini)

    assert len(gemini_stub.asked) == 1


async def test_canary_the_timeout_reaches_the_service_in_seconds(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(opinion())

    await ask(gemini)

    assert gemini_stub.asked[0].headers["X-Server-Timeout"] == "30"


async def test_canary_a_malformed_answer_is_parsed_as_none_not_raised(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(said("no JSON at all"))

    raw = await gemini._client.aio.models.generate_content(
        model=MODEL, contents="x", config=gemini_wire.config("x", model=MODEL)
    )

    assert raw.parsed is None


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_does_not_carry_prompt_and_key_away(
    gemini: Gemini, gemini_stub: GeminiStub, status: int
) -> None:
    elsewhere = {"Location": f"{gemini_stub.address}/elsewhere"}
    gemini_stub.play(Scene(status=status, headers=elsewhere), opinion())

    with pytest.raises(ModelRefused) as caught:
        await ask(gemini)

    assert caught.value.code == "redirected"
    assert len(gemini_stub.asked) == 1


async def test_a_continuation_is_not_asked_for_behind_our_back(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(said('{"reasoning":', finish="CONTINUATION"))

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.why == "finish:CONTINUATION"
    assert len(gemini_stub.asked) == 1


async def test_asking_writes_nothing_to_the_log(
    gemini: Gemini, gemini_stub: GeminiStub, caplog: pytest.LogCaptureFixture
) -> None:
    gemini_stub.play(opinion())

    with caplog.at_level("INFO"):
        await ask(gemini)

    assert [record.name for record in caplog.records if record.name.startswith("google")] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_GENAI_USE_VERTEXAI", "true"),
        ("GOOGLE_GENAI_USE_ENTERPRISE", "true"),
        ("GOOGLE_GENAI_CLIENT_MODE", "replay"),
        ("GOOGLE_GENAI_API_VERSION", "beta"),
        ("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9/elsewhere"),
        ("GOOGLE_API_KEY", "another-key"),
        ("GEMINI_API_KEY", "another-key"),
        ("GOOGLE_CLOUD_PROJECT", "another-project"),
        ("GOOGLE_API_USE_MTLS_ENDPOINT", "always"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
    ],
)
async def test_no_environment_variable_reroutes_the_client(
    gemini_stub: GeminiStub, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    gemini_stub.play(opinion())

    async with open_gemini(api_key=GEMINI_KEY, base_url=gemini_stub.address) as gemini:
        await ask(gemini)

    assert gemini_stub.asked[0].path == f"/v1/models/{MODEL}:generateContent"
    assert gemini_stub.asked[0].headers["x-goog-api-key"] == GEMINI_KEY


async def test_two_keys_in_the_environment_change_nothing(
    gemini_stub: GeminiStub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "canary-other")
    monkeypatch.setenv("GEMINI_API_KEY", "canary-third")
    gemini_stub.play(opinion())

    async with open_gemini(api_key=GEMINI_KEY, base_url=gemini_stub.address) as gemini:
        await ask(gemini)

    assert gemini_stub.asked[0].headers["x-goog-api-key"] == GEMINI_KEY
    assert "canary" not in caplog.text


async def test_the_api_version_is_an_argument(gemini_stub: GeminiStub) -> None:
    gemini_stub.play(opinion())

    async with open_gemini(
        api_key=GEMINI_KEY, base_url=gemini_stub.address, api_version="v1beta"
    ) as gemini:
        await ask(gemini)

    assert gemini_stub.asked[0].path.startswith("/v1beta/")


def test_the_private_names_that_warm_the_client_are_still_there() -> None:
    assert hasattr(types, "_GenerateContentParameters")
    assert hasattr(models, "_GenerateContentParameters_to_mldev")


@pytest.mark.proves("FR-005")
async def test_closing_leaves_nothing_open_and_warns_of_nothing(gemini_stub: GeminiStub) -> None:
    gemini_stub.play(opinion())
    async with open_gemini(api_key=GEMINI_KEY, base_url=gemini_stub.address) as gemini:
        await ask(gemini)
        session = session_of(gemini)
        was_closed = session.closed

    assert (was_closed, session.closed) == (False, True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del gemini, session
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.proves("FR-005")
async def test_every_half_of_the_sdks_client_is_closed(gemini_stub: GeminiStub) -> None:
    """FR-005: the session is ours; the SDK keeps a pool of connections for each of its halves."""
    gemini_stub.play(opinion())
    async with open_gemini(api_key=GEMINI_KEY, base_url=gemini_stub.address) as gemini:
        await ask(gemini)
        halves = halves_of(gemini)
        before = [half.is_closed for half in halves]

    assert (before, [half.is_closed for half in halves]) == ([False, False], [True, True])


async def test_the_session_is_closed_although_the_caller_fails(gemini_stub: GeminiStub) -> None:
    gemini_stub.play(opinion())

    sessions = []

    with suppress(RuntimeError):
        async with open_gemini(api_key=GEMINI_KEY, base_url=gemini_stub.address) as gemini:
            sessions.append(session_of(gemini))
            raise RuntimeError("mine")

    assert [session.closed for session in sessions] == [True]


# --- secrets ----------------------------------------------------------------------------------

ECHOES = [
    Scene(status=status, body=body, content_type=content_type)
    for status in (200, 201, 302, 400, 403, 404, 429, 500, 503)
    for body, content_type in (
        (json.dumps({"error": {"message": GEMINI_KEY, "status": GEMINI_KEY}}), "application/json"),
        (f"<html>{GEMINI_KEY}</html>", "text/html"),
        (f"{{{GEMINI_KEY}", "application/json"),
        (f"[{json.dumps(GEMINI_KEY)}]", "application/json"),
    )
    if status != 200 or not body.startswith(("[", '{"'))  # these are unusable answers, no errors
]


@pytest.mark.parametrize(
    "scene", [*ECHOES, Scene(drop=True), Scene(half=True, body=GEMINI_KEY * 99)]
)
async def test_no_error_carries_the_key_even_if_a_proxy_echoes_it(
    gemini: Gemini, gemini_stub: GeminiStub, scene: Scene
) -> None:
    gemini_stub.play(scene)

    with pytest.raises(BoundaryError) as caught:
        await ask(gemini)

    assert "canary" not in everything_about(caught.value)


async def test_the_cause_of_a_refusal_keeps_its_number_and_nothing_else(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(refused(403, "PERMISSION_DENIED"))

    with pytest.raises(ModelRefused) as caught:
        await ask(gemini)

    cause = caught.value.__cause__
    assert isinstance(cause, errors.APIError)
    assert (cause.code, str(cause)) == (403, "403")
    assert cause.response is None


async def test_the_adapter_does_not_show_its_key(gemini: Gemini) -> None:
    assert "canary" not in repr(gemini) + str(gemini)


def session_of(gemini: Gemini) -> aiohttp.ClientSession:
    session = gemini._client._api_client._http_options.aiohttp_client
    assert session is not None
    return session


def halves_of(gemini: Gemini) -> tuple[Any, Any]:
    inner = gemini._client._api_client
    return inner._httpx_client, inner._async_httpx_client


def everything_about(error: BaseException) -> str:
    """Return all that a log could print of `error` and of what caused it."""
    parts = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    cause = error.__cause__ or error.__context__
    return "\n".join(parts) + (everything_about(cause) if cause else "")
