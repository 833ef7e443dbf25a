"""What the sandbox says about a market follows what a test writes, and nothing else changes."""

from datetime import date
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from service.adapters.upbit.rest import UpbitRest
from service.adapters.upbit.sign import Signer
from service.adapters.upbit.stream.client import UpbitStreams
from service.domain.markets import MarketRules
from service.sandbox.options import SandboxOptions
from service.sandbox.server import open_sandbox
from tests.builders import KRW_BTC
from tests.integration.sandbox.client import Client
from tests.integration.sandbox.stream.streamed import TICKER, advance, public

DAY = "2026-12-31"
NOTE: dict[str, Any] = {
    "warning": True,
    "caution": ["TRADING_VOLUME_SOARING", "PRICE_FLUCTUATIONS"],
    "state": "suspended",
    "market_state": "DELISTED",
    "delisting_date": DAY,
}


async def listed(client: Client, **params: str) -> dict[str, Any]:
    _, markets = await client.public("/v1/market/all", **params)
    return {market["market"]: market for market in markets}


async def test_a_market_without_a_note_is_an_ordinary_one(client: Client) -> None:
    plain, detailed = await listed(client), await listed(client, is_details="true")
    _, chance = await client.ask("GET", "/v1/orders/chance", market="KRW-BTC")

    assert "market_event" not in plain["KRW-BTC"]
    event = detailed["KRW-BTC"]["market_event"]
    assert (event["warning"], set(event["caution"].values())) == (False, {False})
    assert chance["market"]["state"] == "active"


async def test_a_note_is_in_the_list_in_the_chance_and_in_the_streams_tickers(
    client: Client,
) -> None:
    async with public(client) as stream:
        await stream.ask(TICKER)
        before = await stream.read()
        await client.control("POST", "markets/KRW-BTC", json=NOTE)
        await advance(client)
        frame = await stream.read()

    event = (await listed(client, is_details="true"))["KRW-BTC"]["market_event"]
    _, chance = await client.ask("GET", "/v1/orders/chance", market="KRW-BTC")
    assert (before["market_state"], before["delisting_date"]) == ("ACTIVE", None)
    assert frame["market_state"] == "DELISTED"
    assert frame["delisting_date"] == {"year": 2026, "month": 12, "day": 31}
    assert event["warning"] is True
    assert [name for name, is_on in event["caution"].items() if is_on] == [
        "PRICE_FLUCTUATIONS",
        "TRADING_VOLUME_SOARING",
    ]
    assert chance["market"]["state"] == "suspended"
    assert "market_event" not in (await listed(client))["KRW-BTC"]


async def test_keys_can_be_absent_and_a_market_unlisted(client: Client) -> None:
    note = {"has_event": False, "state": None}
    await client.control("POST", "markets/KRW-BTC", json=note)
    without = (await listed(client, is_details="true"))["KRW-BTC"]
    _, chance = await client.ask("GET", "/v1/orders/chance", market="KRW-BTC")
    await client.control("POST", "markets/KRW-BTC", json={"is_listed": False})
    status, _ = await client.public("/v1/ticker", markets="KRW-BTC")

    assert "market_event" not in without
    assert "state" not in chance["market"]
    assert "KRW-BTC" not in await listed(client)
    assert status == 200


async def test_an_empty_note_is_an_ordinary_market_again(client: Client) -> None:
    await client.control("POST", "markets/KRW-BTC", json=NOTE)
    written = await client.control("GET", "markets/KRW-BTC")
    await client.control("POST", "markets/KRW-BTC", json={})

    assert written["caution"] == ["PRICE_FLUCTUATIONS", "TRADING_VOLUME_SOARING"]
    assert (await client.control("GET", "markets/KRW-BTC"))["state"] == "active"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("markets/KRW-XYZ", "{}"),
        ("markets/odd name", "{}"),
        ("markets/KRW-BTC", "["),
        ("markets/KRW-BTC", '{"caution": ["A_NAME_OF_OURS"]}'),
        ("markets/KRW-BTC", '{"delisting_date": "soon"}'),
        ("markets/KRW-BTC", '{"unknown": 1}'),
    ],
)
async def test_a_wrong_note_is_400_and_changes_nothing(
    client: Client, path: str, body: str
) -> None:
    url = f"{client.url}/__sandbox__/{path}"
    async with client.session.post(url, data=body) as answer:
        assert answer.status == 400

    assert (await listed(client, is_details="true"))["KRW-BTC"]["market_event"]["warning"] is False


async def test_our_adapter_reads_warnings_state_missing_state_and_the_end(
    session: aiohttp.ClientSession,
) -> None:
    """From the sandbox's sockets, REST's and the stream's, to the rules of a market."""
    async with open_sandbox(SandboxOptions(speed=Decimal(0))) as sandbox:
        client = Client(session, sandbox)

        async def rules(**note: Any) -> MarketRules:
            await client.control("POST", "markets/KRW-BTC", json=note)
            upbit = UpbitRest(
                session,
                quotation_url=sandbox.upbit_url,
                exchange_url=sandbox.upbit_url,
                access_key=sandbox.access_key,
                secret_key=sandbox.secret_key,
                paced=False,
            )
            streams = UpbitStreams(
                session,
                url=sandbox.upbit_ws_url,
                signer=Signer(sandbox.access_key, sandbox.secret_key),
                market_events=upbit.market_events,
            )
            async with streams.prices([KRW_BTC]) as stream:
                assert await stream.prices(within_s=30)
            return await upbit.rules(KRW_BTC)

        usual, warned = await rules(), await rules(warning=True, caution=["PRICE_FLUCTUATIONS"])
        stateless, unlisted = await rules(state=None), await rules(is_listed=False)
        without_event, ending = await rules(has_event=False), await rules(delisting_date=DAY)
        ended = await rules(market_state="DELISTED")

    assert (usual.active, usual.warnings, usual.delisted_at) == (True, (), None)
    assert warned.warnings == ("WARNING", "PRICE_FLUCTUATIONS")
    assert not stateless.active
    assert unlisted.warnings == ("NOT_LISTED",)
    assert without_event.warnings == ()
    assert (ending.active, ending.delisted_at) == (True, date(2026, 12, 31))
    assert not ended.active
