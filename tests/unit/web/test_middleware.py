"""Request ids, headers, the log line, and errors that nobody expected."""

from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.domain import errors
from service.domain.errors import (
    BoundaryError,
    DomainError,
    ServiceError,
    StartError,
    StoreBusy,
    StoreDown,
    StoreTimeout,
    TooSoon,
)
from service.ports.requests import REQUEST
from service.web.protocol.problems import KINDS
from tests.unit.web.world import Client, World

LineFormatter = list[dict[str, Any]]
URL = "/api/v1/signals"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
EVERY_KIND_OF_ANSWER = ["/health", "/health/ready", "/", "/page.js", URL, f"{URL}/9", "/nothing"]


# --- ids --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERY_KIND_OF_ANSWER)
async def test_the_callers_id_is_on_every_answer(client: Client, path: str) -> None:
    answer = await client.get(path, headers={"X-Request-ID": "trace.7_A-z"})

    assert answer.headers["X-Request-ID"] == "trace.7_A-z"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a,b", "é"])
@pytest.mark.parametrize("path", ["/health", URL])
async def test_an_id_that_is_not_sane_is_replaced(client: Client, path: str, given: str) -> None:
    answer = await client.get(path, headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"] == "r-1"


async def test_a_problem_names_its_request(client: Client) -> None:
    answer = await client.get(f"{URL}/9", headers={"X-Request-ID": "mine"})

    assert (await answer.json())["request_id"] == "mine"


# --- headers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERY_KIND_OF_ANSWER)
async def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    answer = await client.get(path)

    assert SECURITY.items() <= answer.headers.items()
    assert "Server" not in answer.headers


@pytest.mark.parametrize("path", [URL, "/health", "/health/detailed", "/nothing"])
async def test_nothing_but_the_page_may_be_kept(client: Client, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers["Cache-Control"] == "no-store"


# --- errors -----------------------------------------------------------------------------------


async def test_an_unknown_address_is_a_problem(client: Client) -> None:
    answer = await client.get("/api/v2/signals")

    assert answer.content_type == "application/problem+json"
    assert await answer.json() == {
        "type": "urn:trader:problem:not-found",
        "title": "There is no such address",
        "status": 404,
        "request_id": "r-1",
    }


async def test_a_wrong_method_is_a_problem_that_says_which_are_right(client: Client) -> None:
    answer = await client.delete("/api/v1/config")

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD,PATCH"
    assert (await answer.json())["type"].endswith(":method-not-allowed")


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (StoreBusy("64 requests wait already", retry_after_s=0.2), 503, "1"),
        (StoreDown("PostgreSQL cannot be reached"), 503, "5"),
        (StoreTimeout("PostgreSQL gave up"), 504, None),
        (TooSoon("a moment ago", retry_after_s=61.5), 429, "62"),
        (BoundaryError("somebody outside"), 503, "5"),
        (DomainError("no"), 409, None),
    ],
)
async def test_an_error_of_ours_has_its_status_and_says_when_to_come_back(
    client: Client, world: World, error: ServiceError, status: int, retry_after: str | None
) -> None:
    world.lists.fail = error

    answer = await client.get(URL)

    body = await answer.json()
    assert answer.status == body["status"] == status
    assert answer.headers.get("Retry-After") == retry_after
    assert body["detail"] == str(error)


def _leaves(root: type[ServiceError]) -> list[type[ServiceError]]:
    below = root.__subclasses__()
    return [leaf for kind in below for leaf in _leaves(kind)] if below else [root]


def test_every_error_a_handler_can_meet_has_a_row_at_or_above_it() -> None:
    leaves = [leaf for leaf in _leaves(ServiceError) if not issubclass(leaf, StartError)]

    assert all(any(kind in KINDS for kind in leaf.__mro__) for leaf in leaves)
    assert len(leaves) > 15


def test_each_problem_has_one_status_and_one_title() -> None:
    by_slug: dict[str, set[tuple[int, str]]] = {}
    for kind in KINDS.values():
        by_slug.setdefault(kind.slug, set()).add((kind.status, kind.title))

    assert all(len(meanings) == 1 for meanings in by_slug.values())


@pytest.mark.proves("FR-012")
@pytest.mark.parametrize("error", [ZeroDivisionError("the secret is 42"), errors.StartError("no")])
async def test_a_bug_is_logged_whole_and_answered_bare(
    client: Client, world: World, lines: LineFormatter, error: Exception
) -> None:
    world.lists.fail = error

    answer = await client.get(URL)

    assert answer.status == 500
    assert await answer.json() == {
        "type": "urn:trader:problem:internal-error",
        "title": "The service failed; its log says why",
        "status": 500,
        "request_id": "r-1",
    }
    (bug,) = [line for line in lines if line["message"] == "a handler failed"]
    assert (bug["level"], bug["event"], bug["request_id"]) == ("ERROR", "app", "r-1")
    assert bug["exception"].value is error


async def test_after_a_bug_the_next_request_is_answered(client: Client, world: World) -> None:
    world.lists.fail = ZeroDivisionError()
    await client.get(URL)
    world.lists.fail = None

    assert (await client.get(URL)).status == 200


# --- the log line -----------------------------------------------------------------------------


async def test_a_request_leaves_one_line_with_the_route_not_the_path(
    client: Client, world: World
) -> None:
    answer = await client.get(f"{URL}/123456")

    assert world.log.lines == [
        {
            "level": "INFO",
            "event": "http",
            "method": "GET",
            "route": "/api/v1/signals/{id}",
            "status": 404,
            "duration_ms": 0,
            "bytes": len(await answer.read()),
            "request_id": "r-1",
            "error": "NotFound",
        }
    ]


async def test_an_unknown_address_is_one_label(client: Client, world: World) -> None:
    await client.get("/etc/passwd")

    assert [line["route"] for line in world.log.lines] == ["unmatched"]


async def test_query_and_tokens_are_not_in_the_line(client: Client, world: World) -> None:
    await client.get(
        URL, params={"market": "KRW-CANARY"}, headers={"Authorization": "Bearer canary"}
    )

    (line,) = world.log.lines
    assert "canary" not in str(line).lower()


async def test_lines_of_a_handler_carry_its_request_id(
    client: Client, lines: LineFormatter
) -> None:
    await client.patch(
        "/api/v1/config", json={"min_confidence": 0.7}, headers={"X-Request-ID": "mine"}
    )

    (changed,) = [line for line in lines if line["message"] == "setting changed"]
    assert changed["request_id"] == "mine"


@pytest.mark.parametrize("path", [URL, "/nothing", "/redirected"])
async def test_a_task_that_answered_a_request_works_for_it_no_longer(
    world: World, path: str
) -> None:
    app = world.app()
    seen: list[str | None] = []

    async def handler(_: web.Request) -> web.StreamResponse:
        seen.append(REQUEST.get())
        if path == "/nothing":
            raise web.HTTPNotFound
        if path == "/redirected":
            raise web.HTTPFound("/elsewhere")
        return web.Response()

    mocked = make_mocked_request("GET", path, headers={"Host": "localhost"}, app=app)
    request = mocked.clone(remote="127.0.0.1")
    (answer,) = app.middlewares

    with suppress(web.HTTPFound):
        await answer(request, handler)

    assert REQUEST.get() is None
    assert seen == ["r-1"]


async def test_good_health_checks_are_logged_once_in_a_hundred(
    client: Client, world: World
) -> None:
    for _ in range(101):
        await client.get("/health/ready")

    assert len(world.log.lines) == 2


async def test_every_bad_health_check_is_logged(client: Client, world: World) -> None:
    world.bound.health.mark_draining()
    for _ in range(3):
        await client.get("/health/ready")

    assert [line["status"] for line in world.log.lines] == [503, 503, 503]


async def test_alive_leaves_no_line(client: Client, world: World) -> None:
    await client.get("/health")

    assert world.log.lines == []
