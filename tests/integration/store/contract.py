"""The two stores of the contract tests: PostgreSQL, and the twin that the unit tests use."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from service.ports.order_requests import OrderRequests
from service.ports.store import JSON, Lease, Orders, Signals, TradingStates
from service.store.database.json_rows import json_text
from service.store.database.pool import Pool
from service.store.tables.lease import PgLease
from service.store.tables.order_requests import PgOrderRequests
from service.store.tables.orders import PgOrders
from service.store.tables.signals import PgSignals
from service.store.tables.trading_state import PgTradingState
from tests.builders import T0
from tests.fakes.order_requests import FakeOrderRequests
from tests.fakes.orders import FakeOrders
from tests.fakes.signals import Decided, FakeSignals
from tests.fakes.state import FakeTradingState, LeaseTwin
from tests.fakes.tables import Tables
from tests.integration.store.seeds import a_stored_decision, an_allowed, execute, rows

TTL_S = 60.0
STORE = """
    INSERT INTO system_configs (key, value, updated_at, updated_by)
    VALUES (%(key)s, %(value)s::jsonb, clock_timestamp(), 'test')
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
REFUSALS = """
    SELECT reason, detail ->> 'status'
      FROM risk_events
     WHERE event = 'REFUSED'
     ORDER BY id
"""

LAPSED = "SELECT decision_id, reason FROM risk_events WHERE decision_id IS NOT NULL"


class StoreUnderTest(Protocol):
    """The ports that the order protocol uses, and what a test must bring about."""

    orders: Orders
    signals: Signals
    order_requests: OrderRequests
    states: TradingStates

    def lease(self, owner: str) -> Lease: ...

    async def new_decision(self) -> int: ...

    async def expire_lease(self) -> None:
        """Let the lease's time pass."""

    async def store_setting(self, key: str, value: JSON) -> None: ...

    async def lapsed(self) -> Mapping[int, str]:
        """Return why each decision that will get no order has none."""

    async def refusals(self) -> Sequence[tuple[str, str]]:
        """Return rule and trading state of each order that its insert refused, oldest first."""


class PgStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.orders: Orders = PgOrders(pool)
        self.signals: Signals = PgSignals(pool)
        self.order_requests: OrderRequests = PgOrderRequests(pool)
        self.states: TradingStates = PgTradingState(pool)

    def lease(self, owner: str) -> Lease:
        return PgLease(self._pool, owner=owner, ttl_s=TTL_S)

    async def new_decision(self) -> int:
        return await a_stored_decision(self._pool, an_allowed())

    async def expire_lease(self) -> None:
        await execute(self._pool, "UPDATE leader SET expires_at = clock_timestamp()")

    async def store_setting(self, key: str, value: JSON) -> None:
        await execute(self._pool, STORE, {"key": key, "value": json_text(value)})

    async def lapsed(self) -> Mapping[int, str]:
        return dict(await rows(self._pool, LAPSED))

    async def refusals(self) -> Sequence[tuple[str, str]]:
        return [(rule, status) for rule, status in await rows(self._pool, REFUSALS)]


class TwinStore:
    def __init__(self) -> None:
        self._now = 1000.0
        self._settings: dict[str, JSON] = {}
        tables = Tables(seconds=lambda: self._now, settings=lambda: self._settings)
        self._tables = tables
        orders = FakeOrders(tables=tables)
        self.orders: Orders = orders
        self._signals = FakeSignals(tables=tables)
        self.signals: Signals = self._signals
        self.order_requests: OrderRequests = FakeOrderRequests(orders)
        self.states: TradingStates = FakeTradingState(tables)

    def lease(self, owner: str) -> Lease:
        return LeaseTwin(self._tables, owner=owner, ttl_s=TTL_S)

    async def new_decision(self) -> int:
        made = self._signals.decisions
        made.append(Decided(signal_id=len(made) + 1, verdict=an_allowed(), at=T0))
        return len(made)

    async def expire_lease(self) -> None:
        self._now += TTL_S

    async def store_setting(self, key: str, value: JSON) -> None:
        self._settings[key] = value

    async def lapsed(self) -> Mapping[int, str]:
        return dict(self._tables.lapsed)

    async def refusals(self) -> Sequence[tuple[str, str]]:
        return self._tables.refusals


MakeStore = Callable[[], StoreUnderTest]
