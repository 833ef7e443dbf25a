"""The whole service on loopback, and what must not have happened to it afterwards."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from yarl import URL

from service.web.contract.route import RouteRow
from service.web.routes import ROUTES
from tests.composed import Composed, composed
from tests.fakes.logs import Logs

#: For the variables of addresses: the first two name nothing, the others something real.
NAMES: Final = {"id": "1", "name": "no_such_job", "key": "min_confidence"}
CHANGES: Final = tuple(row for row in ROUTES if row.method != "GET")
READS: Final = tuple(row for row in ROUTES if row.method == "GET")
JSON: Final = {"Content-Type": "application/json"}


@dataclass
class Attacked:
    service: Composed
    logs: Logs
    answers: list[tuple[str, int]] = field(default_factory=list)

    @property
    def port(self) -> int:
        base = self.service.client._base_url
        assert base is not None
        assert base.port is not None
        return base.port

    async def ask(self, method: str, address: str, **options: Any) -> int:
        """Return the status; the address goes out as it is written here."""
        url = URL(f"http://127.0.0.1:{self.port}{address}", encoded=True)
        async with self.service.client.request(method, url, **options) as answer:
            raw = await answer.read()
            if not answer.ok:
                body = json.loads(raw)
                assert answer.content_type == "application/problem+json"
                assert body["request_id"] == answer.headers["X-Request-ID"]
                assert answer.headers["X-Frame-Options"] == "DENY"
            assert "Server" not in answer.headers
            self.answers.append((f"{method} {address} {options}"[:200], answer.status))
            return answer.status

    def of_status(self, *statuses: int) -> Sequence[tuple[str, int]]:
        return [(asked, status) for asked, status in self.answers if status in statuses]

    async def standing(self) -> dict[str, Any]:
        """Return what a request for a change can change; the service trades by itself meanwhile."""
        orders = await self.service.get("/api/v1/trading/orders")
        return {
            "config": await self.service.get("/api/v1/config"),
            "changes": await self.service.get("/api/v1/config/changes"),
            "deposits": await self.service.get("/api/v1/portfolio/deposits"),
            "halts": (await self.service.get("/api/v1/risk/status"))["state"],
            "by_hand": [order["id"] for order in orders["items"] if is_by_hand(order)],
        }


def is_by_hand(order: dict[str, Any]) -> bool:
    return order["decision_id"] is None and order["rule"] is None


def address_of(row: RouteRow) -> str:
    return row.path.format_map(NAMES)


@pytest.fixture
def written() -> Iterator[Logs]:
    with Logs.captured() as logs:
        yield logs


@pytest.fixture
async def attacked(written: Logs, tmp_path: Path, dsn: str) -> AsyncIterator[Attacked]:
    """Serve without signals of its own; then no request may have failed, and none left a trace."""
    async with composed(tmp_path, dsn) as service:
        await service.change("disabled_jobs", ["generate_trading_signal"])
        attacked = Attacked(service, written)
        before = await attacked.standing()
        yield attacked
        assert await attacked.standing() == before
        assert await service.get("/health") == {"status": "alive"}
    assert [asked for asked in attacked.answers if asked[1] >= 500] == []
    assert [line for line in written.of("http") if line["status"] >= 500] == []
    assert [line for line in written.lines if line["level"] in {"ERROR", "CRITICAL"}] == []
