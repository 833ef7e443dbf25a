"""One order whose answer cannot be booked ends no start: over real sockets, with PostgreSQL."""

from pathlib import Path
from typing import Any, Final

import pytest

from service.settings.settings import Settings
from service.store.database.pool import open_pool
from service.store.tables.settings import PgSettingRows
from tests.composed import Composed, composed
from tests.fakes.clock import FakeClock
from tests.integration.store.seeds import execute

ORDERS: Final = "/api/v1/trading/orders"
MARKETS: Final = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
NO_SIGNALS: Final = "generate_trading_signal"
#: The others, as a process left them that died before it knew of their end.
UNDER_WAY: Final = "UPDATE orders SET status = 'PARTIALLY_FILLED' WHERE market <> 'KRW-BTC'"
#: Until the stop the exchange says so of the first one; from the start on it says less.
SAID: Final = {"state": "wait", "paid_fee": "60"}
POISONS: Final = {
    "fee_shrank": "SELECT 1",
    "trade_changed": "UPDATE fills SET volume = volume / 2 WHERE market = 'KRW-BTC'",
}


async def buy(service: Composed, market: str, key: str) -> tuple[int, Any]:
    body = {"market": market, "side": "BUY", "type": "MARKET", "funds": "100000"}
    async with service.client.post(ORDERS, json=body, headers={"Idempotency-Key": key}) as answer:
        return answer.status, await answer.json()


async def quiet(dsn: str) -> None:
    """Have no signal trade beside the test, from the first start on."""
    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        settings = Settings(PgSettingRows(pool), FakeClock())
        await settings.change({"disabled_jobs": [NO_SIGNALS]}, by="test")


async def say(service: Composed, merge: object) -> None:
    """Have the exchange put this into each look-up of an order."""
    fault = {"method": "GET", "path": "/v1/order", "merge": merge}
    url = f"{service.exchange_url}/__sandbox__/faults"
    async with service.client.post(url, json=[fault]) as answer:
        assert answer.ok, await answer.text()


@pytest.mark.proves("S4.3")
@pytest.mark.parametrize(("reason", "change"), POISONS.items(), ids=POISONS)
async def test_a_poisoned_order_is_put_aside_at_the_start_and_the_others_are_settled(
    tmp_path: Path, dsn: str, reason: str, change: str
) -> None:
    options: dict[str, Any] = {"markets": ",".join(MARKETS)}
    await quiet(dsn)
    async with composed(tmp_path, dsn, **options) as service:
        bought = [await buy(service, market, market) for market in MARKETS[1:]]
        await say(service, SAID)
        bought.append(await buy(service, MARKETS[0], MARKETS[0]))
    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        await execute(pool, UNDER_WAY)
        await execute(pool, change)

    async with composed(tmp_path, dsn, **options) as service:
        may_trade = service.services.leadership.may_trade
        page = await service.get(ORDERS)
        alerts = await service.get("/api/v1/alerts?severity=critical")
        blocked = await buy(service, "KRW-BTC", "again")
        free = await buy(service, "KRW-ETH", "again")
        health = await service.get("/health/detailed")

    assert [status for status, _ in bought] == [201, 201, 201]
    assert bought[-1][1]["status"] == "PARTIALLY_FILLED"
    assert may_trade, "the start went on"
    ids = {
        order["id"]: order["market"] for _, order in bought
    }  # a first signal may have bought too
    seen = {ids[order["id"]]: order for order in page["items"] if order["id"] in ids}
    aside = seen["KRW-BTC"]
    assert (aside["status"], aside["quarantine_reason"]) == ("UNKNOWN", reason)
    assert aside["what_to_do"]
    for market in MARKETS[1:]:
        assert seen[market]["status"] == "EXECUTED"
        assert seen[market]["quarantine_reason"] is None
    told = [alert for alert in alerts["items"] if aside["identifier"] in alert["body"]]
    assert [alert["key"] for alert in told] == [f"order:{aside['identifier']}:quarantined"]
    assert (blocked[0], blocked[1]["type"]) == (409, "urn:trader:problem:order-refused")
    assert free[0] == 201
    assert health["components"]["recent_order"]["status"] != "healthy"
