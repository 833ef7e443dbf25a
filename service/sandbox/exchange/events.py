"""What happens in the exchange, told to observers after the journal holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from service.sandbox.exchange.orders import SandboxAccount, SandboxOrder, SandboxTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """One change of an order: accepted, filled in part or whole, or ended."""

    kind: Literal["wait", "trade", "done", "cancel"]
    order: SandboxOrder  #: a copy, as it was right after the event
    trade: SandboxTrade | None = None  #: of a fill
    is_maker: bool = False  #: the order rested when it was filled


class ExchangeObserver(Protocol):
    """Called synchronously inside a command: it must neither wait nor raise."""

    def advanced(self, *, after: int, until: int) -> None:
        """The prints of the steps in (after, until] have been matched."""

    def committed(self, events: Sequence[OrderEvent], accounts: Sequence[SandboxAccount]) -> None:
        """One command changed these orders and balances; `accounts` are copies."""
