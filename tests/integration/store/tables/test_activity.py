"""What health reads of the recent past."""

from datetime import timedelta

from service.domain.orders import OrderStatus, OrderType
from service.domain.stuck_orders import ADVICE_ASIDE
from service.ports.queries import Activity
from service.store.database.pool import Pool
from service.store.tables.activity import MOST, PgActivity
from service.store.tables.orders import PgOrders
from tests.builders import T0
from tests.integration.store.seeds import a_stored_order, a_stored_signal, execute, filled

_S = OrderStatus


async def set_status(pool: Pool, identifier: str, status: OrderStatus) -> None:
    await execute(
        pool,
        "UPDATE orders SET status = %(status)s WHERE identifier = %(identifier)s",
        {"identifier": identifier, "status": status.value},
    )


async def test_an_unused_database_has_no_activity(pool: Pool) -> None:
    assert await PgActivity(pool).activity() == Activity(
        last_signal_at=None, last_order_at=None, last_order_status=None
    )


async def test_the_newest_signal_and_order_and_the_open_ones_are_told(pool: Pool) -> None:
    minutes = [T0 + timedelta(minutes=n) for n in range(4)]
    await a_stored_signal(pool, at=minutes[1])
    await a_stored_signal(pool, at=minutes[0])
    for n in (0, 1):
        order = await a_stored_order(pool, f"uat-{n}", at=minutes[n])
        unknown = order.moved_to(_S.UNKNOWN)
        assert await PgOrders(pool).advance(unknown, seen=_S.PENDING, at=minutes[3])
    await filled(pool, await a_stored_order(pool, "uat-2", at=minutes[2]))

    activity = await PgActivity(pool).activity()

    assert (activity.last_signal_at, activity.last_order_at) == (minutes[1], minutes[2])
    assert activity.last_order_status is _S.EXECUTED
    assert activity.open_orders == {_S.UNKNOWN: 2}
    assert [(order.identifier, order.since) for order in activity.bounded] == [
        ("uat-0", minutes[0]),
        ("uat-1", minutes[1]),
    ]
    assert activity.is_whole


async def test_an_order_that_is_open_for_two_days_is_found_in_each_status(pool: Pool) -> None:
    for n, status in enumerate((_S.PENDING, _S.UNKNOWN, _S.SUBMITTED, _S.PARTIALLY_FILLED)):
        await a_stored_order(pool, f"uat-{n}", at=T0)
        await set_status(pool, f"uat-{n}", status)

    activity = await PgActivity(pool).activity()

    stuck = activity.stuck(T0 + timedelta(days=2))
    assert {order.status for order in stuck} == set(activity.open_orders)
    assert len(stuck) == 4


async def test_limit_orders_on_the_book_have_no_bound_and_hide_no_others(pool: Pool) -> None:
    await a_stored_order(pool, "uat-first", at=T0)
    await execute(
        pool,
        "INSERT INTO orders (identifier, market, side, type, price, volume, status, leader_epoch,"
        "       created_at, sent_at, updated_at)"
        " SELECT 'uat-' || n, 'KRW-BTC', 'BUY', 'LIMIT', 1, 1, 'SUBMITTED', 1, at, at, at"
        "   FROM generate_series(1, 300) AS n,"
        "        (SELECT sent_at - interval '1 day' AS at FROM orders) AS first",
    )

    activity = await PgActivity(pool).activity()

    assert [order.identifier for order in activity.bounded] == ["uat-first"]
    assert activity.open_orders == {_S.PENDING: 1, _S.SUBMITTED: 300}


async def test_of_too_many_open_orders_the_first_to_pass_their_bound_are_read(pool: Pool) -> None:
    """An UNKNOWN order passes its bound before older market orders on the book do."""
    await a_stored_order(pool, "uat-unknown", at=T0 + timedelta(seconds=120))
    await set_status(pool, "uat-unknown", _S.UNKNOWN)
    await execute(
        pool,
        "INSERT INTO orders (identifier, market, side, type, funds, status, leader_epoch,"
        "       created_at, sent_at, updated_at)"
        " SELECT 'uat-' || n, 'KRW-BTC', 'BUY', 'MARKET', 1, 'SUBMITTED', 1, at, at, at"
        "   FROM generate_series(1, 300) AS n,"
        "        (SELECT sent_at - interval '2 minutes' AS at FROM orders) AS first",
    )

    activity = await PgActivity(pool).activity()

    assert activity.bounded[0].identifier == "uat-unknown"
    assert activity.bounded[0].type is OrderType.MARKET
    assert (len(activity.bounded), activity.bounded_total) == (MOST, 301)
    assert not activity.is_whole


async def test_orders_that_are_put_aside_are_read_first(pool: Pool) -> None:
    for n in (1, 2):
        await a_stored_order(pool, f"uat-{n}", at=T0 + timedelta(minutes=n))
    await set_status(pool, "uat-2", _S.UNKNOWN)
    await execute(
        pool,
        "UPDATE orders SET quarantined_at = sent_at, quarantine_reason = 'over_fill'"
        " WHERE identifier = 'uat-2'",
    )

    activity = await PgActivity(pool).activity()

    assert [(order.identifier, order.is_aside) for order in activity.bounded] == [
        ("uat-2", True),
        ("uat-1", False),
    ]
    (stuck,) = activity.stuck(T0 + timedelta(minutes=1))
    assert stuck.advice == ADVICE_ASIDE
