"""Who has the answer is told so and gets no second copy; all others get it whole."""

import pytest

from tests.unit.web.world import Client

TAGGED = [
    "/",
    "/page.css",
    "/page.js",
    "/icon.svg",
    "/api/v1/config",
    "/api/v1/config/min_confidence",
    "/api/v1/portfolio/daily",
    "/api/v1/market/candles",
]
ONE = "/api/v1/config/min_confidence"
IF = "If-None-Match"


@pytest.mark.parametrize("path", TAGGED)
async def test_who_has_it_is_told_so_without_a_body(client: Client, path: str) -> None:
    first = await client.get(path)
    again = await client.get(path, headers={IF: first.headers["ETag"]})

    assert (first.status, again.status) == (200, 304)
    assert await first.read() != b""
    assert await again.read() == b""
    for name in ("ETag", "Cache-Control", "X-Request-ID", "X-Content-Type-Options"):
        assert again.headers.get(name) == first.headers[name]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("*", 304),
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"other", W/"more" , {tag}', 304),
        ('"other"', 200),
        ('"*"', 200),
        ("{bare}", 200),
        ("W/", 200),
        ("", 200),
    ],
)
async def test_the_header_is_read_as_the_standard_says(
    client: Client, header: str, status: int
) -> None:
    tag = (await client.get(ONE)).headers["ETag"]

    answer = await client.get(ONE, headers={IF: header.format(tag=tag, bare=tag.strip('"'))})

    assert answer.status == status


@pytest.mark.parametrize("path", TAGGED)
async def test_head_is_answered_as_get_is(client: Client, path: str) -> None:
    got = await client.get(path)
    head = await client.head(path)
    again = await client.head(path, headers={IF: got.headers["ETag"]})

    assert (head.status, again.status) == (200, 304)
    assert head.headers["ETag"] == got.headers["ETag"]


async def test_another_answer_has_another_tag(client: Client) -> None:
    before = (await client.get(ONE)).headers["ETag"]

    await client.patch(ONE, json={"value": 0.75})
    after = await client.get(ONE, headers={IF: before})

    assert after.status == 200
    assert after.headers["ETag"] != before
    assert (await after.json())["value"] == "0.75"


async def test_nothing_of_the_account_may_be_kept_by_a_browser(client: Client) -> None:
    answer = await client.get("/api/v1/portfolio/daily")

    assert answer.headers["Cache-Control"] == "no-store"


async def test_what_is_refused_or_changed_has_no_tag(client: Client) -> None:
    unknown = await client.get("/api/v1/config/no_such_key", headers={IF: "*"})
    changed = await client.patch(ONE, json={"value": 0.7}, headers={IF: "*"})

    assert (unknown.status, changed.status) == (404, 200)
    assert "ETag" not in unknown.headers
    assert "ETag" not in changed.headers


async def test_what_is_new_each_time_is_not_tagged(client: Client) -> None:
    answer = await client.get("/api/v1/market", headers={IF: "*"})

    assert answer.status == 200
    assert "ETag" not in answer.headers
