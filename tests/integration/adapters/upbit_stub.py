"""Recorded answers of Upbit on loopback, and a check of the signature as Upbit makes it."""

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer

ACCESS_KEY = "canary-access-key"
SECRET_KEY = "canary-secret-key-" + "s" * 22  # 40 characters, as Upbit's own


@dataclass(kw_only=True)
class Recorded:
    """One answer; `body` is JSON text as captured, so that numbers keep their spelling."""

    status: int = 200
    body: str | bytes = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}" + (f"?{self.raw_query}" if self.raw_query else "")


class UpbitStub:
    """Answers each path with its next recorded answer; the last one stays."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.address = ""
        self._answers: dict[str, deque[Recorded]] = defaultdict(deque)

    def answer(self, route: str, body: str | bytes = "{}", **rest: Any) -> None:
        """Append an answer for `route`, e.g. `GET /v1/ticker`."""
        self.record(route, Recorded(body=body, **rest))

    def record(self, route: str, answer: Recorded) -> None:
        self._answers[route].append(answer)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(
            Seen(
                method=request.method,
                path=request.path,
                raw_query=request.rel_url.raw_query_string,
                headers=request.headers.copy(),
                body=await request.read(),
            )
        )
        answers = self._answers[f"{request.method} {request.path}"]
        assert answers, f"no answer recorded for {self.seen[-1].line}"
        recorded = answers.popleft() if len(answers) > 1 else answers[0]
        body = recorded.body.encode() if isinstance(recorded.body, str) else recorded.body
        headers = {"Content-Type": "application/json; charset=utf-8"} | dict(recorded.headers)
        return web.Response(status=recorded.status, body=body, headers=headers)


@asynccontextmanager
async def open_stub() -> AsyncIterator[UpbitStub]:
    stub = UpbitStub()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", stub.handle)
    async with TestServer(app) as server:
        stub.address = str(server.make_url("")).rstrip("/")
        yield stub


def nonce_of(seen: Seen) -> str:
    """Check the request's token as Upbit does and return its nonce."""
    scheme, token = seen.headers["Authorization"].split(" ")
    assert scheme == "Bearer"
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(token, SECRET_KEY, algorithms=["HS256"])
    assert claims.pop("access_key") == ACCESS_KEY
    nonce: str = claims.pop("nonce")
    asked = unquote(seen.raw_query)
    if seen.body:
        asked = "&".join(f"{key}={value}" for key, value in json.loads(seen.body).items())
    if asked:
        assert claims.pop("query_hash_alg") == "SHA512"
        assert claims.pop("query_hash") == hashlib.sha512(asked.encode()).hexdigest()
    assert claims == {}
    return nonce
