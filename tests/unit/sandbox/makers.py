"""Pieces of an exchange for tests: prints written by hand, an engine on them."""

from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

from service.domain.markets import Market
from service.sandbox.exchange.engine import Engine
from service.sandbox.exchange.journal import NullJournal, OrderJournal
from service.sandbox.exchange.orders import FEE_RATIO, SandboxOrder
from service.sandbox.market.prints import DAY_STEPS, STEP_S, Day, Prints, instant_of
from service.sandbox.market.ticks import UNITS

KRW_BTC = Market("KRW", "BTC")
DAY = 20_000  #: the day, counted from 1970, on which the hand-written prints begin
START = instant_of(DAY * DAY_STEPS)


class Written:
    """A source that prints the given prices, one a step from START, then stands still."""

    def __init__(self, prices: Sequence[int], *, volume: int = UNITS) -> None:
        self._prices = array("q", [price * UNITS for price in prices])
        self._volume = volume
        self.last_step: int | None = DAY * DAY_STEPS + len(prices) - 1

    def day(self, number: int) -> Day:
        prices = self._prices if number == DAY else self._prices[:0]
        volumes = array("q", [self._volume] * len(prices))
        return Day(steps=range(len(prices)), prices=prices, volumes=volumes)

    def close(self, number: int) -> int:
        return self._prices[-1]


def at(step: int) -> datetime:
    return START + timedelta(seconds=step * STEP_S)


def an_engine(
    *prices: int,
    krw: int | str = 10_000_000,
    btc: str = "0",
    journal: OrderJournal | None = None,
    volume: int = UNITS,
) -> Engine:
    numbers = count(1)
    engine = Engine(
        prints={KRW_BTC: Prints(Written(prices, volume=volume))},
        seed=7,
        opening={"KRW": Decimal(krw), "BTC": Decimal(btc)},
        journal=journal or NullJournal(),
        new_id=lambda: f"id-{next(numbers)}",
    )
    engine.advance(START)
    return engine


def fields(**overrides: str | None) -> Mapping[str, str | None]:
    """Return a market buy for 100,000 KRW unless told otherwise."""
    usual = {"market": "KRW-BTC", "side": "bid", "ord_type": "price", "price": "100000"}
    return usual | overrides


def limit(side: str, price: str, volume: str, **rest: str) -> Mapping[str, str | None]:
    return fields(side=side, ord_type="limit", price=price, volume=volume, **rest)


def assert_explained(engine: Engine) -> None:
    """Every balance is its opening plus what the trades moved, every lock an open order's."""
    total = dict(engine.opening)
    locked: dict[str, Decimal] = {}
    for order in engine.orders.values():
        _book(order, total)
        if order.state == "wait":
            locked[order.currency] = locked.get(order.currency, Decimal(0)) + order.locked
    for currency in {*total, *locked}:
        account = engine.account(currency)
        assert account.balance >= 0
        assert account.locked == locked.get(currency, 0)
        assert account.balance + account.locked == total[currency]


def _book(order: SandboxOrder, total: dict[str, Decimal]) -> None:
    base = order.request.market.base
    sign = 1 if order.is_bid else -1
    for trade in order.trades:
        assert trade.funds == trade.price * trade.volume
        assert trade.fee == trade.funds * FEE_RATIO
        total[base] = total.get(base, Decimal(0)) + sign * trade.volume
        total["KRW"] -= sign * trade.funds + trade.fee
    assert order.paid_fee == sum((trade.fee for trade in order.trades), Decimal(0))
    assert order.executed_volume == sum((t.volume for t in order.trades), Decimal(0))
