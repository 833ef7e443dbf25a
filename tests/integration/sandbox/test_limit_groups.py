"""Each endpoint that our adapter asks counts for the limit whose name its answer has."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from service.adapters.upbit.limits import Limiter
from service.adapters.upbit.quotation import CANDLE_PATHS
from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import BoundaryError
from service.domain.markets import Timeframe
from service.sandbox.options import SandboxOptions
from service.sandbox.rate_limits import LIMITS, group_of
from service.sandbox.server import open_sandbox
from tests.builders import KRW_BTC, T0, an_intent, at_liberty

Ask = Callable[[UpbitRest], Awaitable[object]]


def candles(timeframe: Timeframe) -> Ask:
    return lambda upbit: upbit.candles(KRW_BTC, timeframe, count=1)


ASKED: dict[str, Ask] = {
    "GET /v1/market/all": UpbitRest.markets,
    "GET /v1/ticker": lambda upbit: upbit.tickers([KRW_BTC]),
    "GET /v1/orderbook/instruments": lambda upbit: upbit.rules(KRW_BTC),
    "GET /v1/orders/chance": lambda upbit: upbit.rules(KRW_BTC),
    "GET /v1/accounts": UpbitRest.balances,
    "GET /v1/api_keys": UpbitRest.key_expires_at,
    "GET /v1/orders/open": UpbitRest.open_orders,
    "GET /v1/orders/closed": lambda upbit: upbit.closed_orders(T0, T0 + timedelta(days=1)),
    "GET /v1/orders/uuids": lambda upbit: upbit.orders_by_identifiers(["uat-1"]),
    "GET /v1/order": lambda upbit: upbit.find("uat-1"),
    "DELETE /v1/order": lambda upbit: upbit.cancel("uat-1"),
    "POST /v1/orders": lambda upbit: upbit.submit(
        an_intent(), identifier="uat-1", before_send=at_liberty
    ),
    **{f"GET {path}": candles(timeframe) for timeframe, path in CANDLE_PATHS.items()},
}


@pytest.mark.parametrize("endpoint", ASKED)
async def test_an_endpoint_counts_for_the_limit_that_its_answer_names(
    session: aiohttp.ClientSession, endpoint: str
) -> None:
    method, path = endpoint.split()
    async with open_sandbox(SandboxOptions(speed=Decimal(0))) as sandbox:
        upbit = UpbitRest(
            session,
            quotation_url=sandbox.upbit_url,
            exchange_url=sandbox.upbit_url,
            access_key=sandbox.access_key,
            secret_key=sandbox.secret_key,
        )
        with suppress(BoundaryError):  # an order that is not there; the answer has its header
            await ASKED[endpoint](upbit)
    inside: Any = upbit
    limiter: Limiter = inside._client._limiter
    name = limiter._learnt.get(endpoint)

    group = group_of(method, path)
    # What an answer names as the documents do needs no learning.
    documented = {"candles": "candle"}.get(group, group)
    assert name in {None, documented}
    assert limiter._sent[documented], "the request counts for the limit of that name"
    assert limiter._sent[documented].maxlen == LIMITS[group][0]
