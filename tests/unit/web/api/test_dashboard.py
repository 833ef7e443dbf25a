"""The one body the page asks for, and the page itself."""

import re
from decimal import Decimal

import pytest

from service.domain.errors import StoreDown
from service.ports.health import CacheStats, PoolMetrics
from service.web.pages import FILES
from tests.builders import a_fill, an_intent, an_order
from tests.unit.web.world import Client, Serve, World

URL = "/api/v1/dashboard/summary"


async def test_the_summary_holds_all_that_the_page_shows(world: World, serve: Serve) -> None:
    world.setting_rows.stored["trading_enabled"] = True
    client = await serve(world)
    world.lists.add_ticker(price="110000000")
    world.orders.hold(an_order(intent=an_intent(funds=Decimal(100_000))), a_fill())
    for n in range(1, 8):
        world.lists.add_signal(n=n)
        world.lists.add_order(n=n)

    body = await (await client.get(URL)).json()

    assert (body["mode"], body["role"], body["time"]) == (
        "sandbox",
        "admin",
        "2026-01-24T09:00:00.000Z",
    )
    assert body["health"]["status"] == "healthy"
    assert set(body["health"]["components"]) >= {"database", "upbit_api", "gemini_api"}
    assert body["trading"]["state"] == "ACTIVE"
    assert [row["price"] for row in body["prices"]] == ["110000000"]
    assert [p["unrealised_pnl"] for p in body["positions"]] == ["10000", None]
    assert [row["id"] for row in body["signals"]] == [7, 6, 5, 4, 3]
    assert [row["id"] for row in body["orders"]] == [7, 6, 5, 4, 3]


async def test_the_summary_of_an_empty_database_is_whole(client: Client) -> None:
    body = await (await client.get(URL)).json()

    assert (body["prices"], body["signals"], body["orders"]) == ([], [], [])
    assert [p["volume"] for p in body["positions"]] == ["0", "0"]


async def test_the_summary_without_the_database_is_a_503(client: Client, world: World) -> None:
    world.lists.fail = StoreDown("PostgreSQL cannot be reached")

    answer = await client.get(URL)

    assert answer.status == 503


async def test_pool_and_cache_are_shown(client: Client) -> None:
    pool = await (await client.get("/api/v1/metrics/pool")).json()
    cache = await (await client.get("/api/v1/metrics/cache")).json()

    assert pool == {
        "size": 10, "free": 9, "max": 20, "waiting": 0, "waits": 0, "waited_s": 0.0,
        "refused": 0, "wait_p95_ms": None,
    }  # fmt: skip
    assert pool.keys() == PoolMetrics.__annotations__.keys()
    assert cache.keys() == CacheStats.__annotations__.keys()


# --- the page ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "kind"), [(path, kind) for path, _, kind, _ in FILES])
async def test_a_file_of_the_page_is_served_and_known_again(
    client: Client, path: str, kind: str
) -> None:
    first = await client.get(path)
    again = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    other = await client.get(path, headers={"If-None-Match": '"other"'})

    assert (first.status, first.content_type) == (200, kind)
    assert (again.status, await again.read()) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert other.status == 200
    assert first.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_has_nothing_that_its_own_policy_forbids(client: Client, path: str) -> None:
    page = await (await client.get(path)).text()

    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page)
    assert not re.search(r"(?:src|href)=\"(?!/)", page)


@pytest.mark.parametrize("path", ["/page.js", "/docs.js"])
async def test_a_script_writes_foreign_text_as_text_only(client: Client, path: str) -> None:
    script = await (await client.get(path)).text()

    assert not re.search(r"https?:|//[a-z]+\.[a-z]", script)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


async def test_the_page_shows_of_a_setting_what_the_api_gives_and_whether_it_is_in_effect(
    client: Client,
) -> None:
    script = await (await client.get("/page.js")).text()
    body = await (await client.get("/api/v1/config")).json()

    read = set(re.findall(r"\bsetting\.(\w+)", script))
    assert read <= body["items"][0].keys()
    assert read >= {"key", "value", "in_effect"}
    assert 'id="settings"' in await (await client.get("/")).text()


async def test_the_page_shows_of_a_stop_what_the_api_gives(client: Client, world: World) -> None:
    world.orders.hold(an_order(intent=an_intent(funds=Decimal(100_000))), a_fill())
    script = await (await client.get("/page.js")).text()
    body = await (await client.get(URL)).json()

    read = set(re.findall(r"\bstop\.(\w+)", script))
    assert read <= body["positions"][0]["protection"].keys()
    assert read >= {"stop_price", "distance_pct", "watched", "price_age_seconds"}


@pytest.mark.parametrize(
    "path", ["/index.html", "/page/../keys.py", "/..%2fkeys.py", "/page/", "/keys.py"]
)
async def test_no_other_file_is_served(client: Client, path: str) -> None:
    answer = await client.get(path)

    assert answer.status == 404
