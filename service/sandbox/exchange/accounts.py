"""The account's balances: free and locked amounts of each currency."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from service.sandbox.exchange.matching import STEP
from service.sandbox.exchange.orders import ZERO, SandboxAccount
from service.sandbox.exchange.records import Changes


class Accounts:
    def __init__(self, opening: Mapping[str, Decimal], *, changes: Changes) -> None:
        self._accounts = {c: SandboxAccount(currency=c, balance=b) for c, b in opening.items()}
        self._changes = changes

    def all(self) -> Mapping[str, SandboxAccount]:
        return self._accounts

    def shown(self) -> list[SandboxAccount]:
        """Return the quote money and every coin that is held, by name."""
        held = (a for a in self._accounts.values() if a.balance or a.locked)
        shown = {a.currency: a for a in held} | {"KRW": self.of("KRW")}
        return [shown[currency] for currency in sorted(shown)]

    def of(self, currency: str) -> SandboxAccount:
        return self._accounts.get(currency) or SandboxAccount(currency=currency)

    def move(self, currency: str, *, balance: Decimal = ZERO, locked: Decimal = ZERO) -> None:
        account = self._accounts.setdefault(currency, SandboxAccount(currency=currency))
        account.balance += balance
        account.locked += locked
        if not account.balance and not account.locked:
            account.avg_buy_price = ZERO
        self._changes.accounts[currency] = account

    def average_in(self, currency: str, *, volume: Decimal, funds: Decimal) -> None:
        """Add a purchase to the average price; call it before `move` adds the coins."""
        account = self.of(currency)
        owned = account.balance + account.locked
        average = (owned * account.avg_buy_price + funds) / (owned + volume)
        self.move(currency)
        self._accounts[currency].avg_buy_price = average.quantize(STEP)

    def take_over(self, accounts: Iterable[SandboxAccount]) -> None:
        """Replace the balances by those of the journal."""
        self._accounts |= {account.currency: account for account in accounts}
