"""The model's wire: generateContent, countTokens and models as Gemini answers them.

The request may be written in camelCase or snake_case, in any depth: the SDK mixes both.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from service.sandbox.faults import ModelFault
from service.sandbox.oracle import Opinion, opinion_on
from service.sandbox.reply import reply
from service.sandbox.wire import Body

MODELS: Final = {
    "gemini-3.8-flash": "Gemini 3.8 Flash",
    "gemini-3.7-flash": "Gemini 3.7 Flash",
    "gemini-3.6-flash": "Gemini 3.6 Flash",
    "gemini-3.5-flash-lite": "Gemini 3.5 Flash-Lite",
    "gemini-3.1-pro": "Gemini 3.1 Pro",
    "gemini-4-argon": "Gemini 4 Argon",
    "gemini-2.5-flash": "Gemini 2.5 Flash",
    "gemini-2.5-flash-lite": "Gemini 2.5 Flash-Lite",
    "gemini-2.5-pro": "Gemini 2.5 Pro",
}
_BUDGET_ONLY: Final = "gemini-2.5"
_CHARACTERS_A_TOKEN: Final = 4
_THOUGHTS: Final = 120  #: tokens, whatever was asked
_RPC: Final = "type.googleapis.com/google.rpc."

routes = web.RouteTableDef()


class _Problem(Exception):
    def __init__(self, code: int, status: str, message: str, *details: Body) -> None:
        super().__init__(message)
        self.code = code
        self.body = {
            "error": {"code": code, "message": message, "status": status}
            | ({"details": list(details)} if details else {})
        }


def answered(problem: _Problem) -> web.Response:
    return reply(problem.body, status=problem.code)


def _bad_request(message: str) -> _Problem:
    return _Problem(400, "INVALID_ARGUMENT", message)


def rate_limited(model: str, *, retry_s: str = "7.5s") -> _Problem:
    """Return the 429 of an exhausted minute quota, with the wait in the body only."""
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    quota = {
        "quotaMetric": metric,
        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "10",
    }
    return _Problem(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
        {"@type": _RPC + "QuotaFailure", "violations": [quota]},
        {"@type": _RPC + "RetryInfo", "retryDelay": retry_s},
    )


# --- requests -----------------------------------------------------------------------------------


def camel(value: Any) -> Any:  # noqa: ANN401  # any JSON, as it came over the wire
    """Return JSON with every key in camelCase; keys of a schema's `properties` stay."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        (name := re.sub(r"_([a-z])", lambda m: m[1].upper(), key)): (
            {inner: camel(schema) for inner, schema in item.items()}
            if name == "properties" and isinstance(item, dict)
            else camel(item)
        )
        for key, item in value.items()
    }


async def _read(request: web.Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError) as exc:
        raise _bad_request("Invalid JSON payload received.") from exc
    if not isinstance(body, dict):
        raise _bad_request("Invalid JSON payload received: not an object.")
    return dict(camel(body))


def _check_key(request: web.Request) -> None:
    if not request.headers.get("x-goog-api-key", "").strip():
        raise _Problem(
            403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers: no API key."
        )


def _known(model: str, version: str) -> str:
    if model not in MODELS:
        raise _Problem(404, "NOT_FOUND", f"models/{model} is not found for API version {version}.")
    return model


def _texts(body: Mapping[str, Any]) -> list[str]:
    contents = [*_listed(body.get("contents")), body.get("systemInstruction")]
    return [
        part["text"]
        for content in contents
        if isinstance(content, dict)
        for part in _listed(content.get("parts"))
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _checked_config(body: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    if not _texts({"contents": body.get("contents")}):
        raise _bad_request("* GenerateContentRequest.contents: contents is not specified")
    config = body.get("generationConfig") or {}
    if not isinstance(config, dict):
        raise _bad_request("Invalid value at 'generation_config'")
    has_schema = config.get("responseSchema") or config.get("responseJsonSchema")
    if has_schema and config.get("responseMimeType") != "application/json":
        raise _bad_request("response_schema needs response_mime_type: application/json")
    thinking = config.get("thinkingConfig") or {}
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise _bad_request("You can only set one of thinking budget and thinking level.")
    if "thinkingBudget" in thinking and not model.startswith(_BUDGET_ONLY):
        raise _bad_request(f"thinking_budget is not supported by {model}; use thinking_level.")
    if "thinkingLevel" in thinking and model.startswith(_BUDGET_ONLY):
        raise _bad_request(f"thinking_level is not supported by {model}.")
    return config


# --- answers ------------------------------------------------------------------------------------


def _tokens(texts: Sequence[str]) -> int:
    return max(1, sum(map(len, texts)) // _CHARACTERS_A_TOKEN)


def _usage(prompt: int, answer: int, thoughts: int = _THOUGHTS) -> Body:
    parts = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "thoughtsTokenCount": thoughts,
    }
    return {
        **{name: count for name, count in parts.items() if count},
        "totalTokenCount": prompt + answer + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }


def shaped(opinion: Opinion, schema: Mapping[str, Any]) -> Body:
    """Return the opinion in the schema's own properties and order; what the stand-in has no
    opinion about gets the least value of its type.
    """
    known: Body = {
        "action": opinion.action,
        "confidence": float(opinion.confidence),
        "reasoning": opinion.reasoning,
    }
    properties: Mapping[str, Any] = schema.get("properties") or known
    order = schema.get("propertyOrdering") or list(properties)
    return {name: known.get(name, _least(properties[name])) for name in order if name in properties}


def _least(schema: object) -> object:
    if not isinstance(schema, dict):
        return None
    if schema.get("enum"):
        return schema["enum"][0]
    kind = str(schema.get("type", "")).upper()
    empty: Body = {"STRING": "", "NUMBER": 0, "INTEGER": 0, "BOOLEAN": False, "ARRAY": []}
    if kind == "OBJECT":
        return {name: _least(inner) for name, inner in (schema.get("properties") or {}).items()}
    return empty.get(kind)


def _answer_text(config: Mapping[str, Any], prompt: str, fault: ModelFault | None) -> str:
    opinion = opinion_on(prompt)
    schema = config.get("responseSchema") or config.get("responseJsonSchema") or {}
    if fault == "prose" or config.get("responseMimeType") != "application/json":
        return f"{opinion.action}, I would say. {opinion.reasoning}"
    body = shaped(opinion, schema)
    if fault == "nonsense":
        body |= {"action": "MAYBE", "confidence": 7.2}
    return json.dumps(body)


def _generated(
    model: str, config: Mapping[str, Any], texts: Sequence[str], fault: ModelFault | None
) -> Body:
    prompt = _tokens(texts)
    envelope: Body = {"modelVersion": model, "responseId": uuid4().hex}
    if fault == "safety":
        candidate: Body = {"finishReason": "SAFETY", "index": 0}
        return envelope | {"candidates": [candidate], "usageMetadata": _usage(prompt, 0)}
    if fault == "max_tokens":
        spent = int(config.get("maxOutputTokens") or _THOUGHTS)
        candidate = {"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
        return envelope | {"candidates": [candidate], "usageMetadata": _usage(prompt, 0, spent)}
    text = _answer_text(config, "\n".join(texts), fault)
    candidate = {
        "content": {"parts": [{"text": text}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
    }
    return envelope | {
        "candidates": [candidate],
        "usageMetadata": _usage(prompt, _tokens([text])),
    }


def _model_body(model: str) -> Body:
    return {
        "name": f"models/{model}",
        "version": model.split("-")[1],
        "displayName": MODELS[model],
        "description": "The sandbox's stand-in",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": True,
    }


# --- routes -------------------------------------------------------------------------------------

FAULT: Final = web.RequestKey("model_fault", str)


@routes.post("/{version}/models/{model}:generateContent")
async def generate_content(request: web.Request) -> web.Response:
    try:
        _check_key(request)
        model = _known(request.match_info["model"], request.match_info["version"])
        fault: Any = request.get(FAULT)
        if fault == "rate_limited":
            return answered(rate_limited(model))
        if fault == "empty":
            return web.Response(body=b"", content_type="application/json")
        body = await _read(request)
        config = _checked_config(body, model)
        return reply(_generated(model, config, _texts(body), fault))
    except _Problem as problem:
        return answered(problem)


@routes.post("/{version}/models/{model}:countTokens")
async def count_tokens(request: web.Request) -> web.Response:
    try:
        _check_key(request)
        _known(request.match_info["model"], request.match_info["version"])
        body = await _read(request)
        tokens = _tokens(_texts(body.get("generateContentRequest") or body))
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        return reply({"totalTokens": tokens, "promptTokensDetails": details})
    except _Problem as problem:
        return answered(problem)


@routes.get("/{version}/models/{model}")
async def get_model(request: web.Request) -> web.Response:
    try:
        _check_key(request)
        model = _known(request.match_info["model"], request.match_info["version"])
        return reply(_model_body(model))
    except _Problem as problem:
        return answered(problem)


@routes.get("/{version}/models")
async def list_models(request: web.Request) -> web.Response:
    try:
        _check_key(request)
        size, token = request.query.get("pageSize", "50"), request.query.get("pageToken", "0")
        if not (size.isdecimal() and token.isdecimal() and int(size) > 0):
            raise _bad_request("pageSize and pageToken: not understood")
    except _Problem as problem:
        return answered(problem)
    end = int(token) + int(size)
    page: Body = {"models": [_model_body(model) for model in list(MODELS)[int(token) : end]]}
    if end < len(MODELS):
        page["nextPageToken"] = str(end)
    return reply(page)
