"""Halts, their ends and the state over HTTP."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import JournalDown, StoreDown
from service.domain.markets import Market
from service.domain.prices import PriceSource
from service.domain.trading_states import TradingStatus
from service.web.overload.concurrency_limit import CONCURRENCY_LIMITS, LIMITS, RequestKind
from tests.builders import a_halt, a_ticker, an_intent, an_order
from tests.unit.web.world import Client, Serve, World

URL = "/api/v1/risk"


@pytest.fixture
def world() -> World:
    world = World()
    world.setting_rows.stored["trading_enabled"] = True
    return world


async def posted(client: Client, route: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    answer = await client.post(f"{URL}/{route}", json=body)
    return answer.status, await answer.json()


async def status_of(client: Client) -> dict[str, Any]:
    body: dict[str, Any] = await (await client.get(f"{URL}/status")).json()
    return body


@pytest.mark.parametrize(
    ("protection", "state"),
    [({}, "REDUCING"), ({"protection": True}, "REDUCING"), ({"protection": False}, "HALTED")],
)
async def test_a_halt_is_answered_with_the_new_state(
    client: Client, world: World, protection: dict[str, bool], state: str
) -> None:
    code, body = await posted(client, "halt", {"reason": "maintenance", **protection})

    assert (code, body["state"], body["reason"]) == (200, state, "maintenance")
    assert body["stored"] is True
    assert body["halts"] == [
        {
            "state": state,
            "market": None,
            "reason": "maintenance",
            "actor": "admin@127.0.0.1",
            "since": "2026-01-24T09:00:00.000Z",
            "ends": "operator",
        }
    ]
    assert [(row["action"], row["request_id"]) for row in world.audit.rows] == [
        ("risk.halt", "r-1")
    ]


async def test_a_reason_may_be_in_any_language(client: Client) -> None:
    _, body = await posted(client, "halt", {"reason": " 긴급 정지 "})

    assert body["reason"] == "긴급 정지"


async def test_a_halt_of_one_market_leaves_the_state_of_all(client: Client) -> None:
    _, body = await posted(client, "halt", {"reason": "books", "market": "KRW-ETH"})

    assert body["state"] == "ACTIVE"
    assert [halt["market"] for halt in body["halts"]] == ["KRW-ETH"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "reason is a line"),
        ({"reason": "  "}, "reason is a line"),
        ({"reason": "x" * 201}, "reason is a line"),
        ({"reason": 1}, "reason is a line"),
        ({"reason": "two\nlines"}, "reason is a line"),
        ({"reason": "\x1b[2J"}, "reason is a line"),
        ({"reason": "x", "protection": "no"}, "protection is true"),
        ({"reason": "x", "market": 3}, "market is a text"),
        ({"reason": "x", "until": "noon"}, "'until' is not known here"),
    ],
)
async def test_a_malformed_halt_is_refused_and_stops_nothing(
    client: Client, world: World, body: dict[str, Any], detail: str
) -> None:
    code, problem = await posted(client, "halt", body)

    assert code == 400
    assert problem["detail"].startswith(detail)
    assert world.state.halts == []


async def test_with_the_database_away_a_halt_is_answered_and_says_so(
    client: Client, world: World
) -> None:
    world.state.fail = world.audit.fail = StoreDown("PostgreSQL cannot be reached")

    code, body = await posted(client, "halt", {"reason": "fire", "protection": False})

    assert (code, body["state"], body["stored"]) == (200, "HALTED", False)
    assert len(world.halt_journal.entries) == 1


async def test_a_halt_that_is_stored_nowhere_is_in_force_and_answered_as_a_failure(
    client: Client, world: World
) -> None:
    world.state.fail = StoreDown("PostgreSQL cannot be reached")
    world.halt_journal.fail = JournalDown("the halt journal cannot be read or written")

    code, problem = await posted(client, "halt", {"reason": "fire"})

    assert (code, problem["type"]) == (503, "urn:trader:problem:store-down")
    assert world.bound.trading_switch.status() is TradingStatus.REDUCING


async def test_a_resume_says_what_ended_and_what_still_stands(client: Client, world: World) -> None:
    skew = a_halt(
        kind=TradingStatus.REDUCING, reason="clock_skew", actor="system:clock", ends="condition"
    )
    world.state.halts.append(skew)
    await posted(client, "halt", {"reason": "maintenance", "protection": False})

    code, body = await posted(client, "resume")

    assert (code, body["state"], body["reason"]) == (200, "REDUCING", "clock_skew")
    assert [halt["reason"] for halt in body["ended"]] == ["maintenance"]
    assert [(halt["reason"], halt["ends"]) for halt in body["halts"]] == [
        ("clock_skew", "condition")
    ]


async def test_a_condition_ends_by_its_name(client: Client, world: World) -> None:
    world.state.halts.append(a_halt(kind=TradingStatus.REDUCING, reason="x", ends="condition"))

    _, body = await posted(client, "resume", {"reasons": ["x"]})

    assert body["state"] == "ACTIVE"


@pytest.mark.parametrize("reasons", [[], "x", [1], {}])
async def test_malformed_reasons_end_nothing(client: Client, world: World, reasons: Any) -> None:
    world.state.halts.append(a_halt())

    code, _ = await posted(client, "resume", {"reasons": reasons})

    assert code == 400
    assert len(world.state.halts) == 1


async def test_nothing_resumes_while_the_database_is_away(client: Client, world: World) -> None:
    await posted(client, "halt", {"reason": "maintenance", "protection": False})
    world.state.fail = StoreDown("PostgreSQL cannot be reached")

    code, problem = await posted(client, "resume")

    assert code == 503
    assert problem["detail"].startswith("trading stays as it is")
    assert (await status_of(client))["state"] == "HALTED"


async def test_the_status_has_each_limit_with_what_is_used(client: Client, world: World) -> None:
    world.orders.hold(an_order())

    body = await status_of(client)

    assert (body["state"], body["trading_enabled"]) == ("ACTIVE", True)
    assert body["lease"] == {"may_trade": True, "reason": None}
    (per_hour,) = limits_called(body, "max_orders_per_hour")
    assert Decimal(per_hour["used"]) + Decimal(per_hour["left"]) == Decimal(per_hour["limit"])
    assert per_hour["used"] == "1"
    assert {row["market"] for row in limits_called(body, "max_position_pct")} == {
        "KRW-BTC",
        "KRW-ETH",
    }
    assert [row["quote"] for row in limits_called(body, "max_exposure_pct")] == ["KRW"]
    assert [row["market"] for row in body["positions"]] == ["KRW-BTC", "KRW-ETH"]


def limits_called(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [row for row in body["limits"] if row["name"] == name]


async def test_the_status_shows_the_days_loss_and_how_far_each_market_moved(
    client: Client, world: World
) -> None:
    for price in (100_000_000, 98_000_000):
        ticker = a_ticker(price=Decimal(price), low=Decimal(1), traded_at=world.clock.now())
        world.bound.live_prices.hear(ticker, source=PriceSource.STREAM)

    body = await status_of(client)

    (lost,) = limits_called(body, "daily_loss_limit_pct")
    assert lost == {
        "name": "daily_loss_limit_pct",
        "market": None,
        "quote": "KRW",
        "limit": "5",
        "used": "0",
        "left": "5",
    }
    moved = {row["market"]: row for row in limits_called(body, "volatility_threshold_pct")}
    assert (moved["KRW-BTC"]["used"], moved["KRW-BTC"]["left"]) == ("2.04", "0.96")
    assert (moved["KRW-ETH"]["used"], moved["KRW-ETH"]["left"]) == (None, None)


async def test_a_standby_does_not_know_the_days_loss(serve: Serve) -> None:
    body = await status_of(await serve(World(epoch=None)))

    (lost,) = limits_called(body, "daily_loss_limit_pct")
    assert (lost["used"], lost["left"]) == (None, None)


async def test_the_state_is_shown_while_the_database_is_away(client: Client, world: World) -> None:
    world.lists.fail = world.state.fail = StoreDown("PostgreSQL cannot be reached")
    await posted(client, "halt", {"reason": "fire", "protection": False})

    body = await status_of(client)

    assert (body["state"], body["limits"], body["positions"]) == ("HALTED", None, None)
    assert body["missing"] == ["limits", "positions"]


async def test_a_database_that_never_answers_does_not_hold_up_the_state(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is cut to nothing here."""

    async def hang(*_: object) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr("service.web.api.risk.READ_WITHIN_S", 0)
    monkeypatch.setattr(world.lists, "market_latest", hang)

    async with asyncio.timeout(20):
        body = await status_of(client)

    assert (body["state"], body["missing"]) == ("ACTIVE", ["limits", "positions"])
    assert body["protection"] == []


async def test_positions_are_shown_where_only_the_limits_cannot_be_read(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> int:
        raise StoreDown("PostgreSQL cannot be reached")

    monkeypatch.setattr(world.orders, "count_since", away)

    body = await status_of(client)

    assert body["missing"] == ["limits"]
    assert [row["market"] for row in body["positions"]] == ["KRW-BTC", "KRW-ETH"]


async def test_a_standby_says_that_it_may_not_trade(serve: Serve) -> None:
    client = await serve(World(epoch=None))

    body = await status_of(client)

    assert body["lease"] == {"may_trade": False, "reason": "no_trading_lease"}


async def test_risk_events_can_be_filtered(client: Client, world: World) -> None:
    world.lists.add_risk_event(event="HALTED", n=1)
    world.lists.add_risk_event(event="RESUMED", n=2)

    body = await (await client.get(f"{URL}/events", params={"event": "HALTED"})).json()

    assert [row["id"] for row in body["items"]] == [1]


async def test_a_halt_waits_behind_no_other_change(client: Client) -> None:
    """Every place and every place in the queue is taken, as by changes that hang."""
    assert client.app is not None
    limits, release = client.app[CONCURRENCY_LIMITS], asyncio.Event()
    limit = limits._limits[RequestKind.CHANGE]

    async def hold() -> None:
        async with limit:
            await release.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(LIMITS[RequestKind.CHANGE].at_work):
            group.create_task(hold())
        await asyncio.sleep(0)
        busy, _ = await posted(client, "../config/reset", {"keys": ["min_confidence"]})
        halted, _ = await posted(client, "halt", {"reason": "fire"})
        resumed, _ = await posted(client, "resume")
        release.set()

    assert (busy, halted, resumed) == (503, 200, 200)


async def test_flatten_halts_begins_to_sell_and_says_how_far_it_is(
    client: Client, world: World
) -> None:
    await world.bound.flattener.step()
    world.orders.hold(an_order(intent=an_intent()))

    code, body = await posted(client, "flatten", {"markets": None, "confirm": "FLATTEN"})

    assert (code, body["state"], body["reason"]) == (202, "HALTED", "flatten")
    assert body["flatten"] == {
        "running": True,
        "markets": [{"market": "KRW-BTC", "status": "WAITING", "detail": None}],
    }
    assert [row["action"] for row in world.audit.rows] == ["risk.halt", "risk.flatten"]
    assert (await status_of(client))["flatten"]["running"] is True


async def test_flatten_of_named_markets_halts_them_alone(client: Client, world: World) -> None:
    body: dict[str, Any] = {"markets": ["KRW-ETH", "KRW-ETH"], "confirm": "FLATTEN"}

    code, answer = await posted(client, "flatten", body)

    assert (code, answer["state"]) == (202, "ACTIVE")
    assert [(halt.market, halt.kind) for halt in world.state.halts] == [
        (Market("KRW", "ETH"), TradingStatus.HALTED)
    ]


@pytest.mark.parametrize("confirm", [{}, {"confirm": "flatten"}, {"confirm": True}])
async def test_flatten_is_not_begun_without_the_word(
    client: Client, world: World, confirm: dict[str, Any]
) -> None:
    code, problem = await posted(client, "flatten", {"markets": None, **confirm})

    assert code == 400
    assert "FLATTEN" in problem["detail"]
    assert world.state.halts == []


@pytest.mark.parametrize(
    ("markets", "code"),
    [
        ({}, 400),
        ({"markets": []}, 400),
        ({"markets": "KRW-BTC"}, 400),
        ({"markets": [1]}, 400),
        ({"markets": ["KRW-XRP"]}, 404),
        ({"markets": ["bitcoin"]}, 404),
    ],
)
async def test_flatten_of_no_market_or_of_an_unknown_one_is_refused(
    client: Client, world: World, markets: dict[str, Any], code: int
) -> None:
    answered, _ = await posted(client, "flatten", {"confirm": "FLATTEN", **markets})

    assert answered == code
    assert world.state.halts == []


async def test_a_standby_flattens_nothing_and_says_why(serve: Serve) -> None:
    world = World(epoch=None)
    client = await serve(world)

    code, problem = await posted(client, "flatten", {"markets": None, "confirm": "FLATTEN"})

    assert (code, problem["type"]) == (409, "urn:trader:problem:not-leader")
    assert world.state.halts == []


async def test_a_market_that_is_not_collected_is_not_halted(client: Client, world: World) -> None:
    """A mistyped name would be answered well and stop nothing."""
    code, problem = await posted(client, "halt", {"reason": "books", "market": "KRW-BTCC"})

    assert (code, problem["type"]) == (404, "urn:trader:problem:unknown-market")
    assert world.state.halts == []


async def test_a_standby_that_can_tell_no_one_of_its_halt_says_so(
    client: Client, world: World
) -> None:
    """The process that trades would go on, and the operator would think that it stopped."""
    world.lease.epoch = None
    await world.bound.leadership.renew()
    world.state.fail = world.audit.fail = StoreDown("PostgreSQL cannot be reached")

    code, problem = await posted(client, "halt", {"reason": "fire", "protection": False})

    assert code == 503
    assert "ask the one that trades" in problem["detail"]
    assert world.bound.trading_switch.status() is TradingStatus.HALTED
    assert len(world.halt_journal.entries) == 1
