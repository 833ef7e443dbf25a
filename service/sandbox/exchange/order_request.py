"""Parse a client's order request, or refuse it with Upbit's error."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final, get_args

from service.domain.errors import UnknownMarket
from service.domain.markets import Market
from service.sandbox.errors import refused
from service.sandbox.exchange.orders import MAX_TOTAL, MIN_TOTAL, OrderRequest, OrdType, Side
from service.sandbox.market.ticks import on_tick

_SIDES: Final = {side: side for side in get_args(Side)}
_TYPES: Final = {kind: kind for kind in get_args(OrdType)}
_SMP_TYPES: Final = {"cancel_maker", "cancel_taker", "reduce", "none"}
_MAX_IDENTIFIER: Final = 64
_DECIMALS: Final = Decimal("0.00000001")
_LARGEST: Final = Decimal(10) ** 15
_AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{0,24})?([eE][+-]?[0-9]{1,2})?")

#: (type, side) -> whether price and volume must be given
_GIVEN: Final = {
    ("limit", "bid"): (True, True),
    ("limit", "ask"): (True, True),
    ("price", "bid"): (True, False),
    ("market", "ask"): (False, True),
    ("best", "bid"): (True, False),
    ("best", "ask"): (False, True),
}
_TIMES_IN_FORCE: Final[dict[OrdType, set[str | None]]] = {
    "limit": {None, "ioc", "fok", "post_only"},
    "price": {None},
    "market": {None},
    "best": {"ioc", "fok"},
}

Fields = Mapping[str, str | None]


def identifier_of(fields: Fields) -> str | None:
    """Return the client's identifier of the order; it is used up even by a refused order."""
    identifier = fields.get("identifier") or None
    if identifier is not None and len(identifier) > _MAX_IDENTIFIER:
        raise refused("invalid_parameter", about="identifier: 64")
    return identifier


def read_market(code: str | None, markets: Collection[Market]) -> Market:
    """Return the market called `code` among those traded here."""
    if not code:
        raise refused("validation_error", about="market")
    try:
        market = Market.parse(code)
    except UnknownMarket:
        market = None
    if market not in markets or market is None:
        raise refused("notfoundmarket", about=f": {code[:20]}")
    return market


def read_order_request(fields: Fields, markets: Collection[Market]) -> OrderRequest:
    """Return the parsed request; raises Refused with the exchange's error name."""
    for name in ("market", "side", "ord_type"):
        if not fields.get(name):
            raise refused("validation_error", about=name)
    market = read_market(fields["market"], markets)
    side = _SIDES.get(fields["side"])
    ord_type = _TYPES.get(fields["ord_type"])
    if side is None or ord_type is None:
        raise refused("invalid_parameter", about="side, ord_type")
    price, volume = (_amount(fields.get(name), name) for name in ("price", "volume"))
    if _GIVEN.get((ord_type, side)) != (price is not None, volume is not None):
        raise refused(f"create_{side}_error")
    request = OrderRequest(
        market=market,
        side=side,
        ord_type=ord_type,
        price=price,
        volume=volume,
        identifier=identifier_of(fields),
        time_in_force=fields.get("time_in_force") or None,
        smp_type=_smp_type(fields),
    )
    _check_time_in_force(request, fields)
    _check_amounts(request)
    return request


def check_total(request: OrderRequest, best: Decimal) -> None:
    """Raise Refused when the order is too small or too large; `best` is the opposite price."""
    total = request.price or best
    if request.volume is not None:
        total *= request.volume
    if total < MIN_TOTAL:
        raise refused(f"under_min_total_{request.side}")
    if total > MAX_TOTAL:
        is_market_sell = request.ord_type == "market"
        raise refused(
            "over_max_total_market_ask" if is_market_sell else f"over_krw_funds_{request.side}"
        )


def _amount(text: str | None, name: str) -> Decimal | None:
    if text is None or text == "":
        return None
    # Decimal alone would accept "1_000", blanks, digits of other scripts, and more decimals than
    # the arithmetic here keeps.
    if not _AMOUNT.fullmatch(text) or abs(amount := Decimal(text)) >= _LARGEST:
        raise refused("invalid_parameter", about=name)
    return amount


def _smp_type(fields: Fields) -> str:
    given = fields.get("smp_type") or None
    if given is None:
        # The default since 2026-11-09; post_only does not allow it.
        return "none" if fields.get("time_in_force") == "post_only" else "cancel_maker"
    if given not in _SMP_TYPES:
        raise refused("invalid_parameter", about="smp_type")
    return given


def _check_time_in_force(request: OrderRequest, fields: Fields) -> None:
    if request.time_in_force not in _TIMES_IN_FORCE[request.ord_type]:
        raise refused("invalid_time_in_force")
    if request.time_in_force == "post_only" and fields.get("smp_type") not in (None, "", "none"):
        raise refused("invalid_post_only")


def _check_amounts(request: OrderRequest) -> None:
    if request.volume is not None and not _countable(request.volume):
        raise refused(f"invalid_volume_{request.side}")
    if request.price is None:
        return
    is_unit_price = request.ord_type == "limit"
    if not (on_tick(request.price) if is_unit_price else _countable(request.price)):
        raise refused(f"invalid_price_{request.side}")


def _countable(amount: Decimal) -> bool:
    return amount > 0 and amount % _DECIMALS == 0
