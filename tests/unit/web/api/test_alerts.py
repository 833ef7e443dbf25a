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


async def test_one_alert_can_be_read(client: Client, world: World) -> None:
    world.lists.add_alert(n=7)

    found, missing = await client.get(f"{URL}/7"), await client.get(f"{URL}/8")

    assert (await found.json())["id"] == 7
    assert (missing.status, (await missing.json())["detail"]) == (404, "there is no alert 8")


async def test_an_acknowledgement_has_its_callers_name_and_is_audited(
    client: Client, world: World
) -> None:
    world.lists.add_alert(n=7)

    answer = await client.post(f"{URL}/7/acknowledge")

    assert answer.status == 200
    assert (await answer.json())["acknowledged_by"] == "admin@127.0.0.1"
    (row,) = world.audit.rows
    assert (row["action"], row["subject"], row["actor"]) == (
        "alert.acknowledge", "7", "admin@127.0.0.1",
    )  # fmt: skip


async def test_what_cannot_be_acknowledged_is_refused_with_its_cause(
    client: Client, world: World
) -> None:
    world.lists.add_alert(n=7)

    unknown = await client.post(f"{URL}/8/acknowledge")
    odd = await client.post(f"{URL}/seven/acknowledge")
    body = await client.post(f"{URL}/7/acknowledge", json={"for": "ever"})

    assert (unknown.status, odd.status, body.status) == (404, 404, 400)
    assert world.lists.alert_rows[0][1]["acknowledged_by"] is None
