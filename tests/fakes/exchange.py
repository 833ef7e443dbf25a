"""An exchange in memory: market orders fill at the set price, failures are scripted.

As on the real one, the answer to `submit` says WAITING and carries no trades; `find` has them. A
market buy is cut to whole steps of volume and ends CANCELLED when money is left over. A refused
order uses up its identifier too, and `cancel` of a finished order is refused.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

from service.domain.errors import BoundaryError, ExchangeRefused, OutcomeUnknown
from service.domain.markets import (
    Balance,
    Balances,
    BestPrices,
    Candle,
    CandlePage,
    Market,
    MarketRules,
    Ticker,
    Timeframe,
    whole_steps,
)
from service.domain.orders import (
    ZERO,
    ExchangeOrder,
    ExchangeOrderState,
    Intent,
    ListedOrder,
    OrderList,
    OrderType,
    Side,
    Trade,
)
from service.ports.clock import MarketClock
from tests.builders import KRW_BTC, a_ticker, some_rules

Method = Literal[
    "markets",
    "tickers",
    "best_prices",
    "candles",
    "rules",
    "balances",
    "submit",
    "find",
    "cancel",
    "open_orders",
    "closed_orders",
    "orders_by_identifiers",
]  #: names of the port's calls


_EVER: Final = datetime.min.replace(tzinfo=UTC)


class FakeExchange:
    """Satisfies ports.Exchange.

    Attributes:
        calls: every call by method name, in order, failed ones included.
        sent: what reached the book: (intent, identifier).
        held: raised by `check_orders` and `submit` while it is set, as during a hold.
        history: candles by market and timeframe, oldest first; set it freely.
        market_rules: by market; set it freely.
        depth: the coins that one market order finds; what is left of it is cancelled.
        unreadable: how many orders of each list cannot be read; set it freely.
        spread: how far the best price lies above the last one; set it freely.
        offered: coins that the book offers to an order that does not rest on it; None: enough.
        unlisted: identifiers that no list shows yet; set it freely.
    """

    def __init__(
        self,
        *,
        price: Decimal = Decimal(100_000_000),
        balances: Mapping[str, Decimal | int] | None = None,
        clock: MarketClock | None = None,
    ) -> None:
        self._clock = clock
        self.prices = {KRW_BTC: price}
        self.market_rules = {KRW_BTC: some_rules()}
        self.history: dict[tuple[Market, Timeframe], list[Candle]] = defaultdict(list)
        money = {"KRW": 10_000_000} if balances is None else balances
        self.available = defaultdict(Decimal, {name: Decimal(n) for name, n in money.items()})
        self.locked: dict[str, Decimal] = defaultdict(Decimal)
        self.orders: dict[str, ExchangeOrder] = {}
        self.intents: dict[str, Intent] = {}
        self.used: set[str] = set()
        self.depth: Decimal | None = None
        self.unreadable = 0
        self.unreadable_currencies: set[str] = set()  #: rows of the account; set it freely
        self.unlisted: set[str] = set()
        self.spread = ZERO
        self.offered: Decimal | None = None
        self.sent: list[tuple[Intent, str]] = []
        self.calls: list[Method] = []
        self.held: BoundaryError | None = None
        self._failures: dict[Method, deque[tuple[BaseException, bool]]] = defaultdict(deque)
        self._trades = 0

    # --- what a test arranges -------------------------------------------------------------

    def fail_next(self, method: Method, error: BaseException, *, after: bool = False) -> None:
        """Let the next call raise `error`; with `after`, once it took effect, like a lost answer.

        Several errors queue up.
        """
        self._failures[method].append((error, after))

    def set_price(self, price: Decimal | int, market: Market = KRW_BTC) -> None:
        self.prices[market] = Decimal(price)
        self.market_rules.setdefault(market, some_rules(market=market))

    def fill(
        self, identifier: str, *, volume: Decimal | None = None, price: Decimal | None = None
    ) -> None:
        """Match `volume` (default: all that is left) of a waiting limit order."""
        intent, order = self.intents[identifier], self.orders[identifier]
        assert intent.volume is not None, "only an order with a volume can be filled by hand"
        left = intent.volume - order.executed_volume
        self._match(identifier, volume=volume or left, price=price or intent.price or ZERO)
        if self.orders[identifier].executed_volume == intent.volume:
            self._settle(identifier, ExchangeOrderState.DONE)

    # --- the port ---------------------------------------------------------------------------

    async def markets(self) -> frozenset[Market]:
        self._answer("markets")
        return frozenset(self.prices)

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]:
        self._answer("tickers")
        unknown = [market for market in markets if market not in self.prices]
        if unknown:
            raise ExchangeRefused("Upbit refused: http_404", code="http_404")
        return tuple(self._ticker(market, self.prices[market]) for market in markets)

    def _ticker(self, market: Market, price: Decimal) -> Ticker:
        usual = a_ticker()
        low, high = min(price, usual.low), max(price, usual.high)
        return a_ticker(market=market, price=price, low=low, high=high, traded_at=self._now())

    async def best_prices(self, market: Market) -> BestPrices:
        self._answer("best_prices")
        price = self.prices[market]
        tick = self.market_rules[market].tick_size
        return BestPrices(market=market, bid=price - tick, ask=price + self.spread)

    async def candles(
        self, market: Market, timeframe: Timeframe, *, count: int, before: datetime | None = None
    ) -> CandlePage:
        self._answer("candles")
        rows = self.history[market, timeframe]
        older = [c for c in rows if before is None or c.opened_at < before]
        return CandlePage(older[-count:])

    async def rules(self, market: Market) -> MarketRules:
        self._answer("rules")
        return self.market_rules[market]

    async def balances(self) -> Balances:
        self._answer("balances")
        readable = {
            name: Balance(currency=name, available=self.available[name], locked=self.locked[name])
            for name in sorted({*self.available, *self.locked} - self.unreadable_currencies)
        }
        return Balances(readable, unreadable=self.unreadable_currencies)

    def check_orders(self) -> None:
        if self.held is not None:
            raise self.held

    async def submit(
        self,
        intent: Intent,
        *,
        identifier: str,
        before_send: Callable[[], None] = lambda: None,
    ) -> ExchangeOrder:
        self.check_orders()
        before_send()
        failure = self._failure("submit")
        if failure is not None and not failure[1]:
            raise failure[0]
        self._place(intent, identifier)
        waiting = self.orders[identifier]
        if intent.type is OrderType.LIMIT_IOC:
            self._match_at_once(identifier)
        elif intent.price is None:
            self._match_at_market(identifier)
        if failure is not None:
            raise failure[0]
        return waiting

    async def find(self, identifier: str) -> ExchangeOrder | None:
        self._answer("find")
        return self.orders.get(identifier)

    async def open_orders(self) -> OrderList:
        self._answer("open_orders")
        return self._listed(is_open=True)

    async def closed_orders(self, since: datetime, until: datetime) -> OrderList:
        self._answer("closed_orders")
        return self._listed(is_open=False, since=since, until=until)

    async def orders_by_identifiers(self, identifiers: Sequence[str]) -> Mapping[str, ListedOrder]:
        self._answer("orders_by_identifiers")
        return {name: self._in_list(name) for name in identifiers if name in self.orders}

    async def cancel(self, identifier: str) -> None:
        failure = self._failure("cancel")
        if failure is not None and not failure[1]:
            raise failure[0]
        order = self.orders.get(identifier)
        if order is None or order.state is not ExchangeOrderState.WAITING:
            raise ExchangeRefused("Upbit refused: order_not_found", code="order_not_found")
        self._settle(identifier, ExchangeOrderState.CANCELLED)
        if failure is not None:
            raise failure[0]

    # --- the book ---------------------------------------------------------------------------

    def _listed(
        self, *, is_open: bool, since: datetime = _EVER, until: datetime | None = None
    ) -> OrderList:
        return OrderList(
            orders=tuple(
                self._in_list(name)
                for name, order in self.orders.items()
                if (order.state is ExchangeOrderState.WAITING) is is_open
                and name not in self.unlisted
                and since <= order.created_at
                and (until is None or order.created_at <= until)
            ),
            unreadable=self.unreadable,
        )

    def _in_list(self, identifier: str) -> ListedOrder:
        order = self.orders[identifier]
        return ListedOrder(
            order=replace(order, trades=()),
            intent=self.intents[identifier],
            executed_funds=sum((trade.funds for trade in order.trades), ZERO),
        )

    def _failure(self, method: Method) -> tuple[BaseException, bool] | None:
        self.calls.append(method)
        waiting = self._failures[method]
        return waiting.popleft() if waiting else None

    def _answer(self, method: Method) -> None:
        """Record a read; an error before or after its effect makes no difference."""
        failure = self._failure(method)
        if failure is not None:
            raise failure[0]

    def _now(self) -> datetime:
        return self._clock.now() if self._clock else datetime(2026, 1, 24, 9, 0, tzinfo=UTC)

    def _place(self, intent: Intent, identifier: str) -> None:
        if identifier in self.used:
            raise OutcomeUnknown(
                "an order with this identifier exists", code="duplicated_identifier"
            )
        self.used.add(identifier)
        currency, needed = self._needed(intent)
        side = "bid" if intent.side is Side.BUY else "ask"
        if self._notional(intent) < self.market_rules[intent.market].min_funds:
            code = f"under_min_total_{side}"
            raise ExchangeRefused(f"Upbit refused: {code}", code=code)
        if self.available[currency] < needed:
            code = f"insufficient_funds_{side}"
            raise ExchangeRefused(f"Upbit refused: {code}", code=code)
        self.available[currency] -= needed
        self.locked[currency] += needed
        self.sent.append((intent, identifier))
        self.intents[identifier] = intent
        self.orders[identifier] = ExchangeOrder(
            uuid=f"exchange-{len(self.sent)}",
            identifier=identifier,
            market=intent.market,
            side=intent.side,
            state=ExchangeOrderState.WAITING,
            executed_volume=ZERO,
            paid_fee=ZERO,
            created_at=self._now(),
        )

    def _notional(self, intent: Intent) -> Decimal:
        price = intent.price or self.prices[intent.market]
        return intent.funds if intent.funds is not None else price * (intent.volume or ZERO)

    def _needed(self, intent: Intent) -> tuple[str, Decimal]:
        """Return the currency and the amount that the whole order locks."""
        if intent.side is Side.SELL:
            return intent.market.base, intent.volume or ZERO
        fee_ratio = self.market_rules[intent.market].fee_ratio
        return intent.market.quote, self._notional(intent) * (1 + fee_ratio)

    def _match_at_market(self, identifier: str) -> None:
        intent = self.intents[identifier]
        price = self.prices[intent.market]
        wanted = intent.volume or whole_steps((intent.funds or ZERO) / price)
        volume = wanted if self.depth is None else min(wanted, self.depth)
        self._match(identifier, volume=volume, price=price)
        whole = (intent.funds or intent.volume) in {volume * price, volume}
        self._settle(identifier, ExchangeOrderState.DONE if whole else ExchangeOrderState.CANCELLED)

    def _match_at_once(self, identifier: str) -> None:
        intent = self.intents[identifier]
        price, volume = self.prices[intent.market] + self.spread, intent.volume or ZERO
        offered = volume if self.offered is None else min(volume, self.offered)
        is_reached = intent.price is not None and price <= intent.price
        if is_reached and offered:
            self._match(identifier, volume=offered, price=price)
        is_done = is_reached and offered == volume
        self._settle(
            identifier, ExchangeOrderState.DONE if is_done else ExchangeOrderState.CANCELLED
        )

    def _match(self, identifier: str, *, volume: Decimal, price: Decimal) -> None:
        order = self.orders[identifier]
        funds = price * volume
        fee = funds * self.market_rules[order.market].fee_ratio
        self._trades += 1
        trade = Trade(
            uuid=f"trade-{self._trades}",
            price=price,
            volume=volume,
            funds=funds,
            traded_at=self._now(),
        )
        self.orders[identifier] = replace(
            order,
            executed_volume=order.executed_volume + volume,
            paid_fee=order.paid_fee + fee,
            trades=(*order.trades, trade),
            trades_count=order.trades_count + 1,
        )
        quote, base = order.market.quote, order.market.base
        if order.side is Side.BUY:
            self.locked[quote] -= funds + fee
            self.available[base] += volume
        else:
            self.locked[base] -= volume
            self.available[quote] += funds - fee

    def _settle(self, identifier: str, state: ExchangeOrderState) -> None:
        """Close the order and release what it still locks."""
        order = self.orders[identifier] = replace(self.orders[identifier], state=state)
        currency, locked = self._needed(self.intents[identifier])
        if order.side is Side.BUY:
            spent = sum((t.funds for t in order.trades), ZERO) + order.paid_fee
        else:
            spent = order.executed_volume
        self.locked[currency] -= locked - spent
        self.available[currency] += locked - spent
