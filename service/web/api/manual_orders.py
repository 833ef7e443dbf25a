"""Orders by hand, their cancellation, and the account's orders of other programs."""

import re
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Final, NotRequired

from aiohttp import hdrs, web
from typing_extensions import TypedDict

from service.domain.decimals import decimal_text
from service.domain.errors import InvalidOrder, InvalidRequest, NotFound
from service.domain.instants import rfc3339
from service.domain.markets import VOLUME_STEP
from service.domain.orders import Intent, ListedOrder, OrderType, Side
from service.ports.store import JSON
from service.web.contract.requests import (
    HandOrderBody,
    LimitOrderBody,
    MarketPurchaseBody,
    MarketSaleBody,
    PlaceOrderBody,
)
from service.web.contract.scalars import DecimalText, Instant
from service.web.keys import (
    CANCEL_ORDER,
    CONFIG,
    DECLARE_NOT_PLACED,
    EXTERNAL_ORDERS,
    LISTS,
    PLACE_ORDER,
)
from service.web.protocol.audit import audited
from service.web.protocol.auth import CALLER
from service.web.protocol.bodies import nothing_of, parsed, unknown_name, values_of
from service.web.protocol.query import Query, known_market, row_id
from service.web.protocol.responses import json_response, raw_response

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_PATH: Final = "/api/v1/trading/orders"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_MODELS: Final[Mapping[tuple[OrderType, Side], type[HandOrderBody]]] = {
    (OrderType.LIMIT, Side.BUY): LimitOrderBody,
    (OrderType.LIMIT, Side.SELL): LimitOrderBody,
    (OrderType.MARKET, Side.BUY): MarketPurchaseBody,
    (OrderType.MARKET, Side.SELL): MarketSaleBody,
}
_FIELDS: Final = frozenset[str]().union(*(model.model_fields for model in _MODELS.values()))
_AMOUNTS: Final = _FIELDS - {"market", "side", "type"}


class ExternalOrderBody(TypedDict):
    origin: str  #: EXTERNAL
    exchange_uuid: str
    market: str
    side: str
    type: str | None  #: null for a kind that this service never sends
    price: DecimalText | None
    volume: DecimalText | None
    funds: DecimalText | None
    executed_volume: DecimalText
    created_at: Instant


class ExternalOrdersBody(TypedDict):
    items: list[ExternalOrderBody]
    unreadable: int  #: orders of the list that could not be read
    age_seconds: float  #: of the exchange's answer
    next_cursor: NotRequired[None]


async def place(request: web.Request) -> web.Response:
    """Place the order that the body describes, once for each key."""
    Query(request)
    key = _idempotency_key(request)
    body = await values_of(request, PlaceOrderBody)
    intent = _intent(request, body)
    # With the amounts: a refused order has no row of its own.
    detail: dict[str, JSON] = {name: body[name] for name in sorted(_FIELDS & body.keys())}
    detail["idempotency_key"] = key
    await audited(request, action="order.place", subject=str(intent.market), detail=detail)
    placed = await request.app[PLACE_ORDER](intent, idempotency_key=key, actor=request[CALLER].name)
    return raw_response(
        await _stored(request, placed.id),
        status=HTTPStatus.CREATED if placed.is_new else HTTPStatus.OK,
        headers={hdrs.LOCATION: f"{_PATH}/{placed.id}"},
    )


async def cancel(request: web.Request) -> web.Response:
    """Have the order end. 202: accepted, not done; it is followed until it is final."""
    Query(request)
    order_id = row_id(request, "order")
    await nothing_of(request, "the address names the order")
    await audited(request, action="order.cancel", subject=str(order_id))
    await request.app[CANCEL_ORDER](order_id, by=request[CALLER].name)
    return raw_response(await _stored(request, order_id), status=HTTPStatus.ACCEPTED)


async def not_placed(request: web.Request) -> web.Response:
    """End an order of unknown outcome that never arrived, by the operator's word."""
    Query(request)
    order_id = row_id(request, "order")
    await nothing_of(request, "the address names the order")
    await audited(request, action="order.not_placed", subject=str(order_id))
    await request.app[DECLARE_NOT_PLACED](order_id, by=request[CALLER].name)
    return raw_response(await _stored(request, order_id))


async def external(request: web.Request) -> web.Response:
    """Show the account's open orders that this service did not send. It never touches them."""
    Query(request)
    found, age_s = await request.app[EXTERNAL_ORDERS]()
    return json_response(
        ExternalOrdersBody(
            items=[_external_body(listed) for listed in reversed(found.external)],
            unreadable=found.unreadable,
            age_seconds=round(age_s, 3),
        )
    )


async def _stored(request: web.Request, order_id: int) -> bytes:
    body = await request.app[LISTS].order(order_id)
    if body is None:
        raise NotFound(f"there is no order {order_id}")
    return body


def _idempotency_key(request: web.Request) -> str:
    keys = request.headers.getall(IDEMPOTENCY_KEY, [])
    if len(keys) == 1 and _KEY.fullmatch(keys[0]):
        return keys[0]
    raise InvalidRequest(
        f"send {IDEMPOTENCY_KEY}: 1 to 255 visible ASCII characters, a new one for each order."
        " The same request with the same key never makes a second order"
    )


def _intent(request: web.Request, body: Mapping[str, JSON]) -> Intent:
    if unknown := body.keys() - _FIELDS:
        raise InvalidRequest(unknown_name(min(unknown), HandOrderBody))
    try:
        model = _MODELS[OrderType(body.get("type")), Side(body.get("side"))]  # type: ignore[arg-type]
    except (ValueError, KeyError):
        kinds = sorted({kind.value for kind, _ in _MODELS})
        choices = f"side is {' or '.join(Side)}, type is {' or '.join(kinds)}"
        raise InvalidRequest(choices) from None
    takes = model.model_fields.keys()
    if body.keys() != takes:
        amounts = " and ".join(sorted(takes & _AMOUNTS))
        raise InvalidRequest(
            f"a {body['type']} {body['side']} takes {amounts}, beside market, side and type"
        )
    order = parsed(body, model)
    return Intent(
        market=known_market(order.market, request.app[CONFIG].markets),
        side=Side(order.side),
        type=OrderType(order.type),
        **{name: _amount(name, getattr(order, name)) for name in takes & _AMOUNTS},
    )


def _amount(name: str, text: str) -> Decimal:
    amount = Decimal(text)
    if amount % VOLUME_STEP:
        raise InvalidOrder(f"{name} is a multiple of {VOLUME_STEP:f}: nothing is rounded")
    return amount


def _external_body(listed: ListedOrder) -> ExternalOrderBody:
    order, intent = listed.order, listed.intent
    return ExternalOrderBody(
        origin="EXTERNAL",
        exchange_uuid=order.uuid,
        market=str(order.market),
        side=order.side.value,
        type=None if intent is None else intent.type.value,
        price=None if intent is None else _text(intent.price),
        volume=None if intent is None else _text(intent.volume),
        funds=None if intent is None else _text(intent.funds),
        executed_volume=decimal_text(order.executed_volume),
        created_at=rfc3339(order.created_at),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else decimal_text(amount)
