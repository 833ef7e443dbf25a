"""Settings over HTTP."""

import pytest

from service.domain.errors import StoreDown
from service.settings.table import TABLE
from tests.unit.web.world import Client, World

URL = "/api/v1/config"


async def test_every_setting_is_shown_with_its_default_and_bounds(client: Client) -> None:
    body = await (await client.get(URL)).json()

    assert [item["key"] for item in body["items"]] == list(TABLE)
    by_key = {item["key"]: item for item in body["items"]}
    assert by_key["min_confidence"]["value"] == "0.6"
    assert by_key["min_confidence"]["is_default"] is True
    assert by_key["markets"]["value"] == ["KRW-BTC", "KRW-ETH"]
    assert all(item["bounds"] and item["sentence"] for item in body["items"])


async def test_the_api_says_beside_each_setting_whether_anything_obeys_it(client: Client) -> None:
    shown = {item["key"]: item for item in (await (await client.get(URL)).json())["items"]}
    one = await (await client.patch(f"{URL}/stop_loss_pct", json={"value": 7})).json()
    many = await (await client.patch(URL, json={"stop_loss_pct": 8, "min_confidence": 1})).json()

    assert {key: item["in_effect"] for key, item in shown.items()} == {
        key: row.in_effect for key, row in TABLE.items()
    }
    assert (one["value"], one["in_effect"]) == ("7", TABLE["stop_loss_pct"].in_effect)
    assert [(change["key"], change["in_effect"]) for change in many["changes"]] == [
        ("min_confidence", True),
        ("stop_loss_pct", TABLE["stop_loss_pct"].in_effect),
    ]


async def test_one_setting(client: Client) -> None:
    body = await (await client.get(f"{URL}/trading_enabled")).json()

    assert (body["key"], body["value"], body["default"]) == ("trading_enabled", False, False)


async def test_an_unknown_setting_is_answered_with_the_nearest_name(client: Client) -> None:
    answer = await client.get(f"{URL}/min_confidense")

    body = await answer.json()
    assert answer.status == 404
    assert body["type"].endswith(":unknown-setting")
    assert "did you mean min_confidence?" in body["detail"]


async def test_a_change_is_stored_with_who_and_in_which_request(
    client: Client, world: World
) -> None:
    answer = await client.patch(f"{URL}/min_confidence", json={"value": 0.75})

    assert answer.status == 200
    assert (await answer.json())["value"] == "0.75"
    assert [change.changed_by for change in world.setting_rows.history] == ["admin@127.0.0.1"]
    assert world.setting_rows.request_ids == ["r-1"]


async def test_one_change_is_answered_with_the_value_that_the_write_replaced(
    client: Client, world: World
) -> None:
    shown = await (await client.get(f"{URL}/min_confidence")).json()
    world.setting_rows.stored["min_confidence"] = "0.65"  # another process; not heard of here yet

    changed = await (await client.patch(f"{URL}/min_confidence", json={"value": 0.75})).json()
    again = await (await client.patch(f"{URL}/min_confidence", json={"value": 0.75})).json()

    assert shown["value"] == "0.6"
    assert (changed["old_value"], changed["value"]) == ("0.65", "0.75")
    assert (again["old_value"], again["value"]) == ("0.75", "0.75")


async def test_many_are_changed_together(client: Client) -> None:
    answer = await client.patch(URL, json={"trading_enabled": True, "min_confidence": 0.7})

    changes = sorted((await answer.json())["changes"], key=lambda change: str(change["key"]))
    assert changes == [
        {
            "key": key,
            "old_value": old,
            "new_value": new,
            "in_effect": True,
            "changed_by": "admin@127.0.0.1",
            "changed_at": "2026-01-24T09:00:00.000Z",
        }
        for key, old, new in (("min_confidence", "0.6", "0.7"), ("trading_enabled", False, True))
    ]


async def test_one_value_out_of_bounds_leaves_all_as_they_are(client: Client, world: World) -> None:
    answer = await client.patch(URL, json={"trading_enabled": True, "min_confidence": 7})

    body = await answer.json()
    assert answer.status == 422
    assert body["type"].endswith(":invalid-setting")
    assert "min_confidence takes a number from 0 to 1" in body["detail"]
    assert world.setting_rows.history == []


@pytest.mark.parametrize("body", [{}, {"value": 1, "by": "me"}, {"min_confidence": 0.7}])
async def test_one_setting_is_changed_by_its_value_only(client: Client, body: object) -> None:
    answer = await client.patch(f"{URL}/min_confidence", json=body)

    assert answer.status == 400
    assert (await answer.json())["detail"] == 'the body is {"value": …}'


async def test_a_change_of_nothing_is_refused(client: Client) -> None:
    answer = await client.patch(URL, json={})

    assert answer.status == 400


async def test_a_reset_stores_the_defaults_of_what_is_named(client: Client, world: World) -> None:
    await client.patch(URL, json={"min_confidence": 0.9, "stop_loss_pct": 9})

    answer = await client.post(f"{URL}/reset", json={"keys": ["min_confidence"]})

    (change,) = (await answer.json())["changes"]
    assert (change["key"], change["new_value"]) == ("min_confidence", "0.6")
    assert world.setting_rows.stored["stop_loss_pct"] == "9"


async def test_a_reset_without_names_is_of_all(client: Client, world: World) -> None:
    await client.patch(URL, json={"min_confidence": 0.9, "stop_loss_pct": 9})

    await client.post(f"{URL}/reset")

    body = await (await client.get(URL)).json()
    assert all(item["is_default"] for item in body["items"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"keys": []}, 400),
        ({"keys": "min_confidence"}, 400),
        ({"keys": [1]}, 400),
        ({"key": ["min_confidence"]}, 400),
        ({"keys": ["min_confidence", "nonsense"]}, 404),
    ],
)
async def test_a_reset_of_something_else_resets_nothing(
    client: Client, world: World, body: object, status: int
) -> None:
    answer = await client.post(f"{URL}/reset", json=body)

    assert answer.status == status
    assert world.setting_rows.history == []


async def test_changes_of_one_setting(client: Client, world: World) -> None:
    world.lists.add_change(key="min_confidence", n=1)
    world.lists.add_change(key="stop_loss_pct", n=2)

    body = await (await client.get(f"{URL}/changes", params={"key": "stop_loss_pct"})).json()

    assert [row["id"] for row in body["items"]] == [2]


async def test_changes_of_an_unknown_setting_are_not_an_empty_list(client: Client) -> None:
    answer = await client.get(f"{URL}/changes", params={"key": "nonsense"})

    assert answer.status == 404


async def test_a_change_that_cannot_be_stored_is_a_503(client: Client, world: World) -> None:
    world.setting_rows.fail = StoreDown("PostgreSQL cannot be reached")

    answer = await client.patch(f"{URL}/trading_enabled", json={"value": True})

    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
