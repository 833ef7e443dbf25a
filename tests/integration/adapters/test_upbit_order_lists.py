"""The lists of orders are asked for whole, and read as captured."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from service.adapters.upbit.rest import UpbitRest
from service.domain.errors import ExchangeUnavailable
from service.domain.orders import ExchangeOrderState, OrderType, Side
from tests.integration.adapters.upbit_stub import UpbitStub, nonce_of

NOON = datetime(2026, 1, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OPEN = "GET /v1/orders/open"
CLOSED = "GET /v1/orders/closed"
BULK = "GET /v1/orders/uuids"


def row(number: int, **overrides: Any) -> dict[str, Any]:
    """A market buy in a list: without trades and without any key that counts volumes."""
    at = NOON - timedelta(seconds=number)
    values = {
        "uuid": f"e-{number}",
        "identifier": f"uat-{number}",
        "side": "bid",
        "ord_type": "price",
        "price": "10000",
        "state": "cancel",
        "market": "KRW-BTC",
        "created_at": at.isoformat(timespec="seconds"),
        "reserved_fee": "5",
        "remaining_fee": "0.000476075",
        "paid_fee": "4.999523925",
        "locked": "0.952626075",
        "prevented_locked": "0",
        "executed_volume": "0.00009713",
        "executed_funds": "9999.04785",
        "trades_count": 1,
    }
    return values | overrides


def rows(*numbers: int) -> str:
    return json.dumps([row(number) for number in numbers])


async def test_open_orders_are_asked_for_until_an_empty_page(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    # A page that was clipped below a hundred is not taken for the last one.
    for page in (rows(3, 2), rows(2, 1), "[]"):
        stub.answer(OPEN, page)

    found = await upbit.open_orders()

    assert [listed.order.uuid for listed in found.orders] == ["e-3", "e-2", "e-1"]
    assert [seen.line for seen in stub.seen] == [
        f"{OPEN}?states%5B%5D=wait&states%5B%5D=watch&page={page}&limit=100&order_by=asc"
        for page in (1, 2, 3)
    ]
    assert all(nonce_of(seen) for seen in stub.seen)


async def test_pages_without_an_end_are_an_odd_answer(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer(OPEN, rows(1))

    with pytest.raises(ExchangeUnavailable, match="do not end"):
        await upbit.open_orders()


async def test_a_listed_order_tells_what_was_asked_and_what_came_of_it(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer(OPEN, rows(1))
    stub.answer(OPEN, "[]")

    [listed] = (await upbit.open_orders()).orders

    assert listed.is_ours
    assert listed.intent is not None
    assert (listed.intent.type, listed.intent.side) == (OrderType.MARKET, Side.BUY)
    assert (listed.intent.funds, listed.intent.volume) == (Decimal(10_000), None)
    assert listed.executed_funds == Decimal("9999.04785")
    assert listed.order.state is ExchangeOrderState.CANCELLED
    assert (listed.order.trades, listed.order.trades_count) == ((), 1)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"ord_type": "limit", "price": "100", "volume": "2"}, OrderType.LIMIT),
        (
            {"ord_type": "limit", "price": "100", "volume": "2", "time_in_force": "ioc"},
            OrderType.LIMIT_IOC,
        ),
        ({"side": "ask", "ord_type": "market", "price": None, "volume": "2"}, OrderType.MARKET),
        ({"ord_type": "best", "time_in_force": "ioc"}, None),
        ({"ord_type": "of tomorrow"}, None),
    ],
)
async def test_the_intent_of_an_order_is_read_where_it_is_one_of_our_kinds(
    upbit: UpbitRest, stub: UpbitStub, fields: dict[str, Any], kind: OrderType | None
) -> None:
    stub.answer(OPEN, json.dumps([row(1, **fields)]))
    stub.answer(OPEN, "[]")

    [listed] = (await upbit.open_orders()).orders

    assert (listed.intent and listed.intent.type) == kind


async def test_orders_of_other_programs_are_told_apart(upbit: UpbitRest, stub: UpbitStub) -> None:
    by_hand = row(2)
    del by_hand["identifier"]
    stub.answer(OPEN, json.dumps([row(1), by_hand, row(3, identifier="bot-7")]))
    stub.answer(OPEN, "[]")

    found = await upbit.open_orders()

    assert [listed.order.uuid for listed in found.ours] == ["e-1"]
    assert {listed.order.uuid for listed in found.external} == {"e-2", "e-3"}


async def test_one_order_that_cannot_be_read_hides_no_other(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer(OPEN, json.dumps([row(1, state="of tomorrow"), row(2)]))
    stub.answer(OPEN, "[]")

    found = await upbit.open_orders()

    assert [listed.order.uuid for listed in found.orders] == ["e-2"]
    assert found.unreadable == 1


@pytest.mark.parametrize(
    "odd",
    [
        row(2, created_at="9999-12-31T23:59:59+00:00"),
        row(2, created_at="0001-01-03T00:00:00+00:00"),
        row(2, uuid=None),
        row(2, uuid="e\u0000"),
        row(2, paid_fee="NaN"),
        row(2, trades_count=10**30),
        None,
    ],
)
async def test_one_odd_order_costs_neither_the_others_nor_the_lists_end(
    upbit: UpbitRest, stub: UpbitStub, odd: object
) -> None:
    """Regression: each start failed with it, and this process never traded."""
    for route in (OPEN, CLOSED):
        stub.answer(route, json.dumps([row(1), odd, row(3)]))
    stub.answer(OPEN, "[]")

    open_ones, closed = await upbit.open_orders(), await upbit.closed_orders(NOON - DAY, NOON)

    for found in (open_ones, closed):
        assert [listed.order.uuid for listed in found.orders] == ["e-3", "e-1"]
        assert found.unreadable == 1


async def test_an_order_from_before_the_window_does_not_move_its_end_before_its_begin(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer(CLOSED, json.dumps([row(1), row(2, created_at="2011-01-01T00:00:00+00:00")]))

    await upbit.closed_orders(NOON - DAY, NOON)

    ends = [seen.raw_query.partition("end_time=")[2][:13] for seen in stub.seen]
    assert ends == ["2026-01-24T12"] * 2


async def test_the_window_of_closed_orders_is_moved_until_nothing_new_comes(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    for page in (rows(1, 2, 3), rows(3, 4), rows(4)):
        stub.answer(CLOSED, page)

    found = await upbit.closed_orders(NOON - DAY, NOON)

    # The oldest of an answer is asked for again: others of its second may have been cut off.
    assert [listed.order.uuid for listed in found.orders] == ["e-4", "e-3", "e-2", "e-1"]
    ends = ["12%3A00%3A00", "11%3A59%3A58", "11%3A59%3A57"]
    assert [seen.line for seen in stub.seen] == [
        f"{CLOSED}?states%5B%5D=done&states%5B%5D=cancel&start_time=2026-01-23T12%3A00%3A00Z"
        f"&end_time=2026-01-24T{end}Z&limit=1000&order_by=desc"
        for end in ends
    ]


async def test_a_window_of_a_week_stays_one_when_its_bounds_are_rounded(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    stub.answer(CLOSED, "[]")
    until = NOON + timedelta(microseconds=1)

    await upbit.closed_orders(until - 7 * DAY, until)

    assert "start_time=2026-01-17T12%3A00%3A01Z&end_time=2026-01-24T12%3A00%3A01Z" in (
        stub.seen[0].line
    )


async def test_more_than_a_week_is_not_asked_for(upbit: UpbitRest, stub: UpbitStub) -> None:
    with pytest.raises(ValueError, match="week"):
        await upbit.closed_orders(NOON - 8 * DAY, NOON)

    assert stub.seen == []


async def test_a_window_that_cannot_move_is_an_odd_answer(
    upbit: UpbitRest, stub: UpbitStub
) -> None:
    at = NOON.isoformat(timespec="seconds")
    stub.answer(CLOSED, json.dumps([row(number, created_at=at) for number in range(100)]))

    with pytest.raises(ExchangeUnavailable, match="does not move"):
        await upbit.closed_orders(NOON - DAY, NOON)


async def test_identifiers_are_asked_for_by_the_hundred(upbit: UpbitRest, stub: UpbitStub) -> None:
    stub.answer(BULK, rows(1, 777))
    stub.answer(BULK, rows(150))

    found = await upbit.orders_by_identifiers([f"uat-{number}" for number in range(1, 151)])

    assert found.keys() == {"uat-1", "uat-150"}
    asked = [seen.raw_query.count("identifiers%5B%5D=") for seen in stub.seen]
    assert asked == [100, 50]
    assert nonce_of(stub.seen[0])
