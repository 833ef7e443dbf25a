"""Lists of orders that show the account as it was a while ago, as an exchange's replicas do."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta

from service.sandbox.exchange.events import OrderEvent
from service.sandbox.exchange.orders import SandboxAccount, SandboxOrder

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class ListLag:
    """An `ExchangeObserver` that keeps the versions of orders which the lists may still show.

    Without a lag nothing is kept. Args: now: the market's instant.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lag = timedelta()
        self._versions: dict[str, list[tuple[datetime, SandboxOrder]]] = {}

    @property
    def seconds(self) -> float:
        return self._lag.total_seconds()

    def set(self, seconds: float, orders: Iterable[SandboxOrder]) -> None:
        """Let the lists lag by market seconds; `orders` are all there are now. 0 ends it."""
        self._lag = timedelta(seconds=seconds)
        if not self._lag:
            self._versions.clear()
            return
        for order in orders:
            # An order that has ended does not change any more.
            if order.state == "wait" and order.uuid not in self._versions:
                self._versions[order.uuid] = [(_BEFORE_ALL, copy(order))]

    def advanced(self, *, after: int, until: int) -> None:
        """Ignore the step: fills are told as commits."""

    def committed(
        self,
        events: Sequence[OrderEvent],
        accounts: Sequence[SandboxAccount],  # noqa: ARG002  # balances do not lag
    ) -> None:
        if not self._lag:
            return
        now = self._now()
        for event in events:
            self._versions.setdefault(event.order.uuid, []).append((now, event.order))

    def shown(self, orders: Iterable[SandboxOrder]) -> Iterator[SandboxOrder]:
        """Yield each order as it was; one that was not accepted by then is left out."""
        if not self._lag:
            yield from orders
            return
        until = self._now() - self._lag
        for order in orders:
            versions = self._versions.get(order.uuid)
            if versions is None:
                yield order
                continue
            while len(versions) > 1 and versions[1][0] <= until:
                del versions[0]
            at, version = versions[0]
            if at <= until:
                yield version
                if version.state != "wait":
                    del self._versions[order.uuid]  # the order itself shows the same from now on
