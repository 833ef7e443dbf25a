"""The account's books with what the twin's fills moved."""

from collections import defaultdict
from decimal import Decimal

from service.domain.orders import ZERO, Side
from tests.fakes.account_books import FakeAccountBooks
from tests.fakes.orders import FakeOrders


class AccountBooksTwin(FakeAccountBooks):
    """Reads the fills that the orders' twin has, as the view of the database does."""

    def __init__(self, orders: FakeOrders) -> None:
        super().__init__()
        self._orders = orders

    @property
    def booked(self) -> defaultdict[str, Decimal]:
        moved: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for of, fill in self._orders.booked:
            intent = self._orders.rows[of].intent
            sign = 1 if intent.side is Side.BUY else -1
            moved[intent.market.base] += sign * fill.volume
            moved[intent.market.quote] -= sign * fill.funds + fill.fee
        return moved

    @booked.setter
    def booked(self, _: object) -> None:
        """Only the fills set it."""
