"""Alerts over HTTP."""

from tests.unit.web.world import Client, World

URL = "/api/v1/alerts"


async def test_alerts_can_be_filtered_by_state_and_severity(client: Client, world: World) -> None:
    world.lists.add_alert(state="SENT", severity="error", n=1)
    world.lists.add_alert(state="FAILED", severity="error", n=2)
    world.lists.add_alert(state="SENT", severity="critical", n=3)

    answer = await client.get(URL, params={"state": "SENT", "severity": "critical"})

    assert [row["id"] for row in (await answer.json())["items"]] == [3]


async def test_alerts_come_in_pages(client: Client, world: World) -> None:
    for n in range(1, 4):
        world.lists.add_alert(n=n)

    first = await (await client.get(URL, params={"limit": "2"})).json()
    second = await (
        await client.get(URL, params={"limit": "2", "cursor": first["next_cursor"]})
    ).json()

    assert [row["id"] for row in first["items"] + second["items"]] == [3, 2, 1]
    assert second["next_cursor"] is None


async def test_a_wrong_state_is_answered_with_the_right_ones(client: Client) -> None:
    answer = await client.get(URL, params={"state": "sent"})

    assert answer.status == 400
    assert (await answer.json())["detail"] == (
        "state is one of PENDING, SENDING, SENT, FAILED, SUPPRESSED"
    )
