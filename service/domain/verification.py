"""Positions derived from fills a second time, one fill after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from service.domain.markets import Market
from service.domain.orders import Fill, Side
from service.domain.positions import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class BookDifference:
    """A stored value that the fills do not add up to.

    Attributes:
        table, row, column: where it stands; `row` is its key, e.g. KRW-BTC 2026-01-24.
        stored, derived: as text; None where there is no such row.
    """

    table: str
    row: str
    column: str
    stored: str | None
    derived: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedFill:
    """A fill as it is stored, with what it earned."""

    id: int
    market: Market
    side: Side
    fill: Fill
    realised_pnl: Decimal


class DerivedPositions:
    """Folds fills in the order in which they were booked: by market, then by id."""

    def __init__(self) -> None:
        self._positions: dict[Market, Position] = {}

    def add(self, booked: BookedFill) -> Iterator[BookDifference]:
        """Fold one fill; yield a difference when it earned something else than is stored."""
        market, fill = booked.market, booked.fill
        before = self._positions.get(market, Position(market=market))
        if booked.side is Side.SELL and fill.volume > before.volume:
            # As at its booking: the position takes no more coins than it has.
            fill = before.part_held(fill)
        after = self._positions[market] = before.after(booked.side, fill)
        earned = after.realised_pnl - before.realised_pnl
        if earned != booked.realised_pnl:
            yield BookDifference(
                table="fills",
                row=str(booked.id),
                column="realised_pnl",
                stored=str(booked.realised_pnl),
                derived=str(earned),
            )

    def compare(self, stored: Iterable[Position]) -> Iterator[BookDifference]:
        """Yield what of the stored positions differs from the fold of all fills."""
        positions = {position.market: position for position in stored}
        for market in sorted(positions.keys() | self._positions.keys()):
            ours = positions.get(market, Position(market=market))
            derived = self._positions.get(market, Position(market=market))
            for column in ("volume", "cost", "realised_pnl", "fees_paid", "opened_at"):
                one, other = getattr(ours, column), getattr(derived, column)
                if one != other:
                    yield BookDifference(
                        table="positions",
                        row=str(market),
                        column=column,
                        stored=str(one),
                        derived=str(other),
                    )
