"""HTTP calls to Upbit: signed, rate limited, bounded. Their meaning is not known here.

Source: Upbit docs, "REST API guide"; traps of aiohttp 3.14 as noted.
"""

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, Literal

import aiohttp
import yarl

from service.adapters.answers import retry_after_s
from service.adapters.upbit.errors import ErrorAnswer, OddAnswer, Unsent
from service.adapters.upbit.guarded_body import GuardedBody, GuardedHeaders, nothing
from service.adapters.upbit.key_meter import KeyMeter
from service.adapters.upbit.limits import Group, Limiter, Share, ban_s
from service.adapters.upbit.record import error_name, parsed
from service.adapters.upbit.sign import Params, Signer, wire_query
from service.adapters.upbit.skew import SkewMeter
from service.crashpoints import crashpoint

READ_TIMEOUT: Final = aiohttp.ClientTimeout(total=6, connect=3)
ORDER_TIMEOUT: Final = aiohttp.ClientTimeout(total=5, connect=3)
LONGEST_BODY: Final = 4 * 1024 * 1024  #: bytes, unpacked; the longest list is a tenth of it
#: Well below the shortest time after which an order may count as never placed (flows/looks.py).
DROPPED_AFTER_MS: Final = 20_000
_JSON: Final = "application/json; charset=utf-8"
_SUCCESS: Final = range(200, 300)
_SLOW_DOWN: Final = 429
_BLOCKED: Final = 418
_NOTHING: Final[Mapping[str, str]] = {}


class Client:
    """Raises ErrorAnswer, OddAnswer, aiohttp's errors and TimeoutError: `translated` reads them.

    During a ban or hold it raises ExchangeUnavailable, and no byte leaves. That is judged when a
    request begins, and again in the step that writes it to a standing connection.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        quotation_url: str,
        exchange_url: str,
        signer: Signer,
        limiter: Limiter,
        skew: SkewMeter,
        key: KeyMeter,
        share: Share = Share.TRADING,
    ) -> None:
        """Args: share: of each limit, for what is neither a cancel nor a sale."""
        self._share = share
        self._session = session
        self._quotation_url = quotation_url.rstrip("/")
        self._exchange_url = exchange_url.rstrip("/")
        self._signer = signer
        self._limiter = limiter
        self._skew = skew
        self._key = key

    def beside(self, session: aiohttp.ClientSession, *, share: Share) -> "Client":
        """Return a client over connections of its own; waits and bans hold for both."""
        return Client(
            session,
            quotation_url=self._quotation_url,
            exchange_url=self._exchange_url,
            signer=self._signer,
            limiter=self._limiter,
            skew=self._skew,
            key=self._key,
            share=share,
        )

    def check(self, group: Group, *, endpoint: str) -> None:
        """Raise ExchangeUnavailable while a wait or a ban lasts. Nothing is sent."""
        self._limiter.check(group, endpoint=endpoint)

    async def get_public(
        self, path: str, params: Mapping[str, str] = _NOTHING, *, group: Group
    ) -> object:
        """GET public data, unsigned. Upbit counts the group's limit by IP address."""
        url = _url(self._quotation_url + path, params)
        # Upbit compresses quotations only. With an Origin header it allows one call in ten seconds.
        return await self._send("GET", url, {"Accept-Encoding": "gzip"}, group, self._share)

    async def get_private(self, path: str, params: Params = _NOTHING) -> object:
        """GET data of our account, signed."""
        url = _url(self._exchange_url + path, params)
        return await self._send("GET", url, self._signed(params), Group.DEFAULT, self._share)

    async def delete(self, path: str, params: Mapping[str, str]) -> object:
        # aiohttp repeats a DELETE (and a GET) by itself when a kept-alive connection drops. That is
        # harmless: a second cancellation of an identifier has no effect.
        url = _url(self._exchange_url + path, params)
        return await self._send(
            "DELETE",
            url,
            self._signed(params),
            Group.DEFAULT,
            Share.WHOLE,
            after_send=partial(crashpoint, "cancel.after_send"),
        )

    async def post(
        self,
        path: str,
        body: Mapping[str, str],
        *,
        share: Share,
        before_send: Callable[[], None],
    ) -> object:
        """Send `body` once. aiohttp never repeats a POST, whatever the connection does.

        Raises: also Unsent, and what `before_send` raises: no byte has left.
        """
        url = _url(self._exchange_url + path, _NOTHING)
        headers = self._signed(body) | {"Content-Type": _JSON}

        def check() -> None:
            self.check(Group.ORDER, endpoint=f"POST {url.path}")
            before_send()
            crashpoint("post.before_send")

        # The signature's hash covers the keys in this order and the values as written here.
        data = GuardedBody(json.dumps(body).encode(), check, partial(crashpoint, "post.after_send"))
        try:
            return await self._send("POST", url, headers, Group.ORDER, share, data=data)
        except (aiohttp.ClientError, TimeoutError) as exc:
            if not data.has_left:
                raise Unsent(exc) from exc
            raise

    def _signed(self, params: Params) -> dict[str, str]:
        authorization = self._signer.authorization(params)
        return {"Authorization": authorization, "Accept-Encoding": "identity"}

    async def _send(
        self,
        method: Literal["GET", "POST", "DELETE"],
        url: yarl.URL,
        headers: Mapping[str, str],
        group: Group,
        share: Share,
        *,
        data: GuardedBody | None = None,
        after_send: Callable[[], None] = nothing,
    ) -> object:
        endpoint = f"{method} {url.path}"
        await self._limiter.acquire(group, endpoint=endpoint, share=share)
        # Asked where the bytes leave: the ban may begin while the request waits for a connection.
        guard = GuardedHeaders(partial(self.check, group, endpoint=endpoint), after_send)
        try:
            return await self._exchanged(method, url, headers, group, data=data, guard=guard)
        except (aiohttp.ClientError, TimeoutError):
            body = data or guard.body
            # aiohttp repeats a GET or DELETE: then a first copy has left, and the error tells that.
            if body.refusal is not None and not body.has_left:
                raise body.refusal from None
            raise

    async def _exchanged(
        self,
        method: Literal["GET", "POST", "DELETE"],
        url: yarl.URL,
        headers: Mapping[str, str],
        group: Group,
        *,
        data: GuardedBody | None,
        guard: GuardedHeaders,
    ) -> object:
        endpoint = f"{method} {url.path}"
        asked_at = self._skew.asked()
        async with self._session.request(
            method,
            url,
            data=data,
            middlewares=() if data is not None else (guard,),
            headers=headers,
            timeout=READ_TIMEOUT if method == "GET" else ORDER_TIMEOUT,
            # A redirect would carry the signed order to another host, and turn a POST into a GET.
            allow_redirects=False,
            raise_for_status=False,  # aiohttp's error shows the URL and no error name
        ) as response:
            remaining = response.headers.get("Remaining-Req")
            self._limiter.heard(remaining, group=group, endpoint=endpoint)
            if "Age" not in response.headers:  # a cached answer has an old `Date`
                self._skew.heard(response.headers.get("Date"), asked_at=asked_at)
            is_signed = "Authorization" in headers
            if response.status not in _SUCCESS:
                complaint = await self._complaint(response, group, endpoint)
                if is_signed:
                    self._key.heard(endpoint, complaint.status, complaint.name)
                raise complaint
            if is_signed:
                self._key.heard(endpoint, response.status)
            raw = await _body(response)
        self._limiter.reset_ban()
        return parsed(raw)

    async def _complaint(
        self, response: aiohttp.ClientResponse, group: Group, endpoint: str
    ) -> ErrorAnswer:
        raw = b""
        # The status suffices when the body is lost: a ban must be kept.
        with suppress(aiohttp.ClientError, TimeoutError, OddAnswer):
            raw = await _body(response)
        asked = retry_after_s(response.headers)
        if response.status == _BLOCKED:
            asked = self._limiter.ban(asked or ban_s(raw))
        if response.status == _SLOW_DOWN:
            self._limiter.close(group, endpoint=endpoint, asked_s=asked)
        return ErrorAnswer(response.status, error_name(raw), retry_after_s=asked)


def _url(address: str, params: Params) -> yarl.URL:
    # `encoded=True`: yarl would encode the query differently, and the hash is over ours.
    return yarl.URL(f"{address}?{wire_query(params)}" if params else address, encoded=True)


async def _body(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > LONGEST_BODY:
            raise OddAnswer("longer than anything Upbit sends")
    return bytes(raw)


def exchange_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket whose kernel drops a request instead of delivering it minutes later.

    Without a limit the kernel sends unacknowledged bytes again for a quarter of an hour, also
    after the program has closed the connection. Source: tcp(7), TCP_USER_TIMEOUT; Linux has it.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DROPPED_AFTER_MS)
    return made
