"""The exchange of a history: the sandbox's own engine, and what it showed at each instant."""

import random
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Final

from service.domain.markets import Market
from service.sandbox.errors import RequestRefused, refused
from service.sandbox.exchange.engine import Engine
from service.sandbox.exchange.order_request import read_market
from service.sandbox.exchange.records import Record
from service.sandbox.market.generator import PriceGenerator
from service.sandbox.market.prints import Prints, step_at
from service.sandbox.market.ticks import decimal, tick_size
from service.sandbox.upbit_api.bodies import account_body, chance_body, order_body
from service.sandbox.upbit_api.quotes import book_body
from tests.builders import KRW_BTC, T0

KRW_ETH: Final = Market("KRW", "ETH")
MARKETS: Final = (KRW_BTC, KRW_ETH)
OPENING: Final = {"KRW": Decimal(100_000_000)}
_MARKET_SEED: Final = 7
_HOURS: Final = 20  #: histories begin within so many hours of the generated market

Body = Any  #: JSON
Params = Mapping[str, str]


@cache
def _prints() -> Mapping[Market, Prints]:
    """One generated market serves every history of this interpreter: its days cost the most."""
    return {market: Prints(PriceGenerator(_MARKET_SEED, market)) for market in MARKETS}


class ExchangeSite:
    """Answers requests as the sandbox's handlers do, now or as it was some seconds ago.

    Attributes:
        accepted: the identifiers of accepted orders with the instant of each, in order.
        posts: the identifier of every order request that arrived, also of refused ones.
    """

    def __init__(self, seconds: Callable[[], float], rng: random.Random) -> None:
        self._seconds = seconds
        self.origin = self.begin(rng)
        self.prints = self.market(rng)
        self._ids = 0
        self.posts: list[str] = []
        self.accepted: dict[str, float] = {}
        self._order_views: dict[str, list[tuple[float, Body]]] = {}
        self._account_views: list[tuple[float, Body]] = []
        self.engine = Engine(
            prints=self.prints,
            seed=_MARKET_SEED,
            opening=OPENING,
            journal=self,
            new_id=self._new_id,
        )
        self._see_accounts()

    def begin(self, rng: random.Random) -> datetime:
        """Return the market's instant at which the history begins."""
        return T0 + timedelta(minutes=rng.randrange(_HOURS * 60))

    def market(self, rng: random.Random) -> Mapping[Market, Prints]:
        """Return what each market trades at."""
        del rng
        return _prints()

    def now(self) -> datetime:
        return self.origin + timedelta(seconds=self._seconds())

    def price(self, market: Market) -> Decimal:
        return decimal(self.prints[market].newest(step_at(self.now())).price)

    def advance(self) -> None:
        self.engine.advance(self.now())

    def deposit(self, currency: str, amount: Decimal) -> None:
        """Money or coins come, or go (negative), without a trade."""
        self.engine._accounts.move(currency, balance=amount)
        self._see_accounts()

    def trade_by_hand(self, market: Market, *, funds: Decimal) -> None:
        """The account's owner buys in the exchange's own app: an order without our prefix."""
        fields = {"market": str(market), "side": "bid", "ord_type": "price", "price": str(funds)}
        self.engine.place(fields, self.now())

    # --- the journal: what changed becomes a view ----------------------------------------------

    def append(self, record: Record) -> None:
        for order in record.get("orders", ()):
            body = order_body(self.engine.orders[order["uuid"]], trades=True, funds=True)
            self._order_views.setdefault(order["uuid"], []).append((self._seconds(), body))
        if "accounts" in record:
            self._see_accounts()

    def _see_accounts(self) -> None:
        bodies = [account_body(account) for account in self.engine.accounts()]
        self._account_views.append((self._seconds(), bodies))

    # --- requests ------------------------------------------------------------------------------

    def handle(self, method: str, path: str, params: Params, *, lag_s: float = 0.0) -> Body:
        """Execute the request; a read shows the account as it was `lag_s` ago.

        Raises: RequestRefused, with Upbit's status and name.
        """
        self.advance()
        return self._routes[method, path](self, params, lag_s)

    def _place(self, params: Params, _: float) -> Body:
        self.posts.append(params["identifier"])
        accepted = self.engine.place(params, self.now())
        self.accepted[params["identifier"]] = self._seconds()
        return order_body(accepted)

    def _find(self, params: Params, lag_s: float) -> Body:
        return self._seen(self._uuid(params), lag_s)

    def _cancel(self, params: Params, _: float) -> Body:
        order = self.engine.orders[self._uuid(params)]
        return order_body(self.engine.cancel(order, self.now()), funds=True)

    def _uuid(self, params: Params) -> str:
        found = self.engine.find(uuid=params.get("uuid"), identifier=params.get("identifier"))
        return found.uuid

    def _seen(self, uuid: str, lag_s: float) -> Body:
        body = _newest(self._order_views[uuid], self._seconds() - lag_s)
        if body is None:
            raise refused("order_not_found")
        return body

    def _listed(self, params: Params, lag_s: float, states: set[str]) -> Body:
        found = []
        for uuid in self.engine.orders:
            body = _newest(self._order_views[uuid], self._seconds() - lag_s)
            if body is None or body["state"] not in states:
                continue
            if params.get("market") in (None, body["market"]):
                found.append({name: body[name] for name in body if name != "trades"})
        if params.get("order_by", "desc") == "desc":
            found.reverse()
        limit, page = int(params.get("limit", "100")), int(params.get("page", "1"))
        return found[(page - 1) * limit : page * limit]

    def _open(self, params: Params, lag_s: float) -> Body:
        return self._listed(params, lag_s, {"wait"})

    def _closed(self, params: Params, lag_s: float) -> Body:
        start, end = params.get("start_time"), params.get("end_time")
        return [
            body
            for body in self._listed(params, lag_s, {"done", "cancel"})
            if (start is None or _instant(start) <= _instant(body["created_at"]))
            and (end is None or _instant(body["created_at"]) <= _instant(end))
        ]

    def _accounts(self, _: Params, lag_s: float) -> Body:
        # The account is older than the history: the first view holds for all of its past.
        return _newest(self._account_views, max(0.0, self._seconds() - lag_s))

    def _chance(self, params: Params, _: float) -> Body:
        market, engine = read_market(params.get("market"), self.prints.keys()), self.engine
        accounts = {
            "quote": engine.account(market.quote),
            "base": engine.account(market.base),
        }
        return chance_body(market, **accounts)

    def _ticker(self, params: Params, _: float) -> Body:
        return [self._quote(Market.parse(name)) for name in params["markets"].split(",")]

    def _instruments(self, params: Params, _: float) -> Body:
        market = Market.parse(params["markets"])
        return [{"market": str(market), "tick_size": str(tick_size(self.price(market)))}]

    def _book(self, params: Params, _: float) -> Body:
        market = Market.parse(params["markets"])
        return [book_body(market, self.engine.book(market, self.now()), count=1, now=self.now())]

    def _listing(self, _: Params, __: float) -> Body:
        return [{"market": str(market)} for market in self.prints]

    def _quote(self, market: Market) -> Body:
        """A ticker with the newest price only: the sandbox's adds up a whole year."""
        price = float(self.price(market))
        return {
            "market": str(market),
            "trade_price": price,
            "high_price": price,
            "low_price": price,
            "acc_trade_volume_24h": 1.0,
            "signed_change_rate": 0.0,
            "trade_timestamp": int(self.now().timestamp() * 1000),
        }

    _routes: ClassVar[Mapping[tuple[str, str], Callable[..., Body]]] = {
        ("POST", "/v1/orders"): _place,
        ("GET", "/v1/order"): _find,
        ("DELETE", "/v1/order"): _cancel,
        ("GET", "/v1/orders/open"): _open,
        ("GET", "/v1/orders/closed"): _closed,
        ("GET", "/v1/accounts"): _accounts,
        ("GET", "/v1/orders/chance"): _chance,
        ("GET", "/v1/market/all"): _listing,
        ("GET", "/v1/ticker"): _ticker,
        ("GET", "/v1/orderbook/instruments"): _instruments,
        ("GET", "/v1/orderbook"): _book,
    }

    def _new_id(self) -> str:
        self._ids += 1
        return f"e-{self._ids}"


def _newest(views: list[tuple[float, Body]], at: float) -> Body:
    place = bisect_right(views, at, key=lambda view: view[0])
    return views[place - 1][1] if place else None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


__all__ = ["KRW_ETH", "MARKETS", "OPENING", "Body", "ExchangeSite", "RequestRefused"]
