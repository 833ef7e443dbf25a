"""Upbit's own client trades on the sandbox, and its types judge every field of the answers."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import upbit
from upbit import AsyncUpbit, DefaultAioHttpClient
from upbit.types import (
    account_list_response,
    candle_list_days_response,
    candle_list_minutes_response,
    order,
    order_retrieve_chance_response,
    orderbook_list_instruments_response,
    orderbook_list_response,
    ticker,
    trading_pair_list_response,
)

from tests.conformance.conftest import Exchange

FAR_BELOW = "50000000"  #: KRW, on its tick; the generated market is not there within these tests
#: what the sandbox sends by the captures of the live exchange and the SDK's types do not know
NOT_IN_THE_TYPES = {"executed_funds"}
#: the SDK calls every decimal a text and reads fractions as theirs, but this one comes whole
NUMBERS_CALLED_TEXT = {"level"}


@pytest.fixture
async def client(exchange: Exchange) -> AsyncIterator[Any]:
    async with AsyncUpbit(
        access_key=exchange.access_key,
        secret_key=exchange.secret_key,
        base_url=exchange.url,
        max_retries=0,  # else the SDK sends a lost order three times
        timeout=10.0,
        http_client=DefaultAioHttpClient(),
    ) as client:
        yield client


async def resting(client: Any, **more: str) -> Any:
    return await client.orders.create(
        market="KRW-BTC", side="bid", ord_type="limit", price=FAR_BELOW, volume="0.001", **more
    )


# --- the fields -------------------------------------------------------------------------------


def assert_fits(body: Mapping[str, Any], model: Any) -> None:
    """Assert that `body` has every field that `model` requires and no other than it knows, with
    texts and whole numbers where it says so.
    """
    fields = model.model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    assert required <= body.keys()
    assert body.keys() - NOT_IN_THE_TYPES <= fields.keys()
    for name in required - NUMBERS_CALLED_TEXT:
        wanted = {str: str, int: int, bool: bool}.get(fields[name].annotation, object)
        assert isinstance(body[name], wanted), name
    as_text = {name: str(body[name]) for name in NUMBERS_CALLED_TEXT & body.keys()}
    model.model_validate({**body, **as_text})  # and everything within


def quoted(raw: bytes) -> Any:
    """Return a public answer as the SDK reads it: fractions as their text."""
    assert not re.search(rb'"\w*(price|volume|size|rate)":"', raw.replace(b'"tick_size":', b""))
    return json.loads(raw, parse_float=str)


async def test_the_public_answers_have_the_fields_of_the_sdk_s_types(client: Any) -> None:
    pairs = trading_pair_list_response.TradingPairListResponseItem
    raw = client.trading_pairs.with_raw_response.list
    [pair] = quoted(await body_of(raw(is_details=True)))
    assert_fits(pair, pairs)

    raw = client.tickers.with_raw_response.list_by_trading_pairs
    [body] = quoted(await body_of(raw(markets="KRW-BTC")))
    assert_fits(body, ticker.Ticker)

    raw = client.candles.with_raw_response.list_minutes
    for body in quoted(await body_of(raw(5, market="KRW-BTC", count=3))):
        assert_fits(body, candle_list_minutes_response.CandleListMinutesResponseItem)

    raw = client.candles.with_raw_response.list_days
    days = raw(market="KRW-BTC", count=3, converting_price_unit="KRW")
    for body in quoted(await body_of(days)):
        assert_fits(body, candle_list_days_response.CandleListDaysResponseItem)

    raw = client.orderbooks.with_raw_response.list
    [body] = quoted(await body_of(raw(markets="KRW-BTC")))
    for unit in body["orderbook_units"]:
        # The live exchange writes whole prices of a book as integers; the SDK's types say text.
        unit |= {name: str(unit[name]) for name in ("ask_price", "bid_price")}
    assert_fits(body, orderbook_list_response.OrderbookListResponseItem)

    raw = client.orderbooks.with_raw_response.list_instruments
    [body] = quoted(await body_of(raw(markets="KRW-BTC")))
    assert_fits(body, orderbook_list_instruments_response.OrderbookListInstrumentsResponseItem)


async def test_the_private_answers_have_the_fields_of_the_sdk_s_types(client: Any) -> None:
    for body in json.loads(await body_of(client.accounts.with_raw_response.list())):
        assert_fits(body, account_list_response.AccountListResponseItem)

    raw = client.orders.with_raw_response
    chance = json.loads(await body_of(raw.retrieve_chance(market="KRW-BTC")))
    assert_fits(chance, order_retrieve_chance_response.OrderRetrieveChanceResponse)

    made = raw.create(
        market="KRW-BTC", side="bid", ord_type="limit", price=FAR_BELOW, volume="0.001"
    )
    body = json.loads(await body_of(made))
    assert_fits(body, order.Order)
    assert_fits(json.loads(await body_of(raw.retrieve(uuid=body["uuid"]))), order.Order)
    assert_fits(json.loads(await body_of(raw.cancel(uuid=body["uuid"]))), order.Order)
    for body in json.loads(await body_of(raw.list_closed(market="KRW-BTC"))):
        # A market buy lacks the keys that count volumes, which the type requires.
        if body["ord_type"] != "price":
            assert_fits(body, order.Order)


async def body_of(asked: Any) -> bytes:
    response = await asked
    raw: bytes = response.http_response.content
    return raw


# --- trading ----------------------------------------------------------------------------------


async def test_candles_are_paged_by_the_sdk_without_a_gap_or_a_repeat(client: Any) -> None:
    first = await client.candles.list_minutes(1, market="KRW-BTC", count=10)
    to = first[-1].candle_date_time_utc + "Z"
    second = await client.candles.list_minutes(1, market="KRW-BTC", count=10, to=to)

    starts = [candle.candle_date_time_utc for candle in [*first, *second]]
    assert len(starts) == 20
    assert starts == sorted(set(starts), reverse=True)


async def test_a_limit_order_is_made_found_listed_and_cancelled(client: Any) -> None:
    made = await resting(client, identifier="sdk-limit")

    found = await client.orders.retrieve(identifier="sdk-limit")
    listed = [entry.uuid async for entry in client.orders.list_open(market="KRW-BTC")]
    asked = await client.orders.cancel(uuid=made.uuid)
    gone = await client.orders.retrieve(uuid=made.uuid)

    assert (made.state, made.reserved_fee, made.locked) == ("wait", "25", "50025")
    assert found.uuid == made.uuid
    assert listed == [made.uuid]
    assert (asked.state, gone.state) == ("wait", "cancel")


async def test_a_market_buy_and_sale_explain_the_accounts(client: Any) -> None:
    async def held() -> dict[str, Decimal]:
        return {a.currency: Decimal(a.balance) for a in await client.accounts.list()}

    before = await held()
    buy = await client.orders.create(
        market="KRW-BTC", side="bid", ord_type="price", price="100000", identifier="sdk-buy"
    )
    bought = await client.orders.retrieve(uuid=buy.uuid)
    sell = await client.orders.create(
        market="KRW-BTC", side="ask", ord_type="market", volume=bought.executed_volume
    )
    sold = await client.orders.retrieve(uuid=sell.uuid)
    after = await held()

    spent = sum(Decimal(trade.funds) for trade in bought.trades) + Decimal(bought.paid_fee)
    got = sum(Decimal(trade.funds) for trade in sold.trades) - Decimal(sold.paid_fee)
    assert bought.state in ("cancel", "done")
    assert (sold.state, sold.executed_volume) == ("done", bought.executed_volume)
    assert after["KRW"] == before["KRW"] - spent + got
    assert after.get("BTC", 0) == before.get("BTC", 0)


async def test_orders_are_cancelled_by_a_list_of_identifiers(client: Any) -> None:
    for name in ("sdk-a", "sdk-b"):
        await resting(client, identifier=name)

    listed = await client.orders.list_by_uuids(identifiers=["sdk-a", "sdk-b"])
    outcome = await client.orders.cancel_by_uuids(identifiers=["sdk-a", "sdk-b"])

    assert {entry.identifier for entry in listed} == {"sdk-a", "sdk-b"}
    assert int(outcome.success.count) == 2


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"price": "50000001"}, "invalid_price_bid"),
        ({"volume": "0.00001"}, "under_min_total_bid"),
        ({"volume": "1"}, "insufficient_funds_bid"),
        ({"market": "KRW-NONE"}, "notfoundmarket"),
        ({"ord_type": "market"}, "create_bid_error"),
        ({"time_in_force": "post_only", "smp_type": "reduce"}, "invalid_post_only"),
    ],
)
async def test_a_refused_order_is_the_sdk_s_bad_request(
    client: Any, change: dict[str, str], name: str
) -> None:
    usual = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit"}
    usual |= {"price": FAR_BELOW, "volume": "0.001"}

    with pytest.raises(upbit.BadRequestError) as caught:
        await client.orders.create(**usual | change)

    assert caught.value.name == name


async def test_a_used_identifier_is_refused(client: Any) -> None:
    made = await resting(client, identifier="sdk-once")

    with pytest.raises(upbit.BadRequestError) as caught:
        await resting(client, identifier="sdk-once")

    assert caught.value.name == "duplicated_identifier"
    await client.orders.cancel(uuid=made.uuid)


async def test_a_wrong_secret_and_an_unknown_order_have_errors_of_their_own(
    client: Any, exchange: Exchange
) -> None:
    async with AsyncUpbit(
        access_key=exchange.access_key, secret_key="x" * 40, base_url=exchange.url, max_retries=0
    ) as stranger:
        with pytest.raises(upbit.AuthenticationError) as turned_away:
            await stranger.accounts.list()

    with pytest.raises(upbit.NotFoundError) as unknown:
        await client.orders.retrieve(identifier="nobody's")

    assert turned_away.value.name == "jwt_verification"
    assert unknown.value.name == "order_not_found"


async def test_too_many_requests_are_told_apart_in_both_forms(
    client: Any, exchange: Exchange
) -> None:
    as_json = '{"error":{"name":"too_many_requests","message":"..."}}'
    for body in (as_json, "Too many API requests."):
        exchange.spoil(path="/v1/accounts", status=429, body=body, times=1)
        with pytest.raises(upbit.RateLimitError):
            await client.accounts.list()

    exchange.spoil(path="/v1/accounts", status=418, body="I'm a teapot", times=1)
    with pytest.raises(upbit.RateLimitPenaltyError):
        await client.accounts.list()


async def test_an_order_whose_answer_is_lost_is_found_by_its_identifier(
    client: Any, exchange: Exchange
) -> None:
    exchange.spoil(method="POST", path="/v1/orders", drop_after=True, times=1)

    with pytest.raises(upbit.APIConnectionError):  # a timeout is one of them
        await resting(client, identifier="sdk-lost")
    found = await client.orders.retrieve(identifier="sdk-lost")

    assert found.state == "wait"
    await client.orders.cancel(uuid=found.uuid)
