"""A backup of the database: what a restored one knows is old."""

from copy import copy, deepcopy
from dataclasses import dataclass, replace
from typing import Any, Self

from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Backup:
    kept: dict[str, Any]

    @classmethod
    def of(cls, world: World) -> Self:
        books = world.account_books
        return cls(
            {
                "rows": dict(world.orders.rows),
                "booked": list(world.orders.booked),
                "signals": list(world.signals.signals),
                "decisions": list(world.signals.decisions),
                "ordered": set(world.tables.ordered),
                "lapsed": dict(world.tables.lapsed),
                "halts": list(world.tables.halts),
                "settings": dict(world.settings),
                "baselines": dict(books.baselines),
                "external": dict(books.external),
                "deposits": list(books.deposits),
                "differences": dict(books.differences),
                "swept": world.swept.until,
                "lease": replace(world.tables.lease),
            }
        )

    def restore(self, world: World) -> None:
        kept, books = deepcopy(self.kept), world.account_books
        world.orders.rows, world.orders.booked = kept["rows"], kept["booked"]
        world.signals.signals, world.signals.decisions = kept["signals"], kept["decisions"]
        world.tables.ordered, world.tables.lapsed = kept["ordered"], kept["lapsed"]
        world.tables.halts, world.settings = kept["halts"], kept["settings"]
        books.baselines, books.external = kept["baselines"], kept["external"]
        books.deposits, books.differences = kept["deposits"], kept["differences"]
        world.swept.until, world.tables.lease = kept["swept"], copy(kept["lease"])
