"""Frames of the account: what happened to an order, and the balances that it changed.

Amounts are JSON numbers here and texts in the Exchange API; a key without a value is null here and
absent there. Both are as Upbit's documents show them.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from service.sandbox.exchange.events import OrderEvent
from service.sandbox.exchange.orders import SandboxAccount
from service.sandbox.market.prints import milliseconds
from service.sandbox.reply import Body


def my_order(event: OrderEvent, now: datetime) -> Body:
    order, trade, request = event.order, event.trade, event.order.request
    done = order.executed_volume
    return {
        "type": "myOrder",
        "code": str(request.market),
        "uuid": order.uuid,
        "ask_bid": request.side.upper(),
        "order_type": request.ord_type,
        "state": event.kind,
        "trade_uuid": trade.uuid if trade else None,
        "price": _double(trade.price if trade else request.price),
        "avg_price": _double(order.executed_funds / done) if done else 0.0,
        "volume": _double(trade.volume if trade else request.volume),
        "remaining_volume": _double(order.remaining_volume),
        "executed_volume": _double(done),
        "trades_count": len(order.trades),
        "reserved_fee": _double(order.reserved_fee),
        "remaining_fee": _double(order.remaining_fee),
        "paid_fee": _double(order.paid_fee),
        "locked": _double(order.locked),
        "executed_funds": _double(order.executed_funds),
        "time_in_force": request.time_in_force,
        "trade_fee": _double(trade.fee) if trade else None,
        "is_maker": event.is_maker if trade else None,
        "identifier": request.identifier,
        "smp_type": request.smp_type,
        "prevented_volume": None if request.volume is None else 0.0,
        "prevented_locked": 0.0,
        "trade_timestamp": milliseconds(trade.created_at) if trade else None,
        "order_timestamp": milliseconds(order.created_at),
        "timestamp": milliseconds(now),
        "stream_type": "REALTIME",
    }


def my_asset(accounts: Sequence[SandboxAccount], now: datetime, *, uuid: str) -> Body:
    return {
        "type": "myAsset",
        "asset_uuid": uuid,
        "assets": [
            {
                "currency": account.currency,
                "balance": _double(account.balance),
                "locked": _double(account.locked),
            }
            for account in accounts
        ],
        "asset_timestamp": milliseconds(now),
        "timestamp": milliseconds(now),
        "stream_type": "REALTIME",
    }


def _double(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
