"""The database is lost or restored, and the exchange knows more than it (F46)."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.composed import Composed, composed

HOURS = 3


async def ledger_of(service: Composed) -> Any:
    async with service.client.get(f"{service.exchange_url}/__sandbox__/ledger") as answer:
        return json.loads(await answer.read())


async def test_a_service_on_an_empty_database_has_the_exchange_s_orders_before_it_trades(
    tmp_path: Path, dsn: str, empty_dsn: str
) -> None:
    async with composed(tmp_path, dsn, speed=Decimal(0)) as service:
        await service.services.ports.clock.sleep_market(HOURS * 3600)
        before = await ledger_of(service)

    async with composed(tmp_path, empty_dsn, speed=Decimal(0)) as service:
        assert service.services.leadership.may_trade
        begun = await ledger_of(service)
        await service.services.ports.clock.sleep_market(HOURS * 3600)
        page = await service.get("/api/v1/trading/orders?limit=500")
        positions = await service.get("/api/v1/trading/position")
        after = await ledger_of(service)

    sent = {order["identifier"] for order in before["orders"]}
    assert len(sent) >= 1
    found = {order["identifier"]: order["status"] for order in page["items"]}
    assert sent <= found.keys()
    assert {found[identifier] for identifier in sent} == {"EXECUTED"}
    coins = sum(
        Decimal(account["balance"]) for account in after["accounts"] if account["currency"] == "BTC"
    )
    assert [Decimal(position["volume"]) for position in positions["items"]] == [coins]
    # Nothing was bought meanwhile: the market may only be reduced until an operator has looked.
    known = {order["uuid"] for order in begun["orders"]}
    new = [order for order in after["orders"] if order["uuid"] not in known]
    assert [order for order in new if order["side"] == "bid"] == []
