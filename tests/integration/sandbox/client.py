"""A small Upbit client of its own, written from the documentation and nothing of the service."""

import hashlib
import uuid
from typing import Any
from urllib.parse import unquote, urlencode

import aiohttp
import jwt
import yarl

from service.sandbox.server import Sandbox


class Client:
    def __init__(self, session: aiohttp.ClientSession, sandbox: Sandbox) -> None:
        self.session = session
        self.url = sandbox.upbit_url
        self.access, self.secret = sandbox.access_key, sandbox.secret_key

    def bearer(self, params: dict[str, Any] | None = None) -> str:
        payload = {"access_key": self.access, "nonce": str(uuid.uuid4())}
        if params:
            query = unquote(urlencode(params, doseq=True))
            digest = hashlib.sha512(query.encode()).hexdigest()
            payload |= {"query_hash": digest, "query_hash_alg": "SHA512"}
        return "Bearer " + jwt.encode(payload, self.secret, algorithm="HS256")

    async def ask(self, method: str, path: str, **params: Any) -> tuple[int, Any]:
        """Send a signed request, parameters in the query; return status and JSON."""
        query = "?" + urlencode(params, doseq=True) if params else ""
        url = yarl.URL(self.url + path + query, encoded=True)
        headers = {"Authorization": self.bearer(params)}
        async with self.session.request(method, url, headers=headers) as response:
            return response.status, await response.json()

    async def order(self, **body: str) -> tuple[int, Any]:
        headers = {"Authorization": self.bearer(body)}
        async with self.session.post(self.url + "/v1/orders", json=body, headers=headers) as got:
            return got.status, await got.json()

    async def public(self, path: str, **params: Any) -> tuple[int, Any]:
        async with self.session.get(self.url + path, params=params) as response:
            assert "Remaining-Req" in response.headers
            return response.status, await response.json()

    async def control(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self.url}/__sandbox__/{path}"
        async with self.session.request(method, url, **options) as response:
            assert response.ok, await response.text()
            return await response.json() if response.content_type == "application/json" else None
