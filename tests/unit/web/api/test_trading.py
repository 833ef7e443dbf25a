"""Orders, fills, positions and balances over HTTP."""

from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import ExchangeUnavailable
from service.domain.markets import Market
from service.domain.orders import OrderStatus
from service.domain.prices import PriceSource
from service.domain.trading_states import TradingStatus
from tests.builders import T0, a_fill, a_ticker, a_trade, an_exchange_order, an_intent, an_order
from tests.fakes.exchange import FakeExchange
from tests.unit.web.world import Client, Serve, World

URL = "/api/v1/trading"


async def test_orders_can_be_filtered_by_status_and_market(client: Client, world: World) -> None:
    world.lists.add_order(status="UNKNOWN", n=1)
    world.lists.add_order(status="EXECUTED", n=2)
    world.lists.add_order(status="UNKNOWN", market="KRW-ETH", n=3)

    answer = await client.get(f"{URL}/orders", params={"status": "UNKNOWN", "market": "KRW-BTC"})

    assert [row["id"] for row in (await answer.json())["items"]] == [1]


async def test_a_wrong_status_is_answered_with_the_right_ones(client: Client) -> None:
    answer = await client.get(f"{URL}/orders", params={"status": "FILLED"})

    assert answer.status == 400
    assert (await answer.json())["detail"] == f"status is one of {', '.join(OrderStatus)}"


async def test_one_order_with_its_fills(client: Client, world: World) -> None:
    world.lists.add_order(n=4)

    body = await (await client.get(f"{URL}/orders/4")).json()

    assert body["fills"] == []


async def test_an_order_that_does_not_exist_is_not_found(client: Client) -> None:
    answer = await client.get(f"{URL}/orders/4")

    assert answer.status == 404
    assert (await answer.json())["detail"] == "there is no order 4"


async def test_fills_of_one_market(client: Client, world: World) -> None:
    world.lists.add_fill(market="KRW-BTC", n=1)
    world.lists.add_fill(market="KRW-ETH", n=2)

    body = await (await client.get(f"{URL}/fills", params={"market": "KRW-ETH"})).json()

    assert [row["id"] for row in body["items"]] == [2]


async def test_a_position_is_valued_at_the_newest_price(client: Client, world: World) -> None:
    world.orders.hold(
        an_order(intent=an_intent(funds=Decimal(300_000))),
        a_fill(trade_uuid="a", volume=Decimal("0.001"), funds=Decimal(100_000)),
        a_fill(trade_uuid="b", volume=Decimal("0.002"), funds=Decimal("200_000.10")),
    )
    world.lists.add_ticker(price="110000000")

    body = await (await client.get(f"{URL}/position", params={"market": "KRW-BTC"})).json()

    assert body["items"][0].pop("protection") is not None
    assert body["items"] == [
        {
            "market": "KRW-BTC",
            "volume": "0.003",
            "average_price": "100000033.33333333",
            "price": "110000000",
            "value": "330000",
            "unrealised_pnl": "29999.9",
            "realised_pnl": "-100",
            "fees_paid": "100",
            "opened_at": "2026-01-24T09:00:00.000Z",
        }
    ]


async def test_a_position_shows_its_stop_and_whether_a_rule_would_sell_it(
    client: Client, world: World
) -> None:
    world.orders.hold(an_order(intent=an_intent(funds=Decimal(100_000))), a_fill())
    await world.bound.protection.protector.load()
    price = Decimal(98_000_000)
    ticker = a_ticker(price=price, low=price, high=price, traded_at=world.clock.now())
    world.bound.live_prices.hear(ticker, source=PriceSource.STREAM)

    async def shown() -> Any:
        body = await (await client.get(f"{URL}/position", params={"market": "KRW-BTC"})).json()
        return body["items"][0]["protection"]

    before = await shown()
    await world.bound.trading_switch.halt(kind=TradingStatus.HALTED, reason="test", actor="test")
    halted = await shown()

    assert before == {
        "stop_price": "95000000",
        "trailing_stop_price": None,
        "take_profit_price": None,
        "distance_pct": "3.06",
        "watched": True,
        "unwatched_because": None,
        "price_age_seconds": 0.0,
        "doubt": None,
        "selling": None,
        "sold": "0",
        "dust": False,
    }
    assert (halted["watched"], halted["unwatched_because"]) == (False, "trading_stopped")


async def test_a_standby_shows_the_stop_of_a_position_that_another_process_watches(
    client: Client, world: World
) -> None:
    world.orders.hold(an_order(intent=an_intent(funds=Decimal(100_000))), a_fill())
    world.lease.epoch = None
    await world.bound.leadership.renew()

    body = await (await client.get(f"{URL}/position", params={"market": "KRW-BTC"})).json()

    stop = body["items"][0]["protection"]
    assert stop["stop_price"] == "95000000"
    assert (stop["watched"], stop["unwatched_because"]) == (False, "no_trading_lease")


async def test_every_market_has_a_position_and_no_price_is_null(client: Client) -> None:
    body = await (await client.get(f"{URL}/position")).json()

    assert [item["market"] for item in body["items"]] == ["KRW-BTC", "KRW-ETH"]
    assert {item["volume"] for item in body["items"]} == {"0"}
    for name in ("average_price", "price", "value", "unrealised_pnl", "opened_at", "protection"):
        assert body["items"][0][name] is None


async def test_what_is_held_is_shown_whatever_is_traded_or_collected(
    client: Client, world: World
) -> None:
    xrp = Market("KRW", "XRP")
    world.setting_rows.stored["markets"] = ["KRW-ETH"]
    world.orders.hold(an_order(id=1, intent=an_intent(market=xrp)), a_fill(trade_uuid="x"))
    world.orders.hold(an_order(id=2), a_fill(trade_uuid="b"))
    world.lists.add_ticker(market="KRW-XRP", price="110000000")

    body = await (await client.get(f"{URL}/position")).json()

    assert [(item["market"], item["volume"] != "0") for item in body["items"]] == [
        ("KRW-BTC", True),
        ("KRW-ETH", False),
        ("KRW-XRP", True),
    ]
    assert body["items"][2]["price"] == "110000000"


async def test_balances_are_decimal_text_by_currency(world: World, serve: Serve) -> None:
    world.exchange = FakeExchange(balances={"KRW": Decimal("1E+7"), "BTC": Decimal("0.00000001")})
    world.exchange.locked["KRW"] = Decimal("0.10")
    client = await serve(world)

    body = await (await client.get(f"{URL}/balance")).json()

    assert body["items"] == [
        {"currency": "BTC", "available": "0.00000001", "locked": "0", "total": "0.00000001"},
        {"currency": "KRW", "available": "10000000", "locked": "0.1", "total": "10000000.1"},
    ]
    assert body["age_seconds"] == 0.0


async def test_without_the_exchange_there_is_no_balance_but_a_time_to_try_again(
    client: Client, world: World
) -> None:
    world.exchange.fail_next(
        "balances", ExchangeUnavailable("Upbit asks us to slow down", retry_after_s=12)
    )

    answer = await client.get(f"{URL}/balance")

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "12"
    assert (await answer.json())["detail"] == "Upbit asks us to slow down"


async def test_looking_orders_up_says_how_many_moved_and_is_audited(
    client: Client, world: World
) -> None:
    for n in (1, 2, 3):
        name = f"uat-{n}"
        world.orders.hold(an_order(id=n, identifier=name, status=OrderStatus.SUBMITTED))
        world.exchange.orders[name] = an_exchange_order(
            uuid=f"e-{n}", identifier=name, trades=(a_trade(uuid=name),)
        )

    answer = await client.post(f"{URL}/orders/sync")

    assert (await answer.json()) == {"reconciled": 3}
    assert [row["action"] for row in world.audit.rows] == ["order.sync"]


async def test_looking_orders_up_is_for_the_process_that_trades(serve: Serve) -> None:
    client = await serve(World(epoch=None))

    answer = await client.post(f"{URL}/orders/sync")

    assert answer.status == 409
    assert (await answer.json())["type"].endswith(":not-leader")


@pytest.mark.parametrize("body", [{"orders": [1]}, {"all": True}])
async def test_looking_orders_up_takes_no_choice(
    client: Client, world: World, body: object
) -> None:
    answer = await client.post(f"{URL}/orders/sync", json=body)

    assert answer.status == 400
    assert world.audit.rows == []


async def test_what_is_stuck_is_judged_by_the_markets_time(client: Client, world: World) -> None:
    world.lists.add_order(n=4)

    for path in ("trading/orders", "trading/orders/4", "dashboard/summary"):
        assert (await client.get(f"/api/v1/{path}")).status == 200

    asked = [asked for name, asked in world.lists.asked if name in {"order", "orders"}]
    assert [one["now"] for one in asked] == [T0] * 3
