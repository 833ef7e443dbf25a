"""Positions, computed from fills alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from service.domain.markets import Market
from service.domain.orders import ZERO, Fill, Side

_CENT: Final = Decimal("1E-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Coins bought by this service and not yet sold again."""

    market: Market
    volume: Decimal = ZERO
    cost: Decimal = ZERO  #: funds paid for the held coins, without fees
    realised_pnl: Decimal = ZERO  #: from sales, less every fee ever paid here
    fees_paid: Decimal = ZERO
    opened_at: datetime | None = None  #: first fill of the run that is still open

    @property
    def average_price(self) -> Decimal | None:
        """Average price of the held coins without fees, as the exchange's own app shows it."""
        return self.cost / self.volume if self.volume else None

    def value_at(self, price: Decimal) -> Decimal:
        return self.volume * price

    def unrealised_pnl_at(self, price: Decimal) -> Decimal:
        return self.value_at(price) - self.cost

    def after(self, side: Side, fill: Fill) -> "Position":
        """Return the position after `fill`.

        Raises: ValueError, when more is sold than is held: this service did not buy those coins.
        """
        paid = replace(
            self, fees_paid=self.fees_paid + fill.fee, realised_pnl=self.realised_pnl - fill.fee
        )
        if side is Side.BUY:
            return replace(
                paid,
                volume=self.volume + fill.volume,
                cost=self.cost + fill.funds,
                opened_at=self.opened_at or fill.traded_at,
            )
        if fill.volume > self.volume:
            raise ValueError(f"{self.market}: sold {fill.volume}, held {self.volume}")
        left = self.volume - fill.volume
        # The sale of the last coin takes the whole remaining cost: a closed position has cost 0.
        sold = self.cost
        if left:  # when coins cost next to nothing, rounding up must not exceed the cost
            sold = min(sold, (self.cost * fill.volume / self.volume).quantize(_CENT))
        return replace(
            paid,
            volume=left,
            cost=self.cost - sold,
            realised_pnl=paid.realised_pnl + fill.funds - sold,
            opened_at=self.opened_at if left else None,
        )

    def part_held(self, fill: Fill) -> Fill:
        """Return the sale limited to the held coins, with the whole fee."""
        volume = min(fill.volume, self.volume)
        funds = (fill.funds * volume / fill.volume).quantize(_CENT)
        return replace(fill, volume=volume, funds=funds)


def folded(market: Market, fills: Iterable[tuple[Side, Fill]]) -> Position:
    """Return the position that `fills`, oldest first, add up to."""
    position = Position(market=market)
    for side, fill in fills:
        position = position.after(side, fill)
    return position
