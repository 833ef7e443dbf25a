"""Cursors and limits."""

import base64
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ports.queries import PageKey
from service.web.protocol.errors import InvalidCursor
from service.web.protocol.paging import decode, encode
from tests.builders import T0
from tests.unit.web.world import Client, World

IDS = st.integers(min_value=0, max_value=2**63 - 1)
INSTANTS = st.datetimes(timezones=st.just(UTC))


def spelled(plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode()).rstrip(b"=").decode()


@given(at=INSTANTS, row=IDS)
def test_a_cursor_comes_back_as_the_key_it_was_made_of(at: datetime, row: int) -> None:
    cursor = encode(PageKey(at, row))

    assert decode(cursor) == PageKey(at, row)
    assert re.fullmatch("[A-Za-z0-9_-]+", cursor)


@given(text=st.text())
def test_a_text_is_either_a_cursor_in_our_only_spelling_or_refused(text: str) -> None:
    try:
        key = decode(text)
    except InvalidCursor:
        return

    assert encode(key) == text


@given(at=INSTANTS, row=IDS, data=st.data())
def test_a_cursor_with_one_letter_changed_is_refused_or_another_key(
    at: datetime, row: int, data: st.DataObject
) -> None:
    cursor = encode(PageKey(at, row))
    place = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.characters().filter(lambda c: c != cursor[place]))
    changed = cursor[:place] + letter + cursor[place + 1 :]

    try:
        key = decode(changed)
    except InvalidCursor:
        return
    assert key != PageKey(at, row)


def test_the_same_instant_in_another_zone_is_the_same_cursor() -> None:
    seoul = T0.astimezone(timezone(timedelta(hours=9)))

    assert encode(PageKey(seoul, 1)) == encode(PageKey(T0, 1))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "abc",
        "====",
        "a b",
        "١٢٣",
        spelled("1:2") + "=",
        spelled("01:2"),
        spelled("-0:2"),
        spelled("1:-2"),
        spelled("1:2:3"),
        spelled("1"),
        spelled("1:"),
        spelled("nan:1"),
        spelled(f"1:{2**63}"),  # more than a bigint holds: an error of the database otherwise
        spelled(f"{10**18 - 1}:1"),  # after the year 9999
        spelled("1:2\n"),
        "A" * 5000,
    ],
)
async def test_a_malformed_cursor_is_a_400_of_its_own_type(client: Client, cursor: str) -> None:
    answer = await client.get("/api/v1/signals", params={"cursor": cursor})

    assert answer.status == 400
    assert (await answer.json())["type"].endswith(":invalid-cursor")


@pytest.mark.parametrize("limit", ["0", "501", "-1", "+5", "1.5", "", " 5", "٣", "1e2", "9" * 5000])
async def test_a_limit_out_of_bounds_is_refused_with_the_bounds(client: Client, limit: str) -> None:
    answer = await client.get("/api/v1/signals", params={"limit": limit})

    assert answer.status == 400
    assert (await answer.json())["detail"] == "limit is a whole number from 1 to 500"


@pytest.mark.parametrize(
    ("asked", "used"), [({}, 50), ({"limit": "1"}, 1), ({"limit": "500"}, 500)]
)
async def test_a_limit_within_bounds_is_used(
    client: Client, world: World, asked: dict[str, str], used: int
) -> None:
    await client.get("/api/v1/signals", params=asked)

    assert world.lists.asked[-1][1]["limit"] == used
