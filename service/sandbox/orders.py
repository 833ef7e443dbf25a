"""The exchange's own orders and trades, as it keeps and writes them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from service.domain.markets import Market

ZERO: Final = Decimal(0)
FEE_RATIO: Final = Decimal("0.0005")
MIN_TOTAL: Final = Decimal(5_000)
MAX_TOTAL: Final = Decimal(1_000_000_000)

Side = Literal["bid", "ask"]
OrdType = Literal["limit", "price", "market", "best"]
State = Literal["wait", "done", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One match of one of the account's orders."""

    uuid: str
    order: str  #: uuid of the order
    market: str
    side: Side
    price: Decimal
    volume: Decimal
    funds: Decimal
    fee: Decimal
    trend: Literal["up", "down"]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A well-formed request for an order. Which of price and volume is set depends on the type."""

    market: Market
    side: Side
    ord_type: OrdType
    price: Decimal | None  #: KRW for one coin; KRW to spend for a market or best buy
    volume: Decimal | None  #: coins
    identifier: str | None = None
    time_in_force: str | None = None
    smp_type: str = "cancel_maker"


@dataclass(slots=True, kw_only=True)
class Order:
    """An accepted order; the engine alone changes it."""

    uuid: str
    number: int  #: in the order of acceptance
    ticket: Ticket
    created_at: datetime
    state: State = "wait"
    limit: Decimal | None = None  #: worst price; None takes any
    remaining_volume: Decimal | None = None  #: coins; None when a buy is counted in KRW
    remaining_funds: Decimal = ZERO  #: KRW still to spend by such a buy
    executed_volume: Decimal = ZERO
    executed_funds: Decimal = ZERO
    reserved_fee: Decimal = ZERO
    remaining_fee: Decimal = ZERO
    paid_fee: Decimal = ZERO
    locked: Decimal = ZERO  #: KRW of a bid, coins of an ask
    trades: list[Trade] = field(default_factory=list)

    @property
    def is_bid(self) -> bool:
        return self.ticket.side == "bid"

    @property
    def currency(self) -> str:
        """Return what the order locks."""
        market = self.ticket.market
        return market.quote if self.is_bid else market.base

    @property
    def is_complete(self) -> bool:
        if self.remaining_volume is None:
            return self.remaining_funds == 0
        return self.remaining_volume == 0

    def reserve(self) -> None:
        """Set what must stay locked for the part that is not executed."""
        if not self.is_bid:
            self.locked = self.remaining_volume or ZERO
            return
        if self.remaining_volume is None:
            cost = self.remaining_funds
        else:
            cost = self.remaining_volume * (self.limit or ZERO)
        self.remaining_fee = cost * FEE_RATIO
        self.locked = cost + self.remaining_fee


@dataclass(slots=True, kw_only=True)
class Account:
    """One currency; `balance` is what can be used, `locked` what open orders hold."""

    currency: str
    balance: Decimal = ZERO
    locked: Decimal = ZERO
    avg_buy_price: Decimal = ZERO


def new_order(ticket: Ticket, *, uuid: str, number: int, at: datetime, best: Decimal) -> Order:
    """Return the order as accepted, its funds reserved; `best` is the opposite side's price."""
    by_funds = ticket.volume is None
    limits = {"limit": ticket.price, "best": best}
    order = Order(
        uuid=uuid,
        number=number,
        ticket=ticket,
        created_at=at,
        limit=limits.get(ticket.ord_type),
        remaining_volume=ticket.volume,
        remaining_funds=(ticket.price or ZERO) if by_funds else ZERO,
    )
    order.reserve()
    order.reserved_fee = order.remaining_fee
    return order


# --- as lines of the journal ------------------------------------------------------------------

Record = dict[str, Any]


def order_record(order: Order) -> Record:
    """Return the order without its trades, which are lines of their own."""
    ticket = order.ticket
    return {
        "uuid": order.uuid,
        "number": order.number,
        "created_at": order.created_at.isoformat(),
        "state": order.state,
        "market": str(ticket.market),
        "side": ticket.side,
        "ord_type": ticket.ord_type,
        "identifier": ticket.identifier,
        "time_in_force": ticket.time_in_force,
        "smp_type": ticket.smp_type,
        **{name: _text(getattr(ticket, name)) for name in ("price", "volume")},
        **{name: _text(getattr(order, name)) for name in _AMOUNTS},
    }


def order_from(record: Record) -> Order:
    names = ("side", "ord_type", "identifier", "time_in_force", "smp_type")
    ticket = Ticket(
        market=Market.parse(record["market"]),
        price=_decimal(record["price"]),
        volume=_decimal(record["volume"]),
        **{name: record[name] for name in names},
    )
    amounts = {name: _decimal(record[name]) for name in _AMOUNTS}
    return Order(
        uuid=record["uuid"],
        number=record["number"],
        ticket=ticket,
        created_at=datetime.fromisoformat(record["created_at"]),
        state=record["state"],
        **amounts,  # type: ignore[arg-type]  # the journal holds what `order_record` wrote
    )


def trade_record(trade: Trade) -> Record:
    amounts = {name: str(getattr(trade, name)) for name in _TRADE_AMOUNTS}
    names = ("uuid", "order", "market", "side", "trend")
    texts = {name: getattr(trade, name) for name in names}
    return texts | amounts | {"created_at": trade.created_at.isoformat()}


def trade_from(record: Record) -> Trade:
    amounts = {name: Decimal(record[name]) for name in _TRADE_AMOUNTS}
    at = datetime.fromisoformat(record["created_at"])
    return Trade(**(record | amounts | {"created_at": at}))


def account_record(account: Account) -> Record:
    return {
        "currency": account.currency,
        **{name: str(getattr(account, name)) for name in _ACCOUNT_AMOUNTS},
    }


def account_from(record: Record) -> Account:
    amounts = {name: Decimal(record[name]) for name in _ACCOUNT_AMOUNTS}
    return Account(currency=record["currency"], **amounts)


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


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
