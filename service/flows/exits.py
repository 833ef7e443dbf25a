"""Sells a position because a rule of protection says so."""

from decimal import Decimal

from service.domain.markets import Market
from service.domain.orders import Breach, ExitRule, Intent, Order, OrderType, Side
from service.domain.trading_states import OrderSource
from service.flows.execute import Executor


class Exits:
    """The one way of every exit. A state that permits sales of rules permits it."""

    def __init__(self, *, executor: Executor) -> None:
        self._executor = executor

    async def sell(
        self, market: Market, volume: Decimal, *, rule: ExitRule, price: Decimal, limit: Decimal
    ) -> Order:
        """Sell at the market, once, and return the order as it is after a few look-ups.

        Args: price, limit: the believed price, and the rule's own that it reached.
        Raises: as Executor.execute.
        """
        intent = Intent(market=market, side=Side.SELL, type=OrderType.MARKET, volume=volume)
        return await self._executor.execute(
            intent,
            decision_id=None,
            source=OrderSource.RULE,
            breach=Breach(rule=rule, price=price, limit=limit),
        )
