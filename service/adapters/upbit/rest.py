"""ports.Exchange over Upbit's REST API."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Final

import aiohttp

from service.adapters.clock import SystemClock
from service.adapters.upbit import account, order_lists, orders, quotation
from service.adapters.upbit.client import Client
from service.adapters.upbit.errors import translated
from service.adapters.upbit.key_meter import KeyMeter
from service.adapters.upbit.limits import Group, Limiter, Share
from service.adapters.upbit.market_events import MarketEvents
from service.adapters.upbit.sign import Signer
from service.adapters.upbit.skew import SkewMeter
from service.adapters.upbit.wire import checked_identifier, instant
from service.crashpoints import crashpoint
from service.domain.errors import ExchangeRefused
from service.domain.key_answers import KeyAnswer
from service.domain.markets import (
    Balances,
    BestPrices,
    CandlePage,
    Market,
    MarketRules,
    Ticker,
    Timeframe,
)
from service.domain.orders import ExchangeOrder, Intent, ListedOrder, OrderList, Side
from service.ports.clock import RealClock

MOST_CANDLES: Final = 200


class UpbitRest:
    """Satisfies ports.Exchange. The caller owns the session and closes it.

    Addresses are without `/v1`. Limits and bans use the real clock, in
    the sandbox too. `paced=False` applies no limits of our own, for a sandbox whose
    market's time runs faster. `seconds` is the clock of the waits that a 429 asks for; jobs count
    their waits between attempts by the same clock.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        quotation_url: str,
        exchange_url: str,
        access_key: str,
        secret_key: str,
        real_clock: RealClock | None = None,
        paced: bool = True,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        self._access_key = access_key
        self._skew, self._key = SkewMeter(), KeyMeter()
        real_clock = real_clock or SystemClock()
        self._client = Client(
            session,
            quotation_url=quotation_url,
            exchange_url=exchange_url,
            signer=Signer(access_key, secret_key),
            limiter=Limiter(real_clock, paced=paced, seconds=seconds),
            skew=self._skew,
            key=self._key,
        )
        #: Tells of each market's warnings and end; the WebSocket's client lets it hear tickers.
        self.market_events = MarketEvents(self._detailed_markets, seconds=real_clock.monotonic)

    def watching(self, session: aiohttp.ClientSession) -> "UpbitRest":
        """Return the same account over another session, for what only looks.

        It gets a smaller share of each rate limit. Waits and bans hold for both.
        """
        other = copy(self)
        other._client = self._client.beside(  # noqa: SLF001 - a copy of this very object
            session, share=Share.WATCHING
        )
        return other

    @property
    def clock_skew_s(self) -> float | None:
        """Return the least seconds by which our clock is ahead of Upbit's, or None."""
        return self._skew.seconds

    def take_clock_skews_s(self) -> tuple[float, ...]:
        """Return and clear the skews of the answers since the last call; for one caller."""
        return self._skew.take()

    def take_key_answers(self) -> tuple[KeyAnswer, ...]:
        """Return and clear what answers said of our key since the last call; for one caller."""
        return self._key.take()

    async def markets(self) -> frozenset[Market]:
        with translated(writing=False):
            return quotation.markets(
                await self._client.get_public("/v1/market/all", group=Group.MARKET)
            )

    async def _detailed_markets(self) -> object:
        return await self._client.get_public(
            "/v1/market/all", {"is_details": "true"}, group=Group.MARKET
        )

    async def tickers(self, markets: Sequence[Market]) -> tuple[Ticker, ...]:
        if not markets:
            return ()
        params = {"markets": ",".join(map(str, markets))}
        with translated(writing=False):
            payload = await self._client.get_public("/v1/ticker", params, group=Group.TICKER)
            return quotation.tickers(payload, markets)

    async def best_prices(self, market: Market) -> BestPrices:
        with translated(writing=False):
            payload = await self._client.get_public(
                "/v1/orderbook", {"markets": str(market), "count": "1"}, group=Group.ORDERBOOK
            )
            return quotation.best_prices(payload, market)

    async def candles(
        self, market: Market, timeframe: Timeframe, *, count: int, before: datetime | None = None
    ) -> CandlePage:
        if not 1 <= count <= MOST_CANDLES:
            raise ValueError(f"Upbit gives 1 to {MOST_CANDLES} candles at once, not {count}")
        params = {"market": str(market)}
        if before is not None:
            params["to"] = instant(before)
        params["count"] = str(count)
        with translated(writing=False):
            payload = await self._client.get_public(
                quotation.CANDLE_PATHS[timeframe], params, group=Group.CANDLE
            )
            return quotation.candles(payload, market, timeframe, before=before)

    async def rules(self, market: Market) -> MarketRules:
        """Ask for terms and tick each time: the tick follows the price, and the fee may change."""
        with translated(writing=False):
            chance = await self._client.get_private("/v1/orders/chance", {"market": str(market)})
            instruments = await self._client.get_public(
                "/v1/orderbook/instruments", {"markets": str(market)}, group=Group.ORDERBOOK
            )
            standing = await self.market_events.of(market)
            return account.rules(chance, instruments, market, standing)

    async def balances(self) -> Balances:
        with translated(writing=False):
            return account.balances(await self._client.get_private("/v1/accounts"))

    async def key_expires_at(self) -> datetime | None:
        """Return when our key expires, real time; None when Upbit's list has no such key."""
        with translated(writing=False):
            payload = await self._client.get_private("/v1/api_keys")
            return account.key_expires_at(payload, self._access_key)

    def check_orders(self) -> None:
        """Raises: ExchangeUnavailable, not sent, while Upbit has asked us to send no orders."""
        self._client.check(Group.ORDER, endpoint="POST /v1/orders")

    async def submit(
        self, intent: Intent, *, identifier: str, before_send: Callable[[], None]
    ) -> ExchangeOrder:
        """Send the order, once.

        Raises: what `before_send` raises, when it does, or ExchangeUnavailable: the order was
        certainly not sent; ExchangeRefused, when it is certainly not on the book; OutcomeUnknown
        otherwise.
        """
        body = orders.order_body(intent, checked_identifier(identifier))
        with translated(writing=True):
            payload = await self._client.post(
                "/v1/orders",
                body,
                # A sale reduces the risk: a purchase leaves it a part of the limit.
                share=Share.WHOLE if intent.side is Side.SELL else Share.TRADING,
                before_send=before_send,
            )
            crashpoint("post.after_response")
            return orders.placed(payload, intent, identifier)

    async def find(self, identifier: str) -> ExchangeOrder | None:
        try:
            # What it says about one order counts: a proxy's 404 must not put orders aside.
            with translated(writing=False, named=True):
                payload = await self._client.get_private("/v1/order", _named(identifier))
                return orders.order(payload, identifier)
        except ExchangeRefused as exc:
            if exc.code == "order_not_found":
                return None
            raise

    async def open_orders(self) -> OrderList:
        with translated(writing=False):
            return await order_lists.open_orders(self._client)

    async def closed_orders(self, since: datetime, until: datetime) -> OrderList:
        with translated(writing=False):
            return await order_lists.closed_orders(self._client, since, until)

    async def orders_by_identifiers(self, identifiers: Sequence[str]) -> Mapping[str, ListedOrder]:
        checked = [checked_identifier(identifier) for identifier in identifiers]
        with translated(writing=False):
            return await order_lists.orders_by_identifiers(self._client, checked)

    async def cancel(self, identifier: str) -> None:
        """Ask for cancellation.

        A refusal proves nothing: the request may have been sent twice, and the first have worked.
        """
        with translated(writing=True):
            await self._client.delete("/v1/order", _named(identifier))
            crashpoint("cancel.after_response")


def _named(identifier: str) -> dict[str, str]:
    return {"identifier": checked_identifier(identifier)}
