"""The journal's records: what one command changed, as JSON values, and back."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from service.domain.markets import Market
from service.sandbox.exchange.events import OrderEvent
from service.sandbox.exchange.orders import OrderRequest, SandboxAccount, SandboxOrder, SandboxTrade

Record = Mapping[str, Any]
_AMOUNTS: Final = (
    "limit",
    "remaining_volume",
    "remaining_funds",
    "executed_volume",
    "executed_funds",
    "reserved_fee",
    "remaining_fee",
    "paid_fee",
    "locked",
)
_TRADE_AMOUNTS: Final = ("price", "volume", "funds", "fee")
_ACCOUNT_AMOUNTS: Final = ("balance", "locked", "avg_buy_price")


class Changes:
    """The values that one command changed, collected while it runs: one line of the journal."""

    def __init__(self) -> None:
        self.orders: dict[str, SandboxOrder] = {}
        self.trades: list[SandboxTrade] = []
        self.accounts: dict[str, SandboxAccount] = {}
        self.identifiers: list[str] = []  #: used up, also by refused orders
        self.events: list[OrderEvent] = []  #: for the observer, not for the journal

    def record(self) -> Record:
        """Return the new state of everything that changed."""
        parts = {
            "orders": [order_record(order) for order in self.orders.values()],
            "trades": [trade_record(trade) for trade in self.trades],
            "accounts": [account_record(account) for account in self.accounts.values()],
            "identifiers": list(self.identifiers),
        }
        return {name: part for name, part in parts.items() if part}

    def clear(self) -> None:
        for part in (self.orders, self.trades, self.accounts, self.identifiers, self.events):
            part.clear()


def order_record(order: SandboxOrder) -> dict[str, Any]:
    """Return the order without its trades, which are lines of their own."""
    request = order.request
    return {
        "uuid": order.uuid,
        "number": order.number,
        "created_at": order.created_at.isoformat(),
        "state": order.state,
        "market": str(request.market),
        "side": request.side,
        "ord_type": request.ord_type,
        "identifier": request.identifier,
        "time_in_force": request.time_in_force,
        "smp_type": request.smp_type,
        **{name: _text(getattr(request, name)) for name in ("price", "volume")},
        **{name: _text(getattr(order, name)) for name in _AMOUNTS},
    }


def order_from(record: Record) -> SandboxOrder:
    names = ("side", "ord_type", "identifier", "time_in_force", "smp_type")
    request = OrderRequest(
        market=Market.parse(record["market"]),
        price=_decimal(record["price"]),
        volume=_decimal(record["volume"]),
        **{name: record[name] for name in names},
    )
    amounts = {name: _decimal(record[name]) for name in _AMOUNTS}
    return SandboxOrder(
        uuid=record["uuid"],
        number=record["number"],
        request=request,
        created_at=datetime.fromisoformat(record["created_at"]),
        state=record["state"],
        **amounts,  # type: ignore[arg-type]  # the journal holds what `order_record` wrote
    )


def trade_record(trade: SandboxTrade) -> Record:
    amounts = {name: str(getattr(trade, name)) for name in _TRADE_AMOUNTS}
    names = ("uuid", "order", "market", "side", "trend")
    texts = {name: getattr(trade, name) for name in names}
    return texts | amounts | {"created_at": trade.created_at.isoformat()}


def trade_from(record: Record) -> SandboxTrade:
    amounts = {name: Decimal(record[name]) for name in _TRADE_AMOUNTS}
    at = datetime.fromisoformat(record["created_at"])
    return SandboxTrade(**{**record, **amounts, "created_at": at})


def account_record(account: SandboxAccount) -> Record:
    return {
        "currency": account.currency,
        **{name: str(getattr(account, name)) for name in _ACCOUNT_AMOUNTS},
    }


def account_from(record: Record) -> SandboxAccount:
    amounts = {name: Decimal(record[name]) for name in _ACCOUNT_AMOUNTS}
    return SandboxAccount(currency=record["currency"], **amounts)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
