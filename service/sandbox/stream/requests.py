"""Requests of a WebSocket client: one JSON array of a ticket, types and a format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

import orjson

from service.sandbox.market.candle_file import UNITS_OF_CANDLES
from service.sandbox.reply import Body

Format = Literal["DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"]
FORMATS: Final = frozenset(get_args(Format))
#: type of a candle -> its minutes; 0 is one second
CANDLES: Final = {"candle.1s": 0} | {f"candle.{unit}m": unit for unit in UNITS_OF_CANDLES}
_PUBLIC: Final = frozenset({"ticker", "trade", "orderbook", *CANDLES})
PRIVATE: Final = frozenset({"myOrder", "myAsset"})
_LISTING: Final = "LIST_SUBSCRIPTIONS"
_MESSAGES: Final = {
    "INVALID_AUTH": "인증 정보가 올바르지 않습니다.",
    "WRONG_FORMAT": "요청 형식이 올바르지 않습니다.",
    "NO_TICKET": "티켓이 존재하지 않습니다.",
    "NO_TYPE": "타입이 존재하지 않습니다.",
    "NO_CODES": "코드가 존재하지 않습니다.",
    "INVALID_PARAM": "지원하지 않는 값입니다.",
    "Too Many Requests": "요청 수 제한을 초과했습니다.",
    "I'm a teapot": "요청이 차단되었습니다.",
}


class StreamRefused(Exception):
    """The request is answered with an error frame; the earlier subscriptions stay."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.body: Body = {"error": {"name": name, "message": _MESSAGES[name]}}


class Topic(NamedTuple):
    """What one subscription reads: a type, and a code as the client wrote it."""

    type: str
    code: str  #: e.g. KRW-BTC, of an order book also KRW-BTC.5; "" is every market


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeRequest:
    """One type object of a request."""

    type: str
    codes: Sequence[str]
    has_snapshot: bool
    is_realtime: bool

    @property
    def topics(self) -> list[Topic]:
        return [Topic(self.type, code) for code in self.codes or [""]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    ticket: str
    format: Format
    types: Sequence[TypeRequest]
    is_listing: bool = False  #: asks for the subscriptions and changes the format only


def read_stream_request(text: str | bytes, *, is_private: bool) -> StreamRequest:
    """Return the request. Raises: StreamRefused."""
    parts = _parts(text)
    ticket = _only(parts, "ticket")
    if not isinstance(ticket, str) or not ticket:
        raise StreamRefused("NO_TICKET")
    style = _only(parts, "format") or "DEFAULT"
    if not isinstance(style, str) or style not in FORMATS:
        raise StreamRefused("INVALID_PARAM")
    methods = [part["method"] for part in parts if "method" in part]
    if any(method != _LISTING for method in methods):
        raise StreamRefused("INVALID_PARAM")
    asked = [part for part in parts if not part.keys() & {"ticket", "format", "method"}]
    if (not asked and not methods) or any("type" not in part for part in asked):
        raise StreamRefused("NO_TYPE")
    return StreamRequest(
        ticket=ticket,
        format=style,  # type: ignore[arg-type]  # one of FORMATS
        types=[_type_request(part, is_private=is_private) for part in asked],
        is_listing=bool(methods),
    )


def _parts(text: str | bytes) -> list[Mapping[str, Any]]:
    try:
        parts = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise StreamRefused("WRONG_FORMAT") from exc
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise StreamRefused("WRONG_FORMAT")
    return parts


def _only(parts: Sequence[Mapping[str, Any]], name: str) -> object:
    values = [part[name] for part in parts if name in part]
    if len(values) > 1:
        raise StreamRefused("WRONG_FORMAT")
    return values[0] if values else None


def _type_request(part: Mapping[str, Any], *, is_private: bool) -> TypeRequest:
    kind = part["type"]
    if not isinstance(kind, str) or kind not in _PUBLIC | PRIVATE:
        raise StreamRefused("INVALID_PARAM")
    if kind in PRIVATE and not is_private:
        raise StreamRefused("INVALID_AUTH")
    if kind in _PUBLIC and is_private:
        raise StreamRefused("INVALID_PARAM")
    flags = [part.get(f"is_only_{name}", False) for name in ("snapshot", "realtime")]
    # The sandbox has no grouped order books: the one level is the market's own tick.
    if not all(isinstance(flag, bool) for flag in flags) or part.get("level", 0) != 0:
        raise StreamRefused("INVALID_PARAM")
    only_snapshot, only_realtime = flags
    return TypeRequest(
        type=kind,
        codes=_codes(part, kind),
        has_snapshot=not only_realtime and kind in _PUBLIC,
        is_realtime=not only_snapshot,
    )


def _codes(part: Mapping[str, Any], kind: str) -> list[str]:
    if kind == "myAsset" and "codes" in part:
        raise StreamRefused("WRONG_FORMAT")
    codes = part.get("codes") or []
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise StreamRefused("INVALID_PARAM")
    if not codes and kind in _PUBLIC:
        raise StreamRefused("NO_CODES")
    return list(dict.fromkeys(codes))
