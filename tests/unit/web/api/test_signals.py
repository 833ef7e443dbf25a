"""Signals over HTTP, and asking for one."""

from datetime import timedelta

import pytest

from service.domain.errors import ModelQuotaUsedUp, ModelUnavailable, StoreBusy
from service.domain.markets import Market
from tests.builders import KRW_BTC, T0, a_signal
from tests.unit.web.world import Client, World

URL = "/api/v1/signals"


def asked(world: World) -> list[Market]:
    """Return the markets whose signals were made from the model's answers, oldest first."""
    assert len(world.model.asked) == len(world.signals.kept)
    return [new.market for new in world.signals.kept.values()]


async def test_signals_can_be_filtered_by_market_and_action(client: Client, world: World) -> None:
    world.lists.add_signal(market="KRW-BTC", action="BUY", n=1)
    world.lists.add_signal(market="KRW-BTC", action="HOLD", n=2)
    world.lists.add_signal(market="KRW-ETH", action="BUY", n=3)

    answer = await client.get(URL, params={"market": "KRW-BTC", "action": "BUY"})

    assert [row["id"] for row in (await answer.json())["items"]] == [1]


async def test_a_wrong_action_is_answered_with_the_right_ones(client: Client) -> None:
    answer = await client.get(URL, params={"action": "buy"})

    assert answer.status == 400
    assert (await answer.json())["detail"] == "action is one of BUY, SELL, HOLD"


@pytest.mark.proves("S3.2")
async def test_signals_of_one_price_are_found_page_by_page(client: Client, world: World) -> None:
    """S3.2: signals by the row of prices that they were made from."""
    for n, row in enumerate([7, 8, 7, None, 7], start=1):
        world.lists.add_signal(market_data_id=row, n=n)

    first = await (await client.get(URL, params={"market_data_id": "7", "limit": "2"})).json()
    rest = await client.get(URL, params={"market_data_id": "7", "cursor": first["next_cursor"]})

    assert [(row["id"], row["market_data_id"]) for row in first["items"]] == [(5, 7), (3, 7)]
    assert [row["id"] for row in (await rest.json())["items"]] == [1]


@pytest.mark.proves("S3.2")
async def test_a_price_without_signals_is_an_empty_list(client: Client, world: World) -> None:
    """S3.2."""
    world.lists.add_signal(market_data_id=7)

    answer = await client.get(URL, params={"market_data_id": str(2**63 - 1)})

    assert answer.status == 200
    assert await answer.json() == {"items": [], "next_cursor": None}


@pytest.mark.proves("S3.2")
@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.0", "abc", "٣", "7 ", "null", str(2**63), "9" * 5000]
)
async def test_what_cannot_be_the_id_of_a_price_is_refused(
    client: Client, world: World, text: str
) -> None:
    """S3.2: a number that the database has no room for is refused before it is asked."""
    answer = await client.get(URL, params={"market_data_id": text})

    assert answer.status == 400
    assert (await answer.json())["detail"] == (
        "market_data_id is a whole number from 1 to 9223372036854775807"
    )
    assert world.lists.asked == []


async def test_the_latest_signal_of_every_market(client: Client, world: World) -> None:
    world.lists.add_signal(market="KRW-BTC", n=1)
    world.lists.add_signal(market="KRW-BTC", n=2)
    world.lists.add_signal(market="KRW-ETH", n=3)

    body = await (await client.get(f"{URL}/latest")).json()

    assert [row["id"] for row in body["items"]] == [2, 3]


async def test_one_signal_by_its_id(client: Client, world: World) -> None:
    world.lists.add_signal(n=5)

    answer = await client.get(f"{URL}/5")

    assert (await answer.json())["id"] == 5


@pytest.mark.parametrize(
    "signal_id", ["6", "abc", "-1", "0", "1.0", "٣", "9" * 19, "9" * 5000, "%00", "1%2F2"]
)
async def test_what_is_no_signal_is_not_found(client: Client, signal_id: str) -> None:
    answer = await client.get(f"{URL}/{signal_id}")

    assert answer.status == 404
    assert (await answer.json())["type"].endswith(":not-found")


async def test_generating_answers_with_the_stored_signal(client: Client, world: World) -> None:
    world.signals.signals.append(a_signal(id=1, market=KRW_BTC))

    answer = await client.post(f"{URL}/generate", json={"market": "KRW-ETH"})

    assert answer.status == 201
    assert answer.headers["Location"] == f"{URL}/2"
    assert (await answer.json())["market"] == "KRW-ETH"
    assert asked(world) == [Market("KRW", "ETH")]


async def test_generating_without_a_body_asks_about_the_first_market(
    client: Client, world: World
) -> None:
    answer = await client.post(f"{URL}/generate")

    assert answer.status == 201
    assert asked(world) == [KRW_BTC]


async def test_generating_is_audited_before_the_model_is_asked(
    client: Client, world: World
) -> None:
    world.model.then(ModelUnavailable("the model did not answer"))

    answer = await client.post(f"{URL}/generate")

    assert answer.status == 503
    assert world.audit.rows == [
        {
            "actor": "admin@127.0.0.1",
            "action": "signal.generate",
            "subject": "KRW-BTC",
            "request_id": "r-1",
        }
    ]


async def test_nothing_is_asked_when_the_audit_row_cannot_be_written(
    client: Client, world: World
) -> None:
    world.audit.fail = StoreBusy("every connection is taken", retry_after_s=1)

    answer = await client.post(f"{URL}/generate")

    assert answer.status == 503
    assert world.model.asked == []


@pytest.mark.proves("FR-010")
async def test_a_held_model_says_when_it_may_be_asked_again(client: Client, world: World) -> None:
    """FR-010: a person hears the seconds that are left of the wait."""
    world.model.held = ModelUnavailable("wait", code="rate_limited", retry_after_s=24.2, sent=False)

    answer = await client.post(f"{URL}/generate")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "25")


@pytest.mark.proves("FR-010")
async def test_a_quota_that_is_used_up_says_when_it_returns(client: Client, world: World) -> None:
    """FR-010."""
    world.model.then(ModelQuotaUsedUp("used up", code="quota_exhausted", retry_after_s=3600))

    answer = await client.post(f"{URL}/generate")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "3600")
    assert (await answer.json())["type"].endswith(":model-quota")


async def test_the_cooldown_says_when_to_come_back(client: Client, world: World) -> None:
    world.signals.signals.append(a_signal(created_at=T0 - timedelta(seconds=60.8)))

    answer = await client.post(f"{URL}/generate")

    assert answer.status == 429
    assert answer.headers["Retry-After"] == "240"
    assert (await answer.json())["type"].endswith(":too-soon")


@pytest.mark.parametrize(
    ("body", "status"),
    [({"market": "KRW-DOGE"}, 404), ({"market": 3}, 400), ({"markets": "KRW-BTC"}, 400)],
)
async def test_a_wrong_market_to_generate_for_is_refused(
    client: Client, world: World, body: object, status: int
) -> None:
    answer = await client.post(f"{URL}/generate", json=body)

    assert answer.status == status
    assert world.model.asked == []


@pytest.mark.parametrize("body", [None, {"market": "KRW-BTC"}])
async def test_nothing_is_generated_for_markets_the_setting_leaves_out(
    client: Client, world: World, body: object
) -> None:
    world.setting_rows.stored["markets"] = ["KRW-XRP"]  # not collected here: nothing is traded

    answer = await client.post(f"{URL}/generate", json=body)

    assert answer.status == 409
    assert "the setting markets" in (await answer.json())["detail"]
    assert world.model.asked == []
