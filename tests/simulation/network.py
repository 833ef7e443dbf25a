"""The way between a machine and the exchange. It satisfies what `Client` uses of aiohttp."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final, Self, cast

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter

from service.adapters.upbit.guarded_body import GuardedBody, GuardedHeaders
from service.sandbox.errors import RequestRefused
from tests.simulation.fates import FATES, Body, Fate, Kind
from tests.simulation.machine import Machine
from tests.simulation.world import World

_ANSWER_S: Final = 0.02
BLOCKED: Final = 418
_BAN_TEXT: Final = "blocked for {} seconds"
_GOOD: Final = Fate(kinds=frozenset(Kind))
_KINDS: Final = {
    ("POST", "/v1/orders"): Kind.POST,
    ("GET", "/v1/order"): Kind.FIND,
    ("DELETE", "/v1/order"): Kind.CANCEL,
    ("GET", "/v1/orders/open"): Kind.LISTS,
    ("GET", "/v1/orders/closed"): Kind.LISTS,
    ("GET", "/v1/accounts"): Kind.BALANCES,
}


@dataclass(slots=True)
class Response:
    """What the client reads of an answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    ban_s: float = 0.0

    @property
    def content(self) -> Self:
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self.body


@dataclass(slots=True, kw_only=True)
class Request:
    machine: Machine
    method: str
    path: str
    params: Mapping[str, str]
    kind: Kind
    fate_name: str | None
    answered: "asyncio.Future[Response]"

    @property
    def fate(self) -> Fate:
        return FATES[self.fate_name] if self.fate_name is not None else _GOOD

    @property
    def identifier(self) -> str | None:
        return self.params.get("identifier")


class Wire:
    """One machine's session: aiohttp.ClientSession as far as `Client` knows it."""

    def __init__(self, world: World, machine: Machine) -> None:
        self._world = world
        self._machine = machine

    def request(
        self,
        method: str,
        url: yarl.URL,
        *,
        timeout: aiohttp.ClientTimeout,
        data: GuardedBody | None = None,
        middlewares: Sequence[GuardedHeaders] = (),
        **_: object,
    ) -> "Call":
        params = dict(url.query) if data is None else json.loads(data.decode())
        kind = _KINDS.get((method, url.path), Kind.OTHER)
        request = Request(
            machine=self._machine,
            method=method,
            path=url.path,
            params=params,
            kind=kind,
            fate_name=self._world.draw_fate(kind, params.get("identifier")),
            answered=self._world.loop.create_future(),
        )
        body = middlewares[0].body if data is None else data
        return Call(self._world, request, body=body, timeout_s=timeout.total or 6.0)


class Sink:
    """Takes the bytes at once: between a body's check and its bytes nothing happens."""

    async def write(self, _: bytes) -> None:
        return


class Call:
    """One request under way, as an asynchronous context manager."""

    def __init__(
        self, world: World, request: Request, *, body: GuardedBody, timeout_s: float
    ) -> None:
        self._world = world
        self._request = request
        self._body = body
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Response:
        world, request, fate = self._world, self._request, self._request.fate
        if not fate.connects:
            await asyncio.sleep(world.chance.uniform(0, 0.1))
            raise aiohttp.ClientConnectorError(
                SimpleNamespace(host="exchange", port=443, ssl=True),  # type: ignore[arg-type]
                OSError("refused"),
            )
        connect_s = world.chance.uniform(*fate.connect_s)
        if connect_s:
            await asyncio.sleep(connect_s)
        await self._write()
        self._leave()
        response = await request.answered
        if response.ban_s:  # heard in this very step
            world.banned(request.machine, response.ban_s)
        return response

    async def __aexit__(self, *_: object) -> None:
        """The answer is read whole before; nothing is left to close."""

    async def _write(self) -> None:
        """Ask the body to write itself, as aiohttp does, and fail as aiohttp then fails."""
        try:
            await self._body.write_with_length(cast(AbstractStreamWriter, Sink()), None)
        except Exception as exc:
            raise aiohttp.ClientConnectionError("the body was not written") from exc

    def _leave(self) -> None:
        world, request, fate = self._world, self._request, self._request.fate
        world.check_ban(request.machine)
        world.leaves(request.machine, request.kind, request.params)
        if fate.arrives:
            answering = world.chance.randrange(fate.copies)
            for copy in range(fate.copies):
                travel_s = world.chance.uniform(*fate.travel_s)
                world.under_way += 1
                world.loop.world_later(travel_s, self._arrive, copy == answering)
        elif fate.status is not None:
            world.loop.world_later(_ANSWER_S, self._deliver, self._scripted())
        elif fate.is_lost and world.chance.random() < 0.5:
            world.loop.world_later(_ANSWER_S, self._break)
        world.loop.world_later(self._timeout_s, self._fail, TimeoutError())

    def _arrive(self, is_answering: bool) -> None:
        world, request, fate = self._world, self._request, self._request.fate
        world.under_way -= 1
        response = self._executed()
        world.mark(request.machine, f"{request.kind}.executed")
        if not is_answering:
            return
        if fate.is_lost:
            if world.chance.random() < 0.5:
                self._break()
            return
        if fate.status is not None:
            response = self._scripted()
        elif fate.cut:
            response = Response(response.status, response.body[: len(response.body) // 2])
        world.loop.world_later(_ANSWER_S * world.chance.random(), self._deliver, response)

    def _executed(self) -> Response:
        world, request = self._world, self._request
        fate = request.fate if self._hits() else _GOOD
        lag_s = world.chance.uniform(*fate.lag_s)
        try:
            body = world.exchange.handle(request.method, request.path, request.params, lag_s=lag_s)
        except RequestRefused as exc:
            world.say("exchange", f"{request.kind} {request.identifier or ''} refused: {exc.name}")
            return Response(exc.status, _encoded(exc.body))
        if fate.odd is not None:
            body = fate.odd(body)
        world.say("exchange", f"{request.kind} {request.identifier or ''} {_shown(body)}")
        if request.kind is Kind.POST:
            world.arrived(request.params["identifier"])
        return Response(201 if request.kind is Kind.POST else 200, _encoded(body))

    def _hits(self) -> bool:
        """Whether the order is young enough for this fate."""
        young_s, world = self._request.fate.young_s, self._world
        if young_s is None:
            return True
        at = world.exchange.accepted.get(self._request.identifier or "", world.loop.time())
        return world.loop.time() - at < young_s and not world.is_healing

    def _scripted(self) -> Response:
        fate = self._request.fate
        if fate.status == BLOCKED:
            seconds = self._world.chance.randrange(2, 20)
            return Response(BLOCKED, _BAN_TEXT.format(seconds).encode(), ban_s=seconds)
        body = {"error": {"name": fate.name, "message": "scripted"}} if fate.name else "scripted"
        return Response(fate.status or 500, _encoded(body))

    def _deliver(self, response: Response) -> None:
        world, request = self._world, self._request
        if request.answered.done():
            return
        request.answered.set_result(response)
        world.mark(request.machine, f"{request.kind}.answered")

    def _break(self) -> None:
        self._fail(aiohttp.ServerDisconnectedError())

    def _fail(self, error: BaseException) -> None:
        if not self._request.answered.done():
            self._request.answered.set_exception(error)


def _encoded(body: Body) -> bytes:
    return json.dumps(body).encode()


def _shown(body: Body) -> str:
    if not isinstance(body, dict) or "state" not in body:
        return "answered"
    trades = len(body["trades"]) if "trades" in body else "no"
    return f"{body['state']} {body['executed_volume']}, {trades} trades, fee {body['paid_fee']}"
