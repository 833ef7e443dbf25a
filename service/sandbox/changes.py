"""What one command has touched, written as one line of the journal."""

from service.sandbox.exchange.journal import Record
from service.sandbox.exchange.orders import SandboxAccount, SandboxOrder, SandboxTrade
from service.sandbox.records import account_record, order_record, trade_record


class Changes:
    """Collected while a command runs; whoever changes something says so here."""

    def __init__(self) -> None:
        self.orders: dict[str, SandboxOrder] = {}
        self.trades: list[SandboxTrade] = []
        self.accounts: dict[str, SandboxAccount] = {}
        self.identifiers: list[str] = []  #: used up, whatever became of their orders

    def record(self) -> Record:
        """Return the new state of all that was touched."""
        parts: Record = {
            "orders": [order_record(order) for order in self.orders.values()],
            "trades": [trade_record(trade) for trade in self.trades],
            "accounts": [account_record(account) for account in self.accounts.values()],
            "identifiers": list(self.identifiers),
        }
        return {name: part for name, part in parts.items() if part}

    def clear(self) -> None:
        for part in (self.orders, self.trades, self.accounts, self.identifiers):
            part.clear()
