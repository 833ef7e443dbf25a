"""The exchange's orders, trades and accounts."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from service.domain.markets import Market

ZERO: Final = Decimal(0)
FEE_RATIO: Final = Decimal("0.0005")
MIN_TOTAL: Final = Decimal(5_000)
MAX_TOTAL: Final = Decimal(1_000_000_000)

Side = Literal["bid", "ask"]
OrdType = Literal["limit", "price", "market", "best"]
State = Literal["wait", "done", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxTrade:
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
class OrderRequest:
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
class SandboxOrder:
    """An accepted order; only the engine changes it."""

    uuid: str
    number: int  #: in the order of acceptance
    request: OrderRequest
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
    locked: Decimal = ZERO  #: KRW of a bid, coins of an ask; stays as it was when the order ends
    trades: list[SandboxTrade] = field(default_factory=list)

    @property
    def is_bid(self) -> bool:
        return self.request.side == "bid"

    @property
    def currency(self) -> str:
        """Return the currency that the order locks."""
        market = self.request.market
        return market.quote if self.is_bid else market.base

    @property
    def is_complete(self) -> bool:
        if self.remaining_volume is None:
            return self.remaining_funds == 0
        return self.remaining_volume == 0

    def count(self, *, volume: Decimal, funds: Decimal, fee: Decimal) -> None:
        """Add one match to the order, and reserve for the rest."""
        self.executed_volume += volume
        self.executed_funds += funds
        self.paid_fee += fee
        if self.remaining_volume is None:
            self.remaining_funds -= funds
        else:
            self.remaining_volume -= volume
        self.reserve()

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
class SandboxAccount:
    """One currency; `balance` is what can be used, `locked` what open orders hold."""

    currency: str
    balance: Decimal = ZERO
    locked: Decimal = ZERO
    avg_buy_price: Decimal = ZERO


def new_order(
    request: OrderRequest, *, uuid: str, number: int, at: datetime, best: Decimal
) -> SandboxOrder:
    """Return the order as accepted, its funds reserved; `best` is the opposite side's price."""
    by_funds = request.volume is None
    limits = {"limit": request.price, "best": best}
    order = SandboxOrder(
        uuid=uuid,
        number=number,
        request=request,
        created_at=at,
        limit=limits.get(request.ord_type),
        remaining_volume=request.volume,
        remaining_funds=(request.price or ZERO) if by_funds else ZERO,
    )
    order.reserve()
    order.reserved_fee = order.remaining_fee
    return order
