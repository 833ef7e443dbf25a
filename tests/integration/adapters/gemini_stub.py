"""A Gemini on loopback that plays the scenes it is given."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

OPINION = {"reasoning": "prices rise", "action": "BUY", "confidence": 0.72}
USAGE = {
    "promptTokenCount": 1200,
    "candidatesTokenCount": 85,
    "thoughtsTokenCount": 300,
    "totalTokenCount": 1585,
    "cachedContentTokenCount": 1024,
}


@dataclass(kw_only=True)
class Scene:
    """One answer. `drop` closes the connection instead; `hold` waits for ever before it."""

    status: int = 200
    body: str | bytes = "{}"
    content_type: str = "application/json; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    half: bool = False
    hold: bool = False


@dataclass(kw_only=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def said(text: str | None, *, finish: str | None = "STOP", **rest: Any) -> Scene:
    """Return the scene of one candidate that says `text`; `usageMetadata=None` leaves it out."""
    content = {"role": "model"} if text is None else {"parts": [{"text": text}], "role": "model"}
    body = {
        "candidates": [{"content": content, "finishReason": finish, "index": 0}],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-3.8-flash",
        "responseId": "r-1",
    } | rest
    return Scene(body=json.dumps({key: value for key, value in body.items() if value is not None}))


def opinion(**changes: Any) -> Scene:
    return said(json.dumps(OPINION | changes))


def refused(
    code: int, status: str, *details: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Scene:
    error = {"code": code, "message": "canary-message", "status": status, "details": details}
    return Scene(status=code, body=json.dumps({"error": error}), headers=headers or {})


class GeminiStub:
    """Plays one scene a request, the last one for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.arrived = asyncio.Event()
        self.address = ""
        self._scenes: deque[Scene] = deque()

    def play(self, *scenes: Scene) -> None:
        self._scenes.extend(scenes)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.asked.append(
            Asked(
                method=request.method,
                path=request.path,
                headers=request.headers.copy(),
                body=json.loads(raw) if raw else None,
            )
        )
        self.arrived.set()
        scene = self._scenes.popleft() if len(self._scenes) > 1 else self._scenes[0]
        if scene.hold:
            await asyncio.Event().wait()
        if scene.drop:
            _hang_up(request)
        body = scene.body.encode() if isinstance(scene.body, str) else scene.body
        headers = {"Content-Type": scene.content_type} | dict(scene.headers)
        if not scene.half:
            return web.Response(status=scene.status, body=body, headers=headers)
        headers["Content-Length"] = str(len(body))
        response = web.StreamResponse(status=scene.status, headers=headers)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        _hang_up(request)
        return response


def _hang_up(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()


@asynccontextmanager
async def open_gemini_stub() -> AsyncIterator[GeminiStub]:
    stub = GeminiStub()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", stub.handle)
    async with TestServer(app) as server:
        stub.address = str(server.make_url("")).rstrip("/")
        yield stub
