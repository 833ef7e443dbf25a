"""A database that answers, and what is read of its recent rows."""

from service.domain.errors import StoreDown
from service.domain.orders import OrderStatus
from service.ports.health import PoolState
from service.ports.queries import Activity
from tests.builders import T0


class FakeDatabase:
    """Satisfies ports.Database."""

    async def ping(self) -> None:
        return

    def state(self) -> PoolState:
        return PoolState(size=10, free=9, max=20, waiting=0)

    def wait_p95_ms(self) -> float | None:
        return None


class FakeActivity:
    """Satisfies ports.RecentActivity; a signal and an executed order, both at T0."""

    async def activity(self) -> Activity:
        return Activity(
            last_signal_at=T0,
            last_order_at=T0,
            last_order_status=OrderStatus.EXECUTED,
        )


class AwayActivity:
    """Satisfies ports.RecentActivity; nothing can be read."""

    async def activity(self) -> Activity:
        raise StoreDown("PostgreSQL cannot be reached")
