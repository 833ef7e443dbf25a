"""All orders of the exchange, by uuid and by the client's identifier."""

from collections.abc import Iterable, Sequence

from service.domain.markets import Market
from service.sandbox.errors import refused
from service.sandbox.exchange.orders import SandboxOrder, State
from service.sandbox.exchange.records import Changes


class OrderRegister:
    def __init__(self, *, changes: Changes) -> None:
        self.orders: dict[str, SandboxOrder] = {}  #: by uuid, oldest first
        self._identifiers: dict[str, str | None] = {}  #: uuid, None for a refused order
        self._open: dict[str, SandboxOrder] = {}
        self._changes = changes

    def find(self, *, uuid: str | None = None, identifier: str | None = None) -> SandboxOrder:
        """Return the order by its uuid, else by the client's identifier."""
        if not uuid and not identifier:
            raise refused("validation_error", about="uuid, identifier")
        order = self.orders.get(uuid or self._identifiers.get(identifier or "") or "")
        if order is None:
            raise refused("order_not_found")
        return order

    def open_in(self, market: Market) -> Sequence[SandboxOrder]:
        return [order for order in self._open.values() if order.request.market == market]

    def open_markets(self) -> set[Market]:
        return {order.request.market for order in self._open.values()}

    def check_unused(self, identifier: str | None) -> None:
        if identifier is not None and identifier in self._identifiers:
            raise refused("duplicated_identifier")

    def use_up(self, identifier: str) -> None:
        """Mark the identifier as used, before the order is accepted or refused."""
        self.check_unused(identifier)
        self._identifiers[identifier] = None
        self._changes.identifiers.append(identifier)

    def add(self, order: SandboxOrder) -> None:
        self._know(order)
        self._changes.orders[order.uuid] = order

    def close(self, order: SandboxOrder, state: State) -> None:
        order.state = state
        del self._open[order.uuid]
        self._changes.orders[order.uuid] = order

    # --- journal ------------------------------------------------------------------------------

    def refused_identifiers(self) -> list[str]:
        """Return the used identifiers whose orders were refused."""
        return [name for name, uuid in self._identifiers.items() if uuid is None]

    def take_over(self, orders: Iterable[SandboxOrder], *, identifiers: Iterable[str]) -> None:
        """Replace orders by those of the journal; their trades are restored separately."""
        self._identifiers.update(dict.fromkeys(identifiers))
        for order in orders:
            if (known := self.orders.get(order.uuid)) is not None:
                order.trades = known.trades
            self._know(order)

    def _know(self, order: SandboxOrder) -> None:
        self.orders[order.uuid] = order
        self._open.pop(order.uuid, None)
        if order.state == "wait":
            self._open[order.uuid] = order
        if order.request.identifier is not None:
            self._identifiers[order.request.identifier] = order.uuid
