"""What the model says becomes a proposal or a reason why not; how it is asked stays fixed."""

import json
from decimal import Decimal
from typing import Any

import pytest

from service.adapters.gemini import Gemini
from service.domain.signals import Action, Proposal, Usage
from service.ports.model import Prompt
from tests.integration.adapters.gemini_stub import (
    OPINION,
    USAGE,
    GeminiStub,
    Scene,
    opinion,
    said,
)

PROMPT = Prompt(system="be careful", facts="market: KRW-BTC")
MODEL = "gemini-3.8-flash"
PAID = Usage(input_tokens=1200, output_tokens=85, thinking_tokens=300, cached_tokens=1024)
NOTHING_SAID = Usage()
FENCED = f"```json\n{json.dumps(OPINION)}\n```"


async def test_a_good_answer_is_a_proposal_with_its_usage(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(opinion())

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.proposal == Proposal(
        action=Action.BUY, confidence=Decimal("0.7200"), reasoning="prices rise"
    )
    assert (answer.why, answer.model, answer.usage) == (None, "gemini-3.8-flash", PAID)


@pytest.mark.proves("FR-006")
async def test_the_most_tokens_of_a_call_are_its_bytes_and_what_the_request_allows(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    """A token is at least a byte; thoughts count against the limit of the answer."""
    gemini_stub.play(opinion())
    prompt = Prompt(system="조심하세요", facts="market: KRW-BTC")

    most = gemini.most_tokens(prompt)
    await gemini.ask(prompt, model=MODEL)

    config = gemini_stub.asked[0].body["generationConfig"]
    assert most.output_tokens == config["maxOutputTokens"]
    assert most.input_tokens is not None
    texts = prompt.system + prompt.facts + json.dumps(config)
    assert most.input_tokens >= len(texts.encode())
    assert most.cached_tokens is None


async def test_the_request_is_what_the_service_documents(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(opinion())

    await gemini.ask(PROMPT, model=MODEL)

    asked = gemini_stub.asked[0]
    assert (asked.method, asked.path) == ("POST", f"/v1/models/{MODEL}:generateContent")
    assert asked.headers["x-goog-api-key"] == "canary-gemini-key"
    assert asked.headers["X-Server-Timeout"] == "30"
    assert asked.body["contents"] == [{"parts": [{"text": "market: KRW-BTC"}], "role": "user"}]
    assert asked.body["systemInstruction"]["parts"] == [{"text": "be careful"}]
    assert asked.body.keys() == {"contents", "systemInstruction", "generationConfig"}
    generation = asked.body["generationConfig"]
    assert generation.keys() == {
        "maxOutputTokens",
        "responseMimeType",
        "responseSchema",
        "thinkingConfig",
    }
    assert generation["maxOutputTokens"] == 4096
    assert generation["responseMimeType"] == "application/json"


async def test_the_model_is_made_to_give_reasons_before_it_decides(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(opinion())

    await gemini.ask(PROMPT, model=MODEL)

    schema = gemini_stub.asked[0].body["generationConfig"]["responseSchema"]
    order = ["reasoning", "action", "confidence"]
    assert schema["property_ordering"] == order
    assert list(schema["properties"]) == order
    assert sorted(schema["required"]) == sorted(order)
    assert schema["properties"]["action"]["enum"] == ["BUY", "SELL", "HOLD"]


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("gemini-3.8-flash", {"thinking_level": "LOW"}),
        ("gemini-4-argon", {"thinking_level": "LOW"}),
        ("gemini-3.5-flash-lite", {"thinking_level": "LOW"}),
        ("models/gemini-3.1-pro-preview", {"thinking_level": "LOW"}),
        ("gemini-2.5-flash", {"thinking_budget": 1024}),
        ("gemini-2.0-flash", None),
        ("gemini-flash-latest", None),
        ("some-other-model", None),
    ],
)
async def test_each_family_is_told_to_think_little_in_its_own_way(
    gemini: Gemini, gemini_stub: GeminiStub, model: str, thinking: object
) -> None:
    gemini_stub.play(opinion())

    await gemini.ask(PROMPT, model=model)

    assert gemini_stub.asked[0].body["generationConfig"].get("thinkingConfig") == thinking


@pytest.mark.parametrize(
    ("scene", "why", "usage"),
    [
        (said("Buy now, for prices rise."), "unparsed", PAID),
        (said(FENCED), "unparsed", PAID),
        (said(""), "unparsed", PAID),
        (said("null"), "unparsed", PAID),
        (said("[]"), "unparsed", PAID),
        (said('{"action":"BUY"}'), "unparsed", PAID),
        (opinion(confidence=7.2), "unparsed", PAID),
        (opinion(confidence=-0.1), "unparsed", PAID),
        (opinion(confidence="0.7"), "unparsed", PAID),
        (opinion(confidence=True), "unparsed", PAID),
        (opinion(confidence=None), "unparsed", PAID),
        (opinion(confidence=float("nan")), "unparsed", PAID),
        (opinion(confidence=float("inf")), "unparsed", PAID),
        (opinion(action="buy"), "unparsed", PAID),
        (opinion(action="SHORT"), "unparsed", PAID),
        (opinion(reasoning=5), "unparsed", PAID),
        (opinion(reasoning="half \ud800 a pair"), "unparsed", PAID),
        (opinion(reasoning="  \n "), "no_reasoning", PAID),
        (said(json.dumps(OPINION)[:30]), "unparsed", PAID),
        (said(json.dumps(OPINION)[:30], finish="MAX_TOKENS"), "finish:MAX_TOKENS", PAID),
        (said(json.dumps(OPINION), finish="MAX_TOKENS"), "finish:MAX_TOKENS", PAID),
        (said(None, finish="MAX_TOKENS"), "finish:MAX_TOKENS", PAID),
        (said(None, finish="SAFETY"), "finish:SAFETY", PAID),
        (said(json.dumps(OPINION), finish="RECITATION"), "finish:RECITATION", PAID),
        (said(json.dumps(OPINION), finish=None), "finish:UNKNOWN", PAID),
        (said(None), "unparsed", PAID),
        (said(json.dumps(OPINION), usageMetadata=None, finish="SAFETY"), "finish:SAFETY", Usage()),
        (
            Scene(
                body=json.dumps(
                    {
                        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                        "usageMetadata": USAGE,
                    }
                )
            ),
            "blocked:PROHIBITED_CONTENT",
            PAID,
        ),
        (Scene(body=""), "empty", NOTHING_SAID),
        (Scene(body="{}"), "empty", NOTHING_SAID),
        (Scene(body='{"candidates":[]}'), "empty", NOTHING_SAID),
        (Scene(body='{"foo":1}'), "empty", NOTHING_SAID),
        (Scene(body="null"), "empty", NOTHING_SAID),
        (Scene(body="[]"), "empty", NOTHING_SAID),
        (Scene(body='{"candidates":[{"content":{"parts":[{"text":5}]}}]}'), "unparsed", Usage()),
    ],
)
async def test_an_unusable_answer_is_a_value_with_its_reason_and_its_cost(
    gemini: Gemini, gemini_stub: GeminiStub, scene: Scene, why: str, usage: Usage
) -> None:
    gemini_stub.play(scene)

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert (answer.proposal, answer.why, answer.usage) == (None, why, usage)
    assert answer.model == MODEL


@pytest.mark.parametrize("word", ["A_REASON_OF_NEXT_YEAR", "odd reason\n", "ü"])
async def test_a_finish_reason_newer_than_the_sdk_is_unusable_and_no_warning(
    gemini: Gemini, gemini_stub: GeminiStub, word: str
) -> None:
    gemini_stub.play(said(json.dumps(OPINION), finish=word))

    answer = await gemini.ask(PROMPT, model=MODEL)  # warnings are errors here

    expected = word if word.isascii() and word.strip() == word else "UNKNOWN"
    assert answer.why == f"finish:{expected}"
    assert answer.usage == PAID


async def test_a_block_reason_newer_than_the_sdk_is_unusable(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(Scene(body='{"promptFeedback":{"blockReason":"MOOD"}}'))

    assert (await gemini.ask(PROMPT, model=MODEL)).why == "blocked:MOOD"


async def test_thoughts_before_the_answer_are_not_the_answer(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    parts = [
        {"text": "let me think", "thought": True},
        {"text": json.dumps(OPINION), "thoughtSignature": "c2ln"},
    ]
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}
    gemini_stub.play(Scene(body=json.dumps({"candidates": [candidate], "usageMetadata": USAGE})))

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.proposal is not None
    assert answer.proposal.reasoning == "prices rise"


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(0, "0"), (1, "1"), (0.1 + 0.2, "0.3"), (0.59999, "0.5999"), (1e-9, "0")],
)
async def test_confidence_has_four_decimals_and_is_never_rounded_up(
    gemini: Gemini, gemini_stub: GeminiStub, confidence: float, expected: str
) -> None:
    gemini_stub.play(opinion(confidence=confidence))

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.proposal is not None
    assert answer.proposal.confidence == Decimal(expected)
    assert answer.proposal.confidence.as_tuple().exponent == -4


@pytest.mark.parametrize(
    ("said_by_model", "kept"),
    [
        ("  two\n\nlines\t here ", "two lines here"),
        ("no\x00 NUL, no \x1b[31mcolour", "no NUL, no [31mcolour"),
        ("no \u202eoverride, no\u200b joiner", "no override, no joiner"),
        ("a \x07 bell", "a bell"),
        ("오르는 추세 {event} </script>", "오르는 추세 {event} </script>"),
        ("x" * 5000, "x" * 2000),
    ],
)
async def test_reasoning_is_one_line_of_visible_text(
    gemini: Gemini, gemini_stub: GeminiStub, said_by_model: str, kept: str
) -> None:
    gemini_stub.play(opinion(reasoning=said_by_model))

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.proposal is not None
    assert answer.proposal.reasoning == kept
    answer.proposal.reasoning.encode()  # as PostgreSQL will


@pytest.mark.parametrize(
    "odd", [{"promptTokenCount": -1}, {"promptTokenCount": 2**40}, {"promptTokenCount": None}]
)
async def test_a_count_of_tokens_that_cannot_be_is_no_count(
    gemini: Gemini, gemini_stub: GeminiStub, odd: dict[str, Any]
) -> None:
    gemini_stub.play(said(json.dumps(OPINION), usageMetadata=USAGE | odd))

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.usage.input_tokens is None
    assert answer.usage.output_tokens == 85


async def test_a_model_that_does_not_name_itself_has_the_name_it_was_asked_by(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(said(json.dumps(OPINION), modelVersion=None))

    assert (await gemini.ask(PROMPT, model=MODEL)).model == MODEL


async def test_ping_asks_for_the_model_and_spends_nothing(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(Scene(body=f'{{"name":"models/{MODEL}","inputTokenLimit":1048576}}'))

    await gemini.ping(MODEL)

    assert [(a.method, a.path) for a in gemini_stub.asked] == [("GET", f"/v1/models/{MODEL}")]
