"""Sells a position because a rule of protection says so."""

from decimal import Decimal

from service.domain.errors import OrderUnwritten
from service.domain.markets import Market
from service.domain.orders import Breach, ExitRule, Intent, Order, OrderType, Side
from service.domain.trading_states import OrderSource
from service.flows.execute import Executor
from service.flows.unstored_orders import UnstoredOrders


class Exits:
    """The one way of every exit. A state that permits sales of rules permits it.

    Args: unstored_orders: the way while the database is away; None: there is none.
    """

    def __init__(
        self, *, executor: Executor, unstored_orders: UnstoredOrders | None = None
    ) -> None:
        self._executor = executor
        self._unstored_orders = unstored_orders

    async def sell(
        self, market: Market, volume: Decimal, *, rule: ExitRule, price: Decimal, limit: Decimal
    ) -> Order:
        """Sell at the market, once, and return the order as it is after a few look-ups.

        With the database away it leaves from the exit journal, and its `id` is NO_ROW.

        Args: price, limit: the believed price, and the rule's own that it reached.
        Raises: as Executor.execute and UnstoredOrders.sell.
        """
        intent = Intent(market=market, side=Side.SELL, type=OrderType.MARKET, volume=volume)
        breach = Breach(rule=rule, price=price, limit=limit)
        # Of both ways: where it is not known whether there is a row, it is the same order.
        identifier = self._executor.new_identifier()
        unstored_orders = self._unstored_orders
        if unstored_orders is not None and unstored_orders.is_needed:
            return await unstored_orders.sell(intent, identifier=identifier, breach=breach)
        try:
            return await self._executor.execute(
                intent,
                decision_id=None,
                source=OrderSource.RULE,
                breach=breach,
                identifier=identifier,
            )
        except OrderUnwritten:
            if unstored_orders is None:
                raise
        return await unstored_orders.sell(intent, identifier=identifier, breach=breach)
