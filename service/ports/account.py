"""The account's books: baselines, orders of other programs, deposits."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from service.domain.account import CurrencyBook, NewDeposit
from service.domain.orders import ListedOrder
from service.ports.queries import Page, PageKey


class AccountBooks(Protocol):
    """Raises StoreBusy, StoreDown or StoreTimeout."""

    async def books(self) -> Mapping[str, CurrencyBook] | None:
        """Return the book of every currency that anything is known of; None before `begin`.

        All of it is read in one statement, so fills and sums belong together.
        """

    async def begin(self, amounts: Mapping[str, Decimal], *, at: datetime) -> None:
        """Store the first baselines; what was traded before is in these amounts."""

    async def settle(self, book: CurrencyBook, actual: Decimal, *, at: datetime) -> None:
        """Store that `book` explains `actual`: the currency's next baseline."""

    async def settle_difference(
        self, book: CurrencyBook, actual: Decimal, *, at: datetime, as_deposit: bool
    ) -> bool:
        """Explain the difference by a deposit, and store the next baseline, all or nothing.

        A deposit of that amount which an operator told of counts first. Without one a detected
        deposit is stored, or, unless `as_deposit`, nothing at all: then it returns False.
        """

    async def put_difference(self, book: CurrencyBook, actual: Decimal, *, at: datetime) -> None:
        """Store a difference that nothing explains, for the operator."""

    async def put_external(
        self, orders: Sequence[ListedOrder], *, ended: Collection[str] = (), at: datetime
    ) -> None:
        """Store what other programs' orders have executed so far, each order once.

        Args: ended: uuids of stored ones that are in no list any more.
        """

    async def open_external(self) -> Mapping[str, datetime]:
        """Return the orders of other programs that were open last: when each was made, by uuid."""


class Deposits(Protocol):
    async def add(self, deposit: NewDeposit) -> int:
        """Store what an operator tells, once; return its id.

        Raises: DepositDetected, when one of this amount was detected within a week of it, unless
            the deposit says that it is another one; InvalidRequest, when it corrects one that is
            not there, is of another currency, or has less left to take back.
        """


class AccountLists(Protocol):
    """Ready JSON: money as decimal strings, instants as RFC 3339 UTC."""

    async def deposits(self, *, limit: int, before: PageKey | None = None) -> Page:
        """Return deposits and withdrawals, the newest first."""

    async def deposit(self, deposit_id: int) -> bytes | None: ...

    async def differences(self) -> bytes:
        """Return a JSON array: expected and actual amount of each unexplained currency."""
