"""What health reads of the recent past."""

from datetime import timedelta

from service.domain.orders import OrderStatus
from service.ports.queries import Activity
from service.store.database.pool import Pool
from service.store.tables.activity import PgActivity
from service.store.tables.orders import PgOrders
from tests.builders import T0
from tests.integration.store.seeds import a_stored_order, a_stored_signal, filled


async def test_an_unused_database_has_no_activity(pool: Pool) -> None:
    assert await PgActivity(pool).activity() == Activity(
        last_signal_at=None,
        last_order_at=None,
        last_order_status=None,
        unknown_orders=0,
        oldest_unknown_at=None,
    )


async def test_the_newest_signal_and_order_and_the_unknown_ones_are_told(pool: Pool) -> None:
    minutes = [T0 + timedelta(minutes=n) for n in range(4)]
    await a_stored_signal(pool, at=minutes[1])
    await a_stored_signal(pool, at=minutes[0])
    for n in (0, 1):
        order = await a_stored_order(pool, f"uat-{n}", at=minutes[n])
        unknown = order.moved_to(OrderStatus.UNKNOWN)
        assert await PgOrders(pool).advance(unknown, seen=OrderStatus.PENDING, at=minutes[3])
    await filled(pool, await a_stored_order(pool, "uat-2", at=minutes[2]))

    activity = await PgActivity(pool).activity()

    assert activity == Activity(
        last_signal_at=minutes[1],
        last_order_at=minutes[2],
        last_order_status=OrderStatus.EXECUTED,
        unknown_orders=2,
        oldest_unknown_at=minutes[0],
    )
