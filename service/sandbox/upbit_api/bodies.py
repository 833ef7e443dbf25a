"""The exchange's values as Upbit's JSON, with Upbit's fields only."""

from datetime import datetime, timedelta, timezone
from typing import Final

from service.domain.decimals import decimal_text
from service.domain.markets import Market
from service.sandbox.exchange.orders import (
    FEE_RATIO,
    MAX_TOTAL,
    MIN_TOTAL,
    SandboxAccount,
    SandboxOrder,
    SandboxTrade,
)
from service.sandbox.reply import Body

KST: Final = timezone(timedelta(hours=9))
_FEE: Final = str(FEE_RATIO)
_BID_TYPES: Final = ["best_fok", "best_ioc", "limit", "limit_fok", "limit_ioc", "price"]
_ASK_TYPES: Final = ["best_fok", "best_ioc", "limit", "limit_fok", "limit_ioc", "market"]


def number(amount: int, *, scale: int = 10**8) -> float:
    """Return `amount` units as the JSON number that Upbit sends: a double."""
    # Python's division of integers rounds once and correctly, for integers of any size.
    return amount / scale


def whole_or_number(amount: int) -> int | float:
    """Return `amount` units as order books write prices: an int where it is whole."""
    whole, rest = divmod(amount, 10**8)
    return number(amount) if rest else whole


def kst(instant: datetime) -> str:
    return instant.astimezone(KST).replace(microsecond=0).isoformat()


def account_body(account: SandboxAccount) -> Body:
    return {
        "currency": account.currency,
        "balance": decimal_text(account.balance),
        "locked": decimal_text(account.locked),
        "avg_buy_price": decimal_text(account.avg_buy_price),
        "avg_buy_price_modified": False,
        "unit_currency": "KRW",
    }


def order_body(order: SandboxOrder, *, trades: bool = False, funds: bool = False) -> Body:
    """Return the Order object; `trades` as in GET /v1/order, `funds` as in the lists.

    The keys that count volumes are absent from an order for money, as in live captures.
    """
    request = order.request
    body: Body = {
        "uuid": order.uuid,
        "side": request.side,
        "ord_type": request.ord_type,
        "price": None if request.price is None else decimal_text(request.price),
        "state": order.state,
        "market": str(request.market),
        "created_at": kst(order.created_at),
        "executed_volume": decimal_text(order.executed_volume),
        "reserved_fee": decimal_text(order.reserved_fee),
        "remaining_fee": decimal_text(order.remaining_fee),
        "paid_fee": decimal_text(order.paid_fee),
        "locked": decimal_text(order.locked),
        "prevented_locked": "0",
        "trades_count": len(order.trades),
        "smp_type": request.smp_type,
    }
    if request.volume is not None and order.remaining_volume is not None:
        body["volume"] = decimal_text(request.volume)
        body["remaining_volume"] = decimal_text(order.remaining_volume)
        body["prevented_volume"] = "0"
    if request.identifier is not None:
        body["identifier"] = request.identifier
    if request.time_in_force is not None:
        body["time_in_force"] = request.time_in_force
    if funds:
        body["executed_funds"] = decimal_text(order.executed_funds)
    if trades:
        body["trades"] = [trade_body(trade) for trade in order.trades]
    return body


def trade_body(trade: SandboxTrade) -> Body:
    return {
        "market": trade.market,
        "uuid": trade.uuid,
        "price": decimal_text(trade.price),
        "volume": decimal_text(trade.volume),
        "funds": decimal_text(trade.funds),
        "trend": trade.trend,
        "created_at": trade.created_at.astimezone(KST).isoformat(timespec="microseconds"),
        "side": trade.side,
    }


def chance_body(market: Market, *, quote: SandboxAccount, base: SandboxAccount) -> Body:
    return chance_in("active", market, quote=quote, base=base)


def chance_in(
    state: str | None, market: Market, *, quote: SandboxAccount, base: SandboxAccount
) -> Body:
    """Return the chance of a market in `state`; None: the key is absent."""
    return {
        "bid_fee": _FEE,
        "ask_fee": _FEE,
        "maker_bid_fee": _FEE,
        "maker_ask_fee": _FEE,
        "market": {
            "id": str(market),
            "name": f"{market.base}/{market.quote}",
            "order_types": [],
            "order_sides": ["ask", "bid"],
            "bid_types": _BID_TYPES,
            "ask_types": _ASK_TYPES,
            "bid": {"currency": market.quote, "min_total": decimal_text(MIN_TOTAL)},
            "ask": {"currency": market.base, "min_total": decimal_text(MIN_TOTAL)},
            "max_total": decimal_text(MAX_TOTAL),
            **({} if state is None else {"state": state}),
        },
        "bid_account": account_body(quote),
        "ask_account": account_body(base),
    }
