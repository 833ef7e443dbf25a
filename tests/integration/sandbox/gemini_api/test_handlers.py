"""The model's stand-in answers the SDK that production uses, and a bare HTTP client."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from google import genai
from google.genai import errors, types

from service.sandbox.faults import Fault, ModelFault
from service.sandbox.server import Sandbox

PROMPT = "market: KRW-BTC\nposition_volume: 0\nchange_1h_pct: 1.50\n"
SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "reasoning": {"type": "STRING"},
        "action": {"type": "STRING", "enum": ["BUY", "SELL", "HOLD"]},
        "confidence": {"type": "NUMBER", "minimum": 0, "maximum": 1},
    },
    "property_ordering": ["reasoning", "action", "confidence"],
}


@pytest.fixture
async def gemini(sandbox: Sandbox) -> AsyncIterator[genai.client.AsyncClient]:
    async with aiohttp.ClientSession() as session:
        options = types.HttpOptions(base_url=sandbox.gemini_url, aiohttp_client=session)
        client = genai.Client(api_key=sandbox.gemini_key, http_options=options)
        yield client.aio


async def ask(gemini: genai.client.AsyncClient, **config: Any) -> types.GenerateContentResponse:
    usual = {"response_mime_type": "application/json", "response_schema": SCHEMA}
    return await gemini.models.generate_content(
        model="gemini-3.8-flash",
        contents=PROMPT,
        config=types.GenerateContentConfig(**usual | config),
    )


async def test_the_sdk_gets_an_answer_in_its_schema(gemini: genai.client.AsyncClient) -> None:
    answer = await ask(gemini)

    body = json.loads(answer.text or "")
    assert list(body) == ["reasoning", "action", "confidence"]
    assert (body["action"], body["confidence"]) == ("BUY", 0.76)
    assert answer.model_version == "gemini-3.8-flash"
    usage = answer.usage_metadata
    assert usage is not None
    parts = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    assert sum(part or 0 for part in parts) == usage.total_token_count


async def test_the_model_and_its_tokens_can_be_asked_for(gemini: genai.client.AsyncClient) -> None:
    model = await gemini.models.get(model="gemini-3.8-flash")
    counted = await gemini.models.count_tokens(model="gemini-3.8-flash", contents="x" * 400)
    listed = [model.name async for model in await gemini.models.list(config={"page_size": 4})]

    assert (model.name, model.input_token_limit) == ("models/gemini-3.8-flash", 1_048_576)
    assert counted.total_tokens == 100
    assert len(listed) == len(set(listed)) == 9


async def test_an_unknown_model_is_not_found(gemini: genai.client.AsyncClient) -> None:
    with pytest.raises(errors.ClientError) as refused:
        await gemini.models.get(model="gemini-99")

    assert refused.value.code == 404


@pytest.mark.parametrize(
    "odd",
    [
        b"[]",
        b"{",
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":5}',
        b'{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"thinkingConfig":5}}',
        b'{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":"x"}}',
        b'{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"responseSchema":"x"}}',
        (
            b'{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"responseSchema":'
            b'{"propertyOrdering":[[]]}}}'
        ),
    ],
)
async def test_an_odd_request_is_a_400_and_no_crash(
    sandbox: Sandbox, session: aiohttp.ClientSession, odd: bytes
) -> None:
    url = f"{sandbox.gemini_url}/v1/models/gemini-3.8-flash:generateContent"

    async with session.post(url, data=odd, headers={"x-goog-api-key": "k"}) as response:
        error = (await response.json())["error"]

    assert (response.status, error["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("headers", "change", "status"),
    [
        ({}, {}, 403),
        ({"x-goog-api-key": "k"}, {"contents": []}, 400),
        (
            {"x-goog-api-key": "k"},
            {"generationConfig": {"responseSchema": SCHEMA}},
            400,
        ),
        (
            {"x-goog-api-key": "k"},
            {"generation_config": {"thinking_config": {"thinking_budget": 0}}},
            400,
        ),
        ({"x-goog-api-key": "k"}, {}, 200),
    ],
)
async def test_a_request_is_checked_as_the_real_one_would(
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    headers: dict[str, str],
    change: dict[str, Any],
    status: int,
) -> None:
    body = {"contents": [{"parts": [{"text": PROMPT}]}]} | change
    url = f"{sandbox.gemini_url}/v1beta/models/gemini-3.8-flash:generateContent"

    async with session.post(url, json=body, headers=headers) as response:
        assert response.status == status


Ask = Callable[[ModelFault], Awaitable[types.GenerateContentResponse]]


@pytest.fixture
def with_fault(sandbox: Sandbox, gemini: genai.client.AsyncClient) -> Ask:
    async def asked(kind: ModelFault) -> types.GenerateContentResponse:
        sandbox.faults.clear()
        sandbox.faults.add(Fault(path="*/models/*", model=kind, times=1))
        return await ask(gemini)

    return asked


async def test_a_blocked_prompt_has_no_candidate_and_a_cut_answer_is_paid(with_fault: Ask) -> None:
    blocked, cut = await with_fault("blocked"), await with_fault("cut")

    assert blocked.candidates is None
    assert blocked.prompt_feedback is not None
    assert blocked.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT
    assert (cut.candidates or [])[0].finish_reason is types.FinishReason.MAX_TOKENS
    assert cut.usage_metadata is not None
    assert cut.usage_metadata.candidates_token_count
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(cut.text or "")


async def test_a_thought_is_no_part_of_the_text_and_fences_are(with_fault: Ask) -> None:
    thought, fences = await with_fault("thought"), await with_fault("fences")

    parts = ((thought.candidates or [])[0].content or types.Content()).parts or []
    assert [bool(part.thought) for part in parts] == [True, False]
    assert json.loads(thought.text or "")["action"] == "BUY"
    assert (fences.text or "").startswith("```json\n{")
    assert fences.parsed is None


async def test_a_used_up_day_and_a_new_finish_reason_look_as_they_do(with_fault: Ask) -> None:
    with pytest.raises(errors.ClientError) as used_up:
        await with_fault("quota")
    with pytest.warns(UserWarning, match="is not a valid FinishReason"):
        await with_fault("new_finish")

    [quota, retry] = used_up.value.details["error"]["details"]
    assert "PerDay" in quota["violations"][0]["quotaId"]
    assert retry["retryDelay"] == "34.074824224s"


async def test_each_fault_of_the_model_looks_as_the_sdk_reports_it(with_fault: Ask) -> None:
    with pytest.raises(errors.ClientError) as limited:
        await with_fault("rate_limited")
    empty, safety, cut = [
        await with_fault("empty"),
        await with_fault("safety"),
        await with_fault("max_tokens"),
    ]
    prose, nonsense = await with_fault("prose"), await with_fault("nonsense")

    details = limited.value.details["error"]["details"]
    assert limited.value.code == 429
    assert any(item.get("retryDelay") == "7.5s" for item in details)
    assert empty.candidates is None
    reasons = [(a.candidates or [types.Candidate()])[0].finish_reason for a in (safety, cut)]
    assert reasons == [types.FinishReason.SAFETY, types.FinishReason.MAX_TOKENS]
    assert (safety.text, cut.text) == (None, None)
    assert prose.text
    assert not prose.text.startswith("{")
    assert json.loads(nonsense.text or "")["confidence"] == 7.2


async def test_a_day_s_quota_is_told_from_a_minute_s(
    sandbox: Sandbox, gemini: genai.client.AsyncClient
) -> None:
    sandbox.faults.add(Fault(path="*/models/*", model="quota"))

    with pytest.raises(errors.ClientError) as refused:
        await ask(gemini)

    details = refused.value.details["error"]["details"]
    assert "PerDay" in details[0]["violations"][0]["quotaId"]


async def test_answers_that_keep_the_schema_may_still_be_bad(
    sandbox: Sandbox, gemini: genai.client.AsyncClient
) -> None:
    async def with_fault(kind: Any) -> types.GenerateContentResponse:
        sandbox.faults.clear()
        sandbox.faults.add(Fault(path="*/models/*", model=kind, times=1))
        return await ask(gemini)

    reckless, hostile, huge, unpaid, renamed = [
        await with_fault(kind) for kind in ("reckless", "hostile", "huge", "no_usage", "renamed")
    ]

    assert json.loads(reckless.text or "")["confidence"] == 1
    assert "<script>" in json.loads(hostile.text or "")["reasoning"]
    assert len(huge.text or "") > 900_000
    assert unpaid.usage_metadata is None
    assert renamed.model_version not in {None, "gemini-3.8-flash"}
