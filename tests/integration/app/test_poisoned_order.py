"""One order whose answer cannot be booked ends no start: over real sockets, with PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
POISON: Final = "UPDATE fills SET volume = volume / 2 WHERE market = 'KRW-BTC'"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """What a start shows whose first order's answer is not what was booked."""

    bought: Sequence[tuple[int, Any]]
    may_trade: bool
    orders: Mapping[str, Any]  #: the orders bought, by market
    alerts: Sequence[Mapping[str, Any]]
    blocked: tuple[int, Any]  #: the next purchase in the first order's market
    free: tuple[int, Any]
    health: Mapping[str, Any]


async def restarted(tmp_path: Path, dsn: str, *changes: str) -> Restarted:
    """Buy in every market, stop, change the database, start again."""
    options: dict[str, Any] = {"markets": ",".join(MARKETS)}
    await quiet(dsn)
    async with composed(tmp_path, dsn, **options) as service:
        bought = [await buy(service, market, market) for market in MARKETS[1:]]
        await say(service, SAID)
        bought.append(await buy(service, MARKETS[0], MARKETS[0]))
    async with open_pool(dsn, minsize=1, maxsize=1) as pool:
        for change in (UNDER_WAY, *changes):
            await execute(pool, change)

    async with composed(tmp_path, dsn, **options) as service:
        may_trade = service.services.leadership.may_trade
        page = await service.get(ORDERS)
        ids = {order["id"]: order["market"] for _, order in bought}  # a signal may have bought too
        return Restarted(
            bought=bought,
            may_trade=may_trade,
            orders={ids[order["id"]]: order for order in page["items"] if order["id"] in ids},
            alerts=(await service.get("/api/v1/alerts?severity=critical"))["items"],
            blocked=await buy(service, "KRW-BTC", "again"),
            free=await buy(service, "KRW-ETH", "again"),
            health=await service.get("/health/detailed"),
        )


def assert_the_others_go_on(seen: Restarted) -> None:
    assert [status for status, _ in seen.bought] == [201, 201, 201]
    assert seen.bought[-1][1]["status"] == "PARTIALLY_FILLED"
    assert seen.may_trade, "the start went on"
    for market in MARKETS[1:]:
        assert seen.orders[market]["status"] == "EXECUTED"
        assert seen.orders[market]["quarantine_reason"] is None
    assert (seen.blocked[0], seen.blocked[1]["type"]) == (409, "urn:trader:problem:order-refused")
    assert seen.free[0] == 201


@pytest.mark.proves("S4.3")
async def test_a_poisoned_order_is_put_aside_at_the_start_and_the_others_are_settled(
    tmp_path: Path, dsn: str
) -> None:
    seen = await restarted(tmp_path, dsn, POISON)

    assert_the_others_go_on(seen)
    aside = seen.orders["KRW-BTC"]
    assert (aside["status"], aside["quarantine_reason"]) == ("UNKNOWN", "trade_changed")
    assert aside["what_to_do"]
    told = [alert for alert in seen.alerts if aside["identifier"] in alert["body"]]
    assert [alert["key"] for alert in told] == [f"order:{aside['identifier']}:quarantined"]
    assert seen.health["components"]["recent_order"]["status"] != "healthy"


@pytest.mark.proves("S4.3")
async def test_an_order_of_which_the_exchange_knows_less_holds_up_no_start(
    tmp_path: Path, dsn: str
) -> None:
    """Its fee is smaller than what was booked. That may be an old answer: it is looked at again."""
    seen = await restarted(tmp_path, dsn)

    assert_the_others_go_on(seen)
    order = seen.orders["KRW-BTC"]
    assert (order["status"], order["quarantine_reason"]) == ("PARTIALLY_FILLED", None)
