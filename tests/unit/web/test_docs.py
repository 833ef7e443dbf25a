"""docs/api.md has a line for each route and each problem."""

import re
from pathlib import Path

import pytest
from aiohttp import web

from service.ports.health import CacheStats, PoolMetrics
from service.web.protocol.problems import HTTP_KINDS, INTERNAL, KINDS
from tests.unit.web.world import World

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_route_has_a_line_and_every_line_a_route() -> None:
    app: web.Application = World().app()
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }

    described = set(re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", TEXT, re.MULTILINE))

    assert described == served


def test_every_problem_has_a_line_with_its_status() -> None:
    kinds = [*KINDS.values(), *HTTP_KINDS.values(), INTERNAL]

    described = set(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", TEXT, re.MULTILINE))

    assert described == {(kind.slug, str(kind.status)) for kind in kinds}


@pytest.mark.parametrize(("route", "body"), [("pool", PoolMetrics), ("cache", CacheStats)])
def test_every_counter_is_named(route: str, body: type) -> None:
    line = re.search(rf"^\| GET \| `/api/v1/metrics/{route}` .*$", TEXT, re.MULTILINE)

    assert line is not None
    assert set(re.findall(r"`(\w+)`", line[0])) == body.__annotations__.keys()


def test_every_change_is_said_to_need_an_admin() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \| `[^`]+` \| (\w+) \|", TEXT, re.MULTILINE)

    assert {role for method, role in rows if method != "GET"} == {"admin"}
    assert {role for method, role in rows if method == "GET"} == {"anybody", "viewer"}
