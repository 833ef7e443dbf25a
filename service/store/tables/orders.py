"""Orders, their fills and their positions.

Locks are taken in one order: the lease, the order, its market's position, its market's days.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import psycopg2.errors

from service.crashpoints import crashpoint
from service.domain.alerts import Notice
from service.domain.days import korean_day, korean_midnight
from service.domain.decimals import decimal_text
from service.domain.errors import DomainError, DuplicateOrder, NotLeader, OrderRefused
from service.domain.markets import Market
from service.domain.orders import (
    RECOVERED,
    Breach,
    ExitRule,
    Fill,
    Intent,
    Order,
    OrderOrigin,
    OrderStatus,
    OrderType,
    Quarantine,
    Side,
)
from service.domain.positions import Position
from service.domain.trading_states import (
    OrderAct,
    OrderSource,
    TradingStatus,
    permits,
    refusal_text,
)
from service.store.database.json_rows import json_text
from service.store.database.pool import Pool
from service.store.database.refusals import refusals_about
from service.store.tables.alerts import put
from service.store.tables.fills import add_fills, correct_fee, fill_from, is_stored, position_from
from service.store.tables.lease import TRADING

# What is final counts with what it bought: a limit order may leave most of its money.
_BOUGHT: Final = """coalesce(sum(
                    CASE WHEN status IN ('EXECUTED', 'CANCELLED', 'FAILED') THEN executed_funds
                         ELSE coalesce(funds, price * volume) END), 0)"""

# One statement, so that nothing can change between the check and the row.
#
# The shared lock of the lease delays a takeover until this row is committed: no order of an older
# epoch can appear after the first order of a newer one. In the same way a halt or the switch waits
# for the orders that it came too late for. And where such a change came first, this statement waits
# for it and then reads the row anew. PostgreSQL does so for a locked row only. What it counts, it
# counts as before the wait: `Executor` writes one order at a time.
ADD = (
    """
    WITH held AS (
        SELECT epoch
          FROM leader
         WHERE name = %(lease)s
           AND epoch = %(epoch)s
           AND expires_at > clock_timestamp()
           FOR SHARE
    ), halts AS (
        SELECT state, reducing_markets, halted_markets
          FROM trading_state
           FOR SHARE
    ), settings AS (
        SELECT key, value
          FROM system_configs
         WHERE key IN ('max_daily_order_krw', 'max_order_krw', 'max_orders_per_hour',
                       'trading_enabled')
         ORDER BY key
           FOR SHARE
    ), now AS (
        SELECT held.epoch,
               CASE WHEN halts.state = 'HALTED'
                      OR %(market)s = ANY (halts.halted_markets) THEN 'HALTED'
                    WHEN switch.value IS DISTINCT FROM 'true'::jsonb THEN 'DISABLED'
                    WHEN halts.state = 'REDUCING'
                      OR %(market)s = ANY (halts.reducing_markets) THEN 'REDUCING'
                    ELSE 'ACTIVE'
               END AS status,
               least(%(most_per_hour)s::numeric,
                     CASE jsonb_typeof(cap.value) WHEN 'number' THEN cap.value::numeric END
               ) AS most_per_hour,
               CASE WHEN each.value #>> '{}' ~ %(amount)s THEN (each.value #>> '{}')::numeric
               END AS most_krw,
               CASE WHEN daily.value #>> '{}' ~ %(amount)s THEN (daily.value #>> '{}')::numeric
               END AS most_krw_a_day
          FROM held
         CROSS JOIN halts
          LEFT JOIN settings AS each ON each.key = 'max_order_krw'
          LEFT JOIN settings AS daily ON daily.key = 'max_daily_order_krw'
          LEFT JOIN settings AS cap ON cap.key = 'max_orders_per_hour'
          LEFT JOIN settings AS switch ON switch.key = 'trading_enabled'
    ), verdict AS (
        SELECT epoch, status, most_per_hour, most_krw, most_krw_a_day,
               -- The unique index leaves recovered orders out, because they are facts.
               CASE WHEN EXISTS (
                         SELECT FROM orders
                          WHERE decision_id = %(decision_id)s::bigint
                            AND status <> 'FAILED'
                            AND origin = 'RECOVERED')
                    THEN 'duplicate_order'
                    WHEN EXISTS (
                         SELECT FROM risk_events WHERE decision_id = %(decision_id)s::bigint)
                    THEN 'lapsed'
                    WHEN status <> ALL (%(permitting)s::text[]) THEN 'trading_enabled'
                    WHEN %(most_per_hour)s::numeric IS NOT NULL
                     AND most_per_hour <= (
                         SELECT count(*)
                           FROM orders
                          WHERE created_at >= %(at)s::timestamptz - interval '1 hour')
                    THEN 'order_rate'
                    WHEN most_krw < %(spends_krw)s::numeric THEN 'max_order'
                    WHEN most_krw_a_day < %(spends_krw)s::numeric + (
                         SELECT """
    + _BOUGHT
    + """
                           FROM orders
                          WHERE created_at >= %(midnight)s
                            AND side = 'BUY'
                            AND market LIKE 'KRW-%%')
                    THEN 'max_daily_order'
               END AS refusal
          FROM now
    ), refused AS (
        INSERT INTO risk_events (at, event, market, reason, actor, detail, decision_id)
        SELECT %(at)s, 'REFUSED', %(market)s, refusal, %(actor)s,
               jsonb_build_object('status', status, 'source', %(source)s::text,
                                  'side', %(side)s::text, 'decision_id', %(decision_id)s::bigint,
                                  'limit', CASE refusal WHEN 'order_rate' THEN most_per_hour::text
                                                WHEN 'max_order' THEN most_krw::text
                                                WHEN 'max_daily_order' THEN most_krw_a_day::text
                                                ELSE 'ACTIVE' END,
                                  'actual', CASE refusal WHEN 'order_rate' THEN (
                                                SELECT count(*)::text
                                                  FROM orders
                                                 WHERE created_at
                                                       >= %(at)s::timestamptz - interval '1 hour')
                                                WHEN 'max_order' THEN %(spends_krw)s::text
                                                WHEN 'max_daily_order' THEN (
                                                SELECT (%(spends_krw)s::numeric
                                                        + """
    + _BOUGHT
    + """)::text
                                                  FROM orders
                                                 WHERE created_at >= %(midnight)s
                                                   AND side = 'BUY'
                                                   AND market LIKE 'KRW-%%')
                                                 ELSE status END),
               %(decision_id)s::bigint
          FROM verdict
         WHERE refusal NOT IN ('duplicate_order', 'lapsed')
            ON CONFLICT (decision_id) WHERE decision_id IS NOT NULL DO NOTHING
    ), added AS (
        INSERT INTO orders (
               identifier, decision_id, market, side, type, price, volume, funds,
               status, leader_epoch, created_at, sent_at, updated_at, idempotency_key, rule)
        SELECT %(identifier)s, %(decision_id)s::bigint, %(market)s, %(side)s, %(type)s,
               %(price)s::numeric, %(volume)s::numeric, %(funds)s::numeric,
               'PENDING', epoch, %(at)s, %(at)s, %(at)s, %(idempotency_key)s, %(rule)s
          FROM verdict
         WHERE refusal IS NULL
        RETURNING id, identifier, exchange_uuid, decision_id, market, side, type, price, volume,
                  funds, status, reason, executed_volume, executed_funds, paid_fee, created_at,
                  sent_at, rule
    ), exits AS (
        INSERT INTO risk_events (at, event, market, reason, actor, detail)
        SELECT %(at)s, 'EXIT', market, rule, %(by_rule)s,
               jsonb_build_object('order_id', id, 'identifier', identifier,
                                  'price', %(breach_price)s::text,
                                  'limit', %(breach_limit)s::text)
          FROM added
         WHERE rule IS NOT NULL
    )
    SELECT verdict.refusal, verdict.status, added.*
      FROM verdict
      LEFT JOIN added ON true
"""
)

# A rule's sale that left while the database was away: neither lease nor state can refuse it. Its
# row may be here, from an insert whose answer was lost, or of the sweep of another process.
ADD_SENT = """
    WITH added AS (
        INSERT INTO orders (
               identifier, market, side, type, price, volume, funds, status, leader_epoch,
               created_at, sent_at, updated_at, rule)
        VALUES (%(identifier)s, %(market)s, %(side)s, %(type)s, %(price)s, %(volume)s, %(funds)s,
                'PENDING', %(epoch)s, %(at)s, %(at)s, %(now)s, %(rule)s)
            ON CONFLICT (identifier) DO NOTHING
        RETURNING id, identifier, market, rule
    )
    INSERT INTO risk_events (at, event, market, reason, actor, detail)
    SELECT %(at)s, 'EXIT', market, rule, %(by_rule)s,
           jsonb_build_object('order_id', id, 'identifier', identifier,
                              'price', %(breach_price)s::text,
                              'limit', %(breach_limit)s::text)
      FROM added
"""

LOCK = """
    SELECT market, side
      FROM orders
     WHERE id = %(order_id)s
       AND status = %(seen)s
       FOR UPDATE
"""

# A stored exchange uuid is never cleared: a caller that lost the answer does not know it.
ADVANCE = """
    UPDATE orders
       SET status = %(status)s,
           reason = %(reason)s,
           origin = %(origin)s,
           quarantined_at = %(quarantined_at)s,
           quarantine_reason = %(quarantine_reason)s,
           quarantine_detail = %(quarantine_detail)s::jsonb,
           exchange_uuid = coalesce(%(exchange_uuid)s, exchange_uuid),
           executed_volume = booked.volume,
           executed_funds = booked.funds,
           paid_fee = booked.fee,
           updated_at = %(at)s
      FROM (SELECT coalesce(sum(volume), 0) AS volume,
                   coalesce(sum(funds), 0) AS funds,
                   coalesce(sum(fee), 0) AS fee
              FROM fills
             WHERE order_id = %(order_id)s) AS booked
     WHERE id = %(order_id)s
"""

# An order of the exchange that has no row: it was sent, so its epoch is known no more.
ADOPT = """
    INSERT INTO orders (
           identifier, exchange_uuid, market, side, type, price, volume, funds, status, reason,
           origin, leader_epoch, created_at, sent_at, updated_at)
    SELECT %(identifier)s, %(exchange_uuid)s, %(market)s, %(side)s, %(type)s, %(price)s::numeric,
           %(volume)s::numeric, %(funds)s::numeric, 'UNKNOWN', %(reason)s, 'RECOVERED',
           coalesce((SELECT epoch FROM leader WHERE name = %(lease)s), 0),
           %(created_at)s, %(created_at)s, %(at)s
    RETURNING id, identifier, exchange_uuid, decision_id, market, side, type, price, volume, funds,
              status, reason, executed_volume, executed_funds, paid_fee, created_at, sent_at, rule,
              origin, quarantined_at, quarantine_reason, quarantine_detail
"""

# A parameter that is None makes its line constant, and the planner drops it.
OPEN = """
    SELECT id, identifier, exchange_uuid, decision_id, market, side, type, price, volume, funds,
           status, reason, executed_volume, executed_funds, paid_fee, created_at, sent_at, rule,
           origin, quarantined_at, quarantine_reason, quarantine_detail
      FROM orders
     WHERE status IN ('PENDING', 'SUBMITTED', 'PARTIALLY_FILLED', 'UNKNOWN')
       AND (%(market)s::text IS NULL OR market = %(market)s)
     ORDER BY created_at, id
"""

FIND = """
    SELECT id, identifier, exchange_uuid, decision_id, market, side, type, price, volume, funds,
           status, reason, executed_volume, executed_funds, paid_fee, created_at, sent_at, rule,
           origin, quarantined_at, quarantine_reason, quarantine_detail
      FROM orders
     WHERE identifier = %(identifier)s
"""

BY_ID = """
    SELECT id, identifier, exchange_uuid, decision_id, market, side, type, price, volume, funds,
           status, reason, executed_volume, executed_funds, paid_fee, created_at, sent_at, rule,
           origin, quarantined_at, quarantine_reason, quarantine_detail
      FROM orders
     WHERE id = %(order_id)s
"""

COUNT_SINCE = """
    SELECT count(*)
      FROM orders
     WHERE created_at >= %(at)s
"""

BOUGHT_SINCE = (
    """
    SELECT split_part(market, '-', 1) AS quote,
           """
    + _BOUGHT
    + """ AS bought
      FROM orders
     WHERE created_at >= %(at)s
       AND side = 'BUY'
     GROUP BY 1
"""
)

FILLS = """
    SELECT trade_uuid, price, volume, funds, fee, traded_at
      FROM fills
     WHERE order_id = %(order_id)s
     ORDER BY id
"""

POSITION = """
    SELECT volume, cost, realised_pnl, fees_paid, opened_at
      FROM positions
     WHERE market = %(market)s
"""

# One row for each market that was ever traded: a handful.
POSITIONS = """
    SELECT market, volume, cost, realised_pnl, fees_paid, opened_at
      FROM positions
     ORDER BY market
"""

BY_SERVICE: Final = "system:orders"  #: actor of a refusal that no caller asked for
BY_RULE: Final = "system:protection"  #: actor of an exit, and of its refusal
_DUPLICATE: Final = "duplicate_order"  #: as in ADD
_LAPSED: Final = "lapsed"  #: as in ADD
_DUPLICATES: Final = {
    "orders_identifier_key": "identifier {identifier} was used before: an attempt needs its own",
    "orders_idempotency_key": "this idempotency key has an order already",
    "orders_one_per_decision": "decision {decision_id} has an order already",
}


_AMOUNT: Final = r"^[0-9]+(\.[0-9]+)?$"  #: of a stored cap; anything else is no cap
_KRW: Final = "KRW"

Notices = Callable[[Order, OrderStatus, datetime], Sequence[Notice]]


def _spends_krw(intent: Intent) -> Decimal | None:
    """Return what a purchase may cost, without its fee; None: no cap in KRW is counted here.

    Of the other markets only the rules know what a purchase is worth in KRW.
    """
    return intent.most_funds if intent.side is Side.BUY and intent.market.quote == _KRW else None


def _silent(_: Order, __: OrderStatus, ___: datetime) -> Sequence[Notice]:
    return ()


class PgOrders:
    """Args: notices: the alerts for an order's new state; queued in its transaction."""

    def __init__(self, pool: Pool, *, notices: Notices = _silent) -> None:
        self._pool = pool
        self._notices = notices

    async def add(
        self,
        intent: Intent,
        *,
        identifier: str,
        decision_id: int | None,
        at: datetime,
        epoch: int,
        source: OrderSource,
        most_per_hour: int | None,
        idempotency_key: str | None = None,
        actor: str | None = None,
        breach: Breach | None = None,
    ) -> Order:
        """Write the order as PENDING, about to be sent; committed when this returns.

        Raises: NotLeader, when `epoch` is no longer the trading lease's; OrderRefused, when switch,
            trading state, hourly limit or a cap in KRW refuse it by now; DuplicateOrder, when the
            identifier or the key was used before, when the decision has an order that did not
            fail, or lapsed.
        """
        act = OrderAct.of(intent.side)
        args = {
            "lease": TRADING,
            "epoch": epoch,
            "identifier": identifier,
            "decision_id": decision_id,
            "market": str(intent.market),
            "side": intent.side.value,
            "type": intent.type.value,
            "price": intent.price,
            "volume": intent.volume,
            "funds": intent.funds,
            "at": at,
            "source": source.value,
            "permitting": [one.value for one in TradingStatus if permits(one, source, act)],
            "most_per_hour": most_per_hour,
            "amount": _AMOUNT,
            "spends_krw": _spends_krw(intent),
            "midnight": korean_midnight(korean_day(at)),
            "idempotency_key": idempotency_key,
            "actor": actor or (BY_SERVICE if breach is None else BY_RULE),
            "rule": None if breach is None else breach.rule.value,
            "by_rule": BY_RULE,
            "breach_price": None if breach is None else decimal_text(breach.price),
            "breach_limit": None if breach is None else decimal_text(breach.limit),
        }
        try:
            async with self._pool.cursor() as cur:
                await cur.execute(ADD, args)
                row = await cur.fetchone()
        except psycopg2.errors.UniqueViolation as exc:
            sentence = _DUPLICATES.get(exc.diag.constraint_name or "")
            if sentence is None:
                raise
            raise DuplicateOrder(sentence.format_map(args)) from exc
        if row is None:
            raise NotLeader("the trading lease is not ours any more; nothing was written or sent")
        refusal, status, *stored = row
        if refusal == _DUPLICATE:
            raise DuplicateOrder(_DUPLICATES["orders_one_per_decision"].format_map(args))
        if refusal == _LAPSED:
            raise DuplicateOrder(f"decision {decision_id} lapsed before, it gets no order")
        if refusal is not None:
            raise OrderRefused(refusal_text(refusal, TradingStatus(status)), rule=refusal)
        crashpoint("attempt.after_commit")
        return _order(stored)

    async def adopt(
        self,
        intent: Intent,
        *,
        identifier: str,
        exchange_uuid: str,
        made_at: datetime,
        at: datetime,
    ) -> Order:
        """Write the row of an order that the exchange has and we do not, as UNKNOWN and RECOVERED.

        Raises: DuplicateOrder, when the identifier or the exchange's uuid has a row.
        """
        args = {
            "lease": TRADING,
            "identifier": identifier,
            "exchange_uuid": exchange_uuid,
            "market": str(intent.market),
            "side": intent.side.value,
            "type": intent.type.value,
            "price": intent.price,
            "volume": intent.volume,
            "funds": intent.funds,
            "reason": RECOVERED,
            "created_at": made_at,
            "at": at,
        }
        try:
            with refusals_about(f"order {identifier}"):
                async with self._pool.transaction() as cur:
                    await cur.execute(ADOPT, args)
                    row = await cur.fetchone()
                    assert row is not None  # noqa: S101 - INSERT ... RETURNING
                    order = _order(row)
                    for notice in self._notices(order, OrderStatus.FAILED, at):
                        await put(cur, notice)
                    return order
        except psycopg2.errors.UniqueViolation as exc:
            raise DuplicateOrder(f"order {identifier} has a row already") from exc

    async def add_sent(
        self,
        intent: Intent,
        *,
        identifier: str,
        breach: Breach,
        epoch: int,
        at: datetime,
        now: datetime,
    ) -> Order:
        """Write the row of a rule's sale that was sent without one, once; return its row."""
        args = {
            "identifier": identifier,
            "market": str(intent.market),
            "side": intent.side.value,
            "type": intent.type.value,
            "price": intent.price,
            "volume": intent.volume,
            "funds": intent.funds,
            "epoch": epoch,
            "at": at,
            "now": now,
            "rule": breach.rule.value,
            "by_rule": BY_RULE,
            "breach_price": decimal_text(breach.price),
            "breach_limit": decimal_text(breach.limit),
        }
        async with self._pool.cursor() as cur:
            with refusals_about(f"order {identifier}"):
                await cur.execute(ADD_SENT, args)
            await cur.execute(FIND, {"identifier": identifier})
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - no order is ever deleted
        return _order(row)

    async def advance(
        self,
        order: Order,
        *,
        seen: OrderStatus,
        fills: Sequence[Fill] = (),
        paid_fee: Decimal | None = None,
        at: datetime,
    ) -> bool:
        """Store the order's new state and its new `fills`, oldest first; move the position.

        False, and nothing stored, when the order is no longer in status `seen`, or when one of
        the fills is stored already. Then the order's fee was split without it.
        Args: paid_fee: what the fees of all its fills add up to afterwards; the last fill takes
            the difference.
        Raises: DomainError, when a trade or the exchange's uuid belongs to another order, when
            the fee became smaller, or when a table cannot hold a value.
        """
        try:
            with refusals_about(f"order {order.identifier}"):
                async with self._pool.transaction() as cur:
                    await cur.execute(LOCK, {"order_id": order.id, "seen": seen.value})
                    row = await cur.fetchone()
                    if row is None:
                        return False
                    market, side = Market.parse(row[0]), Side(row[1])
                    if fills:
                        if await is_stored(cur, order.id, fills):
                            return False
                        await add_fills(cur, order.id, market=market, side=side, fills=fills, at=at)
                        crashpoint("fill.before_commit")
                    if paid_fee is not None:
                        await correct_fee(
                            cur, order.id, market=market, side=side, paid_fee=paid_fee, at=at
                        )
                    await cur.execute(ADVANCE, _state_args(order, at))
                    for notice in self._notices(order, seen, at):
                        await put(cur, notice)
                    crashpoint("outcome.before_commit")
                    return True
        except psycopg2.errors.UniqueViolation as exc:
            # Another order's transaction stored the trade after our check.
            raise DomainError(
                f"order {order.id}: its exchange uuid or one of its trades is on record for"
                " another order; nothing was stored"
            ) from exc

    async def find(self, identifier: str) -> Order | None:
        async with self._pool.cursor() as cur:
            await cur.execute(FIND, {"identifier": identifier})
            row = await cur.fetchone()
            return None if row is None else _order(row)

    async def by_id(self, order_id: int) -> Order | None:
        async with self._pool.cursor() as cur:
            await cur.execute(BY_ID, {"order_id": order_id})
            row = await cur.fetchone()
            return None if row is None else _order(row)

    async def open(self, market: Market | None = None) -> tuple[Order, ...]:
        async with self._pool.cursor() as cur:
            await cur.execute(OPEN, {"market": None if market is None else str(market)})
            return tuple(_order(row) for row in await cur.fetchall())

    async def count_since(self, at: datetime) -> int:
        async with self._pool.cursor() as cur:
            await cur.execute(COUNT_SINCE, {"at": at})
            row = await cur.fetchone()
            return int(row[0]) if row else 0

    async def bought_since(self, at: datetime) -> Mapping[str, Decimal]:
        async with self._pool.cursor() as cur:
            await cur.execute(BOUGHT_SINCE, {"at": at})
            return dict(await cur.fetchall())

    async def fills(self, order_id: int) -> tuple[Fill, ...]:
        async with self._pool.cursor() as cur:
            await cur.execute(FILLS, {"order_id": order_id})
            return tuple(fill_from(row) for row in await cur.fetchall())

    async def position(self, market: Market) -> Position:
        async with self._pool.cursor() as cur:
            await cur.execute(POSITION, {"market": str(market)})
            row = await cur.fetchone()
            return Position(market=market) if row is None else position_from(market, row)

    async def positions(self) -> tuple[Position, ...]:
        async with self._pool.cursor() as cur:
            await cur.execute(POSITIONS)
            found = await cur.fetchall()
        return tuple(position_from(Market.parse(market), row) for market, *row in found)


def _state_args(order: Order, at: datetime) -> dict[str, object]:
    aside = order.quarantine
    return {
        "order_id": order.id,
        "status": order.status.value,
        "reason": order.reason,
        "exchange_uuid": order.exchange_uuid,
        "origin": order.origin.value,
        "quarantined_at": aside.at if aside else None,
        "quarantine_reason": aside.reason if aside else None,
        "quarantine_detail": json_text(aside.detail) if aside else None,
        "at": at,
    }


def _order(row: Sequence[Any]) -> Order:
    """Args: row: of a new order without the columns that it cannot have yet."""
    (
        order_id, identifier, exchange_uuid, decision_id, market, side, kind, price, volume, funds,
        status, reason, executed_volume, executed_funds, paid_fee, created_at, sent_at, rule,
        *later,
    ) = row  # fmt: skip
    origin, aside_at, why, detail = later or (OrderOrigin.SERVICE, None, "", None)
    return Order(
        id=order_id,
        identifier=identifier,
        intent=Intent(
            market=Market.parse(market),
            side=Side(side),
            type=OrderType(kind),
            price=price,
            volume=volume,
            funds=funds,
        ),
        status=OrderStatus(status),
        decision_id=decision_id,
        created_at=created_at,
        sent_at=sent_at,
        exchange_uuid=exchange_uuid,
        executed_volume=executed_volume,
        executed_funds=executed_funds,
        paid_fee=paid_fee,
        reason=reason,
        origin=OrderOrigin(origin),
        quarantine=(
            None if aside_at is None else Quarantine(at=aside_at, reason=why, detail=detail or {})
        ),
        rule=None if rule is None else ExitRule(rule),
    )
