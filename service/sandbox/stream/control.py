"""Control of the WebSocket by a test or an operator, from the sandbox's own machine only."""

import base64
import binascii
from typing import Annotated, Literal

from aiohttp import WSCloseCode, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.sandbox.reply import Body, reply
from service.sandbox.stream.feed import Feed, Side, Silence
from service.sandbox.stream.handlers import FEED

_MOST_BYTES = 64 * 1024 * 1024
_MOST_TIMES = 10_000

routes = web.RouteTableDef()


class StreamAction(BaseModel):
    """One interference, with the connections of one side or of both.

    `silence` and `speak` last and concern later connections too. The others strike at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    do: Literal["silence", "speak", "drop", "close", "send"]
    side: Side | None = None  #: of `drop`, `close` and `send`
    types: frozenset[str] = frozenset()  #: of `silence`; empty: every type
    codes: frozenset[str] = frozenset()  #: of `silence`; empty: every market
    pongs: bool = True  #: of `silence`: whether pings are answered still
    code: Annotated[int, Field(ge=1000, le=4999)] = WSCloseCode.GOING_AWAY.value
    text: str = ""  #: of `send`: the frame
    bytes_base64: str | None = None  #: of `send`: instead of `text`, bytes that are no text
    size: Annotated[int, Field(ge=0, le=_MOST_BYTES)] = 0  #: of `send`: filled up with spaces
    times: Annotated[int, Field(ge=1, le=_MOST_TIMES)] = 1  #: of `send`: as a burst

    @field_validator("bytes_base64")
    @classmethod
    def _base64(cls, value: str | None) -> str | None:
        try:
            base64.b64decode(value or "", validate=True)
        except binascii.Error as exc:
            raise ValueError("no base64") from exc
        return value

    @property
    def frame(self) -> bytes:
        whole = self.text.encode()
        if self.bytes_base64 is not None:
            whole = base64.b64decode(self.bytes_base64)
        return whole.ljust(self.size)


@routes.get("/__sandbox__/stream")
async def connections(request: web.Request) -> web.Response:
    feed = request.app[FEED]
    bodies: list[Body] = [
        {
            "side": "private" if each.is_private else "public",
            "subscriptions": feed.shown(each),
            "sent": each.sent,
            "queued_bytes": each.queued_bytes,
        }
        for each in feed.connections()
    ]
    silence: Body | None = None
    if feed.silence is not None:
        parts = {"types": feed.silence.types, "codes": feed.silence.codes}
        silence = {name: sorted(part) for name, part in parts.items()}
        silence["pongs"] = feed.answers_pings
    return reply({"connections": bodies, "silence": silence})


@routes.post("/__sandbox__/stream")
async def interfere(request: web.Request) -> web.Response:
    action = _action(await request.read())
    feed = request.app[FEED]
    concerned = feed.connections(action.side)
    match action.do:
        case "silence":
            _silence(feed, Silence(types=action.types, codes=action.codes), pongs=action.pongs)
        case "speak":
            _silence(feed, None, pongs=True)
        case "drop":
            for each in concerned:
                each.cut()
        case "close":
            for each in concerned:
                await each.close(action.code)
        case "send":
            frame = action.frame
            for each in concerned:
                for _ in range(action.times):
                    each.put(frame)
    return reply({"connections": len(concerned)})


def _action(body: bytes) -> StreamAction:
    try:
        return StreamAction.model_validate_json(body, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise web.HTTPBadRequest(text=f"{where}: {first['msg']}\n") from exc


def _silence(feed: Feed, silence: Silence | None, *, pongs: bool) -> None:
    feed.silence, feed.answers_pings = silence, pongs
    for each in feed.connections():
        each.answers_pings = pongs
