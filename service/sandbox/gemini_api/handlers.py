"""Gemini's API: generateContent, countTokens and models."""

from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from service.sandbox.gemini_api.answer import answer, tokens_in
from service.sandbox.gemini_api.errors import (
    Problem,
    bad_request,
    no_key,
    not_found,
    quota_exhausted,
    rate_limited,
)
from service.sandbox.gemini_api.request import config_in, object_in, read_body, texts_in
from service.sandbox.reply import Body, reply

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
FAULT: Final = web.RequestKey("model_fault", str)

routes = web.RouteTableDef()


@web.middleware
async def gemini_wire(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer problems in Gemini's format."""
    try:
        return await handler(request)
    except Problem as problem:
        return reply(problem.body, status=problem.code)


@routes.post("/{version}/models/{model}:generateContent")
async def generate_content(request: web.Request) -> web.Response:
    model = _asked_model(request)
    fault: Any = request.get(FAULT)
    if fault == "rate_limited":
        raise rate_limited(model)
    if fault == "quota":
        raise quota_exhausted(model)
    if fault == "empty":
        return web.Response(body=b"", content_type="application/json")
    body = read_body(await request.read())
    return reply(answer(model, config_in(body, model), texts_in(body), fault))


@routes.post("/{version}/models/{model}:countTokens")
async def count_tokens(request: web.Request) -> web.Response:
    _asked_model(request)
    body = read_body(await request.read())
    tokens = tokens_in(texts_in(object_in(body, "generateContentRequest") or body))
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return reply({"totalTokens": tokens, "promptTokensDetails": details})


@routes.get("/{version}/models/{model}")
async def get_model(request: web.Request) -> web.Response:
    return reply(_model_body(_asked_model(request)))


@routes.get("/{version}/models")
async def list_models(request: web.Request) -> web.Response:
    _check_key(request)
    size, begin = (_whole(request, name, at) for name, at in (("pageSize", 50), ("pageToken", 0)))
    end = begin + max(1, size)
    page: Body = {"models": [_model_body(model) for model in list(MODELS)[begin:end]]}
    if end < len(MODELS):
        page["nextPageToken"] = str(end)
    return reply(page)


def _check_key(request: web.Request) -> None:
    if not request.headers.get("x-goog-api-key", "").strip():
        raise no_key()


def _asked_model(request: web.Request) -> str:
    """Return the model that the path names. Raises: Problem, without a key or such a model."""
    _check_key(request)
    model = request.match_info["model"]
    if model not in MODELS:
        raise not_found(model, request.match_info["version"])
    return model


def _whole(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isdecimal() and len(text) <= len(str(10**6))):
        raise bad_request(f"{name}: not understood")
    return int(text)


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
