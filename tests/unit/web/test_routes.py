"""One table: router, rights, validation, document and docs/api.md have each route, and no other."""

import re
from typing import Any, Final

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from service.web.contract.roles import READING, Role
from service.web.contract.route import TABLE, RouteRow
from service.web.keys import CONFIG
from service.web.protocol.problems import HTTP_KINDS, INTERNAL, KINDS
from service.web.protocol.query import Query
from tests.api_document import DOCUMENT, PAGE, rows
from tests.builders import a_config
from tests.unit.web.world import Client, Serve, World

ROWS: Final = rows()
API: Final[dict[str, Any]] = orjson.loads(DOCUMENT.read_bytes())
TOKENS: Final = {Role.ADMIN: "may-change-anything", Role.VIEWER: "may-look-at-all-of-it"}
#: Values that the variables of an address may have; none is the id of anything.
VALUES: Final = {"id": "999999", "key": "min_confidence", "name": "no_such_job"}


def address(row: RouteRow) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: VALUES[found[1]], row.path)


def name_of(row: RouteRow) -> str:
    return row.name


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in API["paths"].items()
        for method, operation in methods.items()
    }


def test_router_document_and_page_have_the_routes_of_the_table() -> None:
    table = {(row.method, row.path) for row in ROWS}
    router = World().app().router
    served = {
        (route.method, route.resource.canonical)
        for route in router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    listed = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)

    assert len(table) == len(ROWS)
    assert table == served == set(operations()) == set(listed)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
async def test_each_address_leads_to_its_own_row(row: RouteRow) -> None:
    """A fixed path after a variable that matches it too would never be answered."""
    app = World().app()

    found = await app.router.resolve(make_mocked_request(row.method, address(row)))

    assert found.get_info()["formatter" if "{" in row.path else "path"] == row.path


def test_names_of_operations_are_used_once() -> None:
    assert len({row.name for row in ROWS}) == len({row.handler for row in ROWS}) == len(ROWS)


def test_roles_follow_methods_and_stand_in_the_document() -> None:
    roles = {(row.method, row.path): row.role for row in ROWS}

    assert {role for (method, _), role in roles.items() if method not in READING} == {Role.ADMIN}
    assert {key: operation["x-role"] for key, operation in operations().items()} == roles
    assert all(
        (operation["security"] == []) == (operation["x-role"] == Role.ANONYMOUS)
        for operation in operations().values()
    )


@pytest.fixture
async def guarded(world: World, serve: Serve) -> Client:
    """The service where an address gives no right."""
    world.config = a_config(admin_token=TOKENS[Role.ADMIN], viewer_token=TOKENS[Role.VIEWER])
    return await serve(world)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
async def test_each_role_gets_what_its_row_says(guarded: Client, row: RouteRow) -> None:
    ranks = list(Role)
    statuses = {}
    for role in ranks:
        headers = {"Authorization": f"Bearer {TOKENS[role]}"} if role in TOKENS else {}
        headers["X-Forwarded-For"] = "192.0.2.7"
        answer = await guarded.request(row.method, address(row), headers=headers)
        statuses[role] = answer.status

    refused = {role for role, status in statuses.items() if status in {401, 403}}
    assert refused == {role for role in ranks if ranks.index(role) < ranks.index(row.role)}
    assert statuses[Role.ADMIN] < 500 or statuses[Role.ADMIN] == 503


def test_every_problem_is_the_problem_of_some_route_and_every_status_is_documented() -> None:
    documented = {slug for name in API["components"]["responses"] for slug in name.split(".")[1:]}

    #: 405 has no operation to stand at: it is the answer to a method that a path does not have.
    of_no_route = {kind.slug for kind in HTTP_KINDS.values() if kind.status == 405}
    kinds = {*KINDS.values(), *HTTP_KINDS.values(), INTERNAL}
    assert documented == {kind.slug for kind in kinds} - of_no_route


def test_a_parameter_outside_the_row_cannot_be_read() -> None:
    """The document would not have it."""
    app = web.Application()
    app[CONFIG] = a_config()
    row = next(row for row in ROWS if row.name == "list_fills")
    request = make_mocked_request("GET", row.path, app=app)
    app[TABLE] = {request.match_info.handler: row}

    with pytest.raises(KeyError):
        Query(request).text("status")


async def test_the_index_lists_the_table(client: Client) -> None:
    body = await (await client.get("/api/v1")).json()

    assert [(item["method"], item["path"]) for item in body["items"]] == [
        (row.method, row.path) for row in ROWS
    ]
    assert body["openapi"] == "/openapi.json"


def test_every_reference_of_the_document_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', DOCUMENT.read_text()))

    assert references
    assert all(name in API["components"][kind] for kind, name in references)


def test_a_connection_without_a_place_is_documented_for_every_route() -> None:
    for path, operations in API["paths"].items():
        for operation in operations.values():
            refusal = operation["responses"]["503"]
            name = refusal.get("$ref", "").rpartition("/")[2]
            refusal = API["components"]["responses"].get(name, refusal)
            assert "overloaded" in refusal["description"], path
            assert "application/problem+json" in refusal["content"], path


@pytest.mark.parametrize("path", ["/health/ready", "/health/detailed"])
def test_the_503_of_a_health_check_is_its_body_or_a_problem(path: str) -> None:
    content = API["paths"][path]["get"]["responses"]["503"]["content"]

    assert set(content) == {"application/json", "application/problem+json"}
