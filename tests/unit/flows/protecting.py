"""A position that is protected, on fakes."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

from service.bus import FillsFound, OrderFilled
from service.domain.alerts import Alert, Notice
from service.domain.markets import Market
from service.domain.orders import Intent, Order, OrderType, Side
from service.domain.prices import LivePrice, PriceSource
from service.domain.trading_states import OrderSource
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from service.flows.exits import Exits
from service.flows.follow_exits import ExitFollower
from service.flows.live_prices import LivePrices
from service.flows.protect import Protector
from service.flows.unstored_orders import UnstoredOrders
from service.flows.watched_positions import WatchedPositions
from tests.builders import KRW_BTC, a_ticker, an_intent
from tests.fakes.protections import FakeProtections
from tests.unit.flows.conftest import House

PRICE: Final = Decimal(100_000_000)  #: at which everything is bought


class ListedNotices(AlertBuffer):
    def __init__(self) -> None:
        super().__init__()
        self.notices: list[Notice] = []

    def add(self, notice: Notice) -> Notice | None:
        self.notices.append(notice)
        return super().add(notice)


@dataclass
class Guard:
    """A house with its protection.

    Attributes:
        sold: the sales that reached the book.
        unstored_orders: the way of an exit while the database is away; None: there is none.
    """

    house: House
    rows: FakeProtections = field(default_factory=FakeProtections)
    unstored_orders: UnstoredOrders | None = None

    def __post_init__(self) -> None:
        house = self.house
        self.positions = WatchedPositions()
        self.prices = LivePrices(clock=house.clock, settings=house.settings)
        self.buffer = ListedNotices()
        self.alerts = AlertMonitor(alert_buffer=self.buffer, clock=house.clock)
        self.protector = Protector(
            positions=self.positions,
            orders=house.orders,
            rows=self.rows,
            market_data=house.market_data,
            prices=self.prices,
            exchange=house.exchange,
            open_sales=house.open_sales,
            leadership=house.leadership,
            switch=house.trading_switch,
            settings=house.settings,
            alerts=self.alerts,
            unprotected=house.unstored_orders.unprotected,
            clock=house.clock,
            real_clock=house.clock,
        )
        self.follower = ExitFollower(
            positions=self.positions,
            exits=Exits(executor=house.executor, unstored_orders=self.unstored_orders),
            open_sales=house.open_sales,
            cancels=house.order_cancels,
            exchange=house.exchange,
            prices=self.prices,
            switch=house.trading_switch,
            real_clock=house.clock,
        )
        self.prices.subscribe(self.protector.hear)
        house.bus.subscribe(OrderFilled, self.protector.filled)
        house.bus.subscribe(FillsFound, self.protector.found)

    @property
    def sold(self) -> list[Decimal | None]:
        return [intent.volume for intent, _ in self.house.exchange.sent if intent.volume]

    async def buy(self, funds: int = 100_000, market: Market = KRW_BTC) -> Order:
        self.house.exchange.set_price(PRICE, market)
        intent = an_intent(market=market, funds=Decimal(funds))
        return await self.house.executor.execute(intent, decision_id=None)

    async def order(self, intent: Intent) -> Order:
        return await self.house.executor.execute(intent, decision_id=None)

    def hear(self, price: Decimal | int, market: Market = KRW_BTC) -> LivePrice | None:
        """Let the feed and the exchange have this price; small steps, so that it is believed."""
        value = Decimal(price)
        self.house.exchange.set_price(value, market)
        self.prices.anchor(market, value)
        ticker = a_ticker(
            market=market, price=value, low=value, high=value, traded_at=self.house.clock.now()
        )
        return self.prices.hear(ticker, source=PriceSource.STREAM)

    def sell_unbooked(self, identifier: str, volume: Decimal, market: Market = KRW_BTC) -> None:
        """Let coins be sold as from the exit journal: their fills wait for the database."""
        sale = Intent(market=market, side=Side.SELL, type=OrderType.MARKET, volume=volume)
        self.house.open_sales.begin(identifier, sale, source=OrderSource.RULE)
        self.house.open_sales.ended_at(identifier, executed=volume)

    async def follow(self, *, passes: int = 1, seconds: float = 0.0) -> None:
        """Make the exits' next orders, one after the other."""
        for _ in range(passes):
            self.house.clock.pass_time(seconds)
            for watched, one in self.follower.due():
                await self.follower.attempt(watched, one)

    async def fall(self, price: Decimal | int) -> None:
        """Let the price fall, and carry out what is due."""
        self.hear(price)
        await self.follow()

    async def wait(self, seconds: float) -> None:
        """Let time pass while the upkeep runs, with the lease renewed."""
        until = self.house.clock.now() + timedelta(seconds=seconds)
        while self.house.clock.now() < until:
            self.house.clock.pass_time(1)
            await self.house.leadership.renew()
            await self.protector.watch()
            await self.protector.keep()

    def told(self) -> list[str]:
        """Return the keys of the alerts so far, and of their ends, which begin with a minus."""
        return [("" if isinstance(one, Alert) else "-") + one.key for one in self.buffer.notices]
