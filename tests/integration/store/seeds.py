"""Rows that other rows need, written by the store itself."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypedDict

from service.domain.markets import Market
from service.domain.orders import Fill, Order, OrderStatus
from service.domain.risk.verdicts import Allowed, Check, Held, Verdict
from service.domain.signals import Proposal, Signal
from service.domain.trading_states import OrderSource
from service.ports.store import ModelCall, NewSignal
from service.store.database.pool import Pool
from service.store.tables.lease import PgLease
from service.store.tables.orders import PgOrders
from service.store.tables.signals import PgSignals
from tests.builders import KRW_BTC, T0, a_fill, a_proposal, an_answer, an_intent


class BySignal(TypedDict):
    source: OrderSource
    most_per_hour: int | None


#: For an order by a signal, without a limit of orders an hour.
BY_SIGNAL: Final[BySignal] = {"source": OrderSource.SIGNAL, "most_per_hour": None}

CHECKS = (
    Check(rule="trading_enabled", passed=True, detail="trading is on"),
    Check(rule="confidence", passed=True, detail="confidence 0.7"),
)

SWITCH = """
    INSERT INTO system_configs (key, value, updated_at, updated_by)
    VALUES ('trading_enabled', %(value)s::jsonb, clock_timestamp(), 'test')
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
LOCKED_OUT = """
    SELECT count(DISTINCT pid)
      FROM pg_locks
      JOIN pg_stat_activity USING (pid)
     WHERE datname = current_database()
       AND NOT granted
"""


def an_allowed(**overrides: Any) -> Allowed:
    values: dict[str, Any] = {"intent": an_intent(), "checks": CHECKS}
    return Allowed(**values | overrides)


def a_call(**overrides: Any) -> ModelCall:
    values: dict[str, Any] = {
        "model": "gemini-3.8-flash",
        "purpose": "signal",
        "started_at": T0,
        "duration_ms": 812.25,
        "outcome": "ok",
        "why": None,
        "answer": an_answer(),
        "cost_usd": Decimal("0.000123456789"),
    }
    return ModelCall(**values | overrides)


async def rows(pool: Pool, sql: str, args: Mapping[str, object] | None = None) -> list[Any]:
    async with pool.cursor() as cursor:
        await cursor.execute(sql, args)
        return await cursor.fetchall()


async def execute(pool: Pool, sql: str, args: Mapping[str, object] | None = None) -> None:
    async with pool.cursor() as cursor:
        await cursor.execute(sql, args)


async def until_locked_out(pool: Pool, number: int) -> None:
    """Return as soon as so many sessions of this database wait for a lock."""
    async with asyncio.timeout(20) as patience:
        while (await rows(pool, LOCKED_OUT))[0][0] < number:
            # On Python 3.11 asyncio.wait_for, which aiopg uses, loses a cancellation that comes
            # in the same turn as the answer.
            if patience.expired():
                raise TimeoutError


async def a_stored_signal(
    pool: Pool,
    *,
    market: Market = KRW_BTC,
    proposal: Proposal | None = None,
    at: datetime = T0,
    market_data_id: int | None = None,
) -> Signal:
    signals = PgSignals(pool)
    return await signals.add_signal(
        NewSignal(
            market=market,
            proposal=proposal or a_proposal(),
            model="gemini-3.8-flash",
            price=Decimal(100_000_000),
            market_data_id=market_data_id,
            call_id=await signals.add_call(a_call()),
            facts={"price": "100000000"},
            trigger="schedule",
            at=at,
        )
    )


async def a_stored_decision(pool: Pool, verdict: Verdict | None = None) -> int:
    signal = await a_stored_signal(pool)
    return await PgSignals(pool).add_decision(
        signal_id=signal.id, verdict=Held() if verdict is None else verdict, at=T0
    )


async def switch(pool: Pool, *, on: bool) -> None:
    await execute(pool, SWITCH, {"value": "true" if on else "false"})


async def the_epoch(pool: Pool, owner: str = "one") -> int:
    """Take the lease, with trading switched on."""
    await switch(pool, on=True)
    epoch = await PgLease(pool, owner=owner, ttl_s=60).acquire()
    assert epoch is not None
    return epoch


async def a_stored_order(
    pool: Pool,
    identifier: str = "uat-1",
    *,
    decision_id: int | None = None,
    at: datetime = T0,
    **intent: Any,
) -> Order:
    return await PgOrders(pool).add(
        an_intent(**intent),
        identifier=identifier,
        decision_id=decision_id,
        at=at,
        epoch=await the_epoch(pool),
        **BY_SIGNAL,
    )


async def filled(pool: Pool, order: Order, *fills: Fill) -> Order:
    """Store `order` as executed by `fills`, one default fill when none is given."""
    done = order.moved_to(OrderStatus.EXECUTED)
    booked = fills or (a_fill(trade_uuid=f"t-{order.identifier}"),)
    assert await PgOrders(pool).advance(done, seen=order.status, fills=booked, at=T0)
    return done
