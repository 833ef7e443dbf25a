"""docs/api.md has a line for each problem and names each counter; test_routes.py has the routes."""

import re
from pathlib import Path

import pytest

from service.ports.health import CacheStats, PoolMetrics
from service.web.protocol.problems import HTTP_KINDS, INTERNAL, KINDS

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_problem_has_a_line_with_its_status() -> None:
    kinds = [*KINDS.values(), *HTTP_KINDS.values(), INTERNAL]

    described = set(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", TEXT, re.MULTILINE))

    assert described == {(kind.slug, str(kind.status)) for kind in kinds}


@pytest.mark.parametrize(("route", "body"), [("pool", PoolMetrics), ("cache", CacheStats)])
def test_every_counter_is_named(route: str, body: type) -> None:
    line = re.search(rf"^\| GET \| `/api/v1/metrics/{route}` .*$", TEXT, re.MULTILINE)

    assert line is not None
    assert set(re.findall(r"`(\w+)`", line[0])) == body.__annotations__.keys()
