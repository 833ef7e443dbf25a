"""Compares our stored positions with the balances of the exchange, and corrects nothing.

Only missing coins are a contradiction. Extra coins belong to the account's owner: a deposit, an
airdrop, or an order made by hand. They are not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from loguru import logger

from service.domain.orders import ZERO
from service.ports.exchange import Exchange
from service.ports.store import Orders

LOOKS_IN_A_ROW: Final = 2  #: balances and trades come in two answers; one may trail the other


@dataclass(frozen=True, slots=True)
class _Look:
    held: Mapping[str, Decimal]  #: our coins by currency
    moving: frozenset[str]  #: currencies that an order of ours may be moving


class HoldingsCheck:
    def __init__(self, *, orders: Orders, exchange: Exchange) -> None:
        self._orders = orders
        self._exchange = exchange
        self._short: dict[str, int] = {}  #: by currency, looks in a row

    @property
    def disagree(self) -> bool:
        """Whether coins of a stored position were missing in two looks in a row."""
        return any(looks >= LOOKS_IN_A_ROW for looks in self._short.values())

    async def compare(self) -> None:
        """Compare every position with the account. Raises: BoundaryError."""
        before = await self._look()
        if not before.held and not self._short:
            return
        balances = await self._exchange.balances()
        after = await self._look()
        for currency in (before.held.keys() | self._short.keys()) - before.moving - after.moving:
            volume = after.held.get(currency, ZERO)
            # An unequal volume means a trade meanwhile: the balance may be from before or after it.
            if before.held.get(currency, ZERO) == volume:
                balance = balances.get(currency)
                self._judge(currency, is_short=volume > (balance.total if balance else ZERO))

    def forget(self) -> None:
        """Drop all findings: another process holds the trading lease now."""
        self._short.clear()

    def _judge(self, currency: str, *, is_short: bool) -> None:
        looks = self._short.get(currency, 0)
        # Without volumes: holdings never appear in a log.
        line = logger.bind(event="order", currency=currency)
        if is_short:
            self._short[currency] = looks + 1
            if looks + 1 == LOOKS_IN_A_ROW:
                line.error("the exchange holds fewer coins than our stored position; compare them")
        elif self._short.pop(currency, 0) >= LOOKS_IN_A_ROW:
            line.info("the exchange holds the coins of our stored position again")

    async def _look(self) -> _Look:
        moving = {
            currency
            for order in await self._orders.open()
            for currency in (order.market.base, order.market.quote)
        }
        positions = await self._orders.positions()
        # Coins that are another market's quote currency also leave by a purchase there.
        moving |= {position.market.quote for position in positions}
        held: dict[str, Decimal] = {}
        for position in positions:
            if position.volume:
                currency = position.market.base
                held[currency] = held.get(currency, ZERO) + position.volume
        return _Look(held, frozenset(moving))
