"""The account's books in memory; what fills moved is set by the test."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from service.domain.account import CurrencyBook, NewDeposit
from service.domain.errors import DepositDetected
from service.domain.orders import ZERO, ExchangeOrderState, ListedOrder, Side
from service.ports.queries import Page, PageKey
from tests.fakes.orders import FakeOrders


class FakeAccountBooks:
    """Satisfies ports.AccountBooks and ports.Deposits.

    Attributes:
        booked: by currency, what all fills moved so far; set it freely.
        deposits: detected ones: currency and amount.
        told: what operators told, with whether the account has shown it.
        differences: by currency, expected and actual.
        began_at: the instant of the first baselines.
    """

    def __init__(self) -> None:
        self.booked: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.baselines: dict[str, tuple[Decimal, Decimal, Decimal, datetime]] = {}
        self.external: dict[str, ListedOrder] = {}
        self.deposits: list[tuple[str, Decimal]] = []
        self.told: list[tuple[NewDeposit, bool]] = []
        self.differences: dict[str, tuple[Decimal, Decimal]] = {}
        self.began_at: datetime | None = None

    async def books(self) -> Mapping[str, CurrencyBook] | None:
        if not self.baselines:
            return None
        first = min(at for *_, at in self.baselines.values())
        external = self._external()
        found = {}
        for currency in self.baselines.keys() | self.booked.keys() | external.keys():
            amount, booked, others, at = self.baselines.get(currency, (ZERO, ZERO, ZERO, first))
            found[currency] = CurrencyBook(
                currency=currency,
                amount=amount,
                at=at,
                moved=self.booked[currency] - booked,
                moved_by_others=external[currency] - others,
                booked=self.booked[currency],
                external=external[currency],
            )
        return found

    async def begin(self, amounts: Mapping[str, Decimal], *, at: datetime) -> None:
        external = self._external()
        self.began_at = self.began_at or at
        for currency in amounts.keys() | self.booked.keys() | external.keys():
            self.baselines.setdefault(
                currency,
                (amounts.get(currency, ZERO), self.booked[currency], external[currency], at),
            )

    async def settle(self, book: CurrencyBook, actual: Decimal, *, at: datetime) -> None:
        stored = self.baselines.get(book.currency)
        if stored is None or stored[-1] <= at:  # only a newer look moves a baseline
            self.baselines[book.currency] = (actual, book.booked, book.external, at)
        self.differences.pop(book.currency, None)

    async def settle_difference(
        self, book: CurrencyBook, actual: Decimal, *, at: datetime, as_deposit: bool
    ) -> bool:
        amount = book.difference(actual)
        for place, (told, is_seen) in enumerate(self.told):
            if not is_seen and (told.currency, told.amount) == (book.currency, amount):
                self.told[place] = (told, True)
                break
        else:
            if not as_deposit:
                return False
            self.deposits.append((book.currency, amount))
        await self.settle(book, actual, at=at)
        return True

    async def put_difference(self, book: CurrencyBook, actual: Decimal, *, at: datetime) -> None:
        self.differences[book.currency] = (book.expected, actual)

    async def put_external(
        self, orders: Sequence[ListedOrder], *, ended: Collection[str] = frozenset(), at: datetime
    ) -> None:
        for listed in orders:
            order = listed.order
            is_open = order.state is ExchangeOrderState.WAITING
            known = self.external.get(order.uuid)
            if known is not None and known.order.executed_volume > order.executed_volume:
                continue  # an older answer moves nothing back
            if is_open or order.executed_volume or known is not None:
                self.external[order.uuid] = listed
        for uuid in set(ended) & self.external.keys():
            gone = self.external[uuid]
            order = replace(gone.order, state=ExchangeOrderState.CANCELLED)
            self.external[uuid] = replace(gone, order=order)

    async def open_external(self) -> Mapping[str, datetime]:
        return {
            uuid: listed.order.created_at
            for uuid, listed in self.external.items()
            if listed.order.state is ExchangeOrderState.WAITING
        }

    async def add(self, deposit: NewDeposit) -> int:
        """Without instants: any detected deposit of the amount is the same one."""
        detected = (deposit.currency, deposit.amount) in self.deposits
        if detected and not deposit.is_another:
            raise DepositDetected("deposit 1 has this amount")
        self.told.append((deposit, deposit.corrects is not None))
        return len(self.told)

    def _external(self) -> defaultdict[str, Decimal]:
        moved: defaultdict[str, Decimal] = defaultdict(Decimal)
        for listed in self.external.values():
            order, sign = listed.order, 1 if listed.order.side is Side.BUY else -1
            moved[order.market.base] += sign * order.executed_volume
            funds = listed.executed_funds or ZERO
            moved[order.market.quote] -= sign * funds + order.paid_fee
        return moved


class FakeAccountLists:
    """Satisfies ports.AccountLists."""

    async def deposits(self, *, limit: int, before: PageKey | None = None) -> Page:
        return Page(b'[{"id":1}]', None)

    async def deposit(self, deposit_id: int) -> bytes | None:
        return b'{"id":%d}' % deposit_id

    async def differences(self) -> bytes:
        return b'[{"currency":"BTC"}]'


class AccountBooksTwin(FakeAccountBooks):
    """Moved by the fills of the orders' twin, as the view of the database is.

    `tests/integration/store/test_account_contract.py` holds it to PostgreSQL's tests.
    """

    def __init__(self, orders: FakeOrders) -> None:
        super().__init__()
        self._orders = orders

    async def books(self) -> Mapping[str, CurrencyBook] | None:
        self._add_up()
        return await super().books()

    async def begin(self, amounts: Mapping[str, Decimal], *, at: datetime) -> None:
        self._add_up()
        await super().begin(amounts, at=at)

    def _add_up(self) -> None:
        self.booked.clear()
        for of, fill in self._orders.booked:
            intent = self._orders.rows[of].intent
            sign = 1 if intent.side is Side.BUY else -1
            self.booked[intent.market.base] += sign * fill.volume
            self.booked[intent.market.quote] -= sign * fill.funds + fill.fee
