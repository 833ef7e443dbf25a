"""The account's books: baselines, orders of other programs, deposits, differences."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from service.domain.account import CurrencyBook, NewDeposit
from service.domain.errors import DepositDetected, InvalidRequest
from service.domain.instants import rfc3339
from service.domain.orders import ExchangeOrderState, ListedOrder
from service.store.database.json_rows import recordset, storable
from service.store.database.pool import Pool
from service.store.database.refusals import refusals_about

BOOKS = """
    SELECT currency,
           coalesce(baseline.amount, 0),
           coalesce(baseline.at, first.at),
           coalesce(moved.booked, 0) - coalesce(baseline.booked, 0),
           coalesce(moved.external, 0) - coalesce(baseline.external, 0),
           coalesce(moved.booked, 0),
           coalesce(moved.external, 0)
      FROM (SELECT min(at) AS at FROM account_baselines) AS first
     CROSS JOIN (SELECT currency FROM account_baselines
                  UNION
                 SELECT currency FROM account_moves) AS known
      LEFT JOIN account_baselines AS baseline USING (currency)
      LEFT JOIN account_moves AS moved USING (currency)
     WHERE first.at IS NOT NULL
     ORDER BY currency
"""

# What was traded before is in the amounts.
BEGIN = """
    INSERT INTO account_baselines (currency, amount, booked, external, at)
    SELECT currency, coalesce(given.amount, 0), coalesce(moved.booked, 0),
           coalesce(moved.external, 0), %(at)s
      FROM json_to_recordset(%(amounts)s::json) AS given (currency text, amount numeric)
      FULL JOIN account_moves AS moved USING (currency)
        ON CONFLICT (currency) DO NOTHING
"""

# Only a newer look moves a baseline: two processes may look during a takeover of the lease.
PUT_BASELINES = """
    INSERT INTO account_baselines AS stored (currency, amount, booked, external, at)
    SELECT currency, amount, booked, external, %(at)s
      FROM json_to_recordset(%(baselines)s::json) AS given (
           currency text, amount numeric, booked numeric, external numeric)
     ORDER BY currency
        ON CONFLICT (currency) DO UPDATE
       SET amount = excluded.amount,
           booked = excluded.booked,
           external = excluded.external,
           at = excluded.at
     WHERE stored.at <= excluded.at
"""

# A deposit may be detected in the moment in which an operator tells of it. Reading is not blocked.
LOCK_DEPOSITS = "LOCK TABLE deposits IN SHARE ROW EXCLUSIVE MODE"

# The same one told again is stored once, whatever was detected.
DETECTED = """
    SELECT id, at
      FROM deposits
     WHERE source = 'detected'
       AND currency = %(currency)s
       AND amount = %(amount)s
       AND at >= %(at)s - interval '7 days'
       AND at <= %(at)s + interval '7 days'
       AND NOT EXISTS (SELECT
                         FROM deposits
                        WHERE source = 'operator'
                          AND currency = %(currency)s
                          AND amount = %(amount)s
                          AND at = %(at)s)
     ORDER BY at DESC
     LIMIT 1
"""

CLAIM_DEPOSIT = """
    UPDATE deposits
       SET seen_at = %(at)s
     WHERE id = (SELECT id
                   FROM deposits
                  WHERE currency = %(currency)s
                    AND amount = %(amount)s
                    AND seen_at IS NULL
                    AND at >= %(at)s - interval '7 days'
                  ORDER BY id
                  LIMIT 1
                    FOR UPDATE)
"""

ADD_DETECTED = """
    INSERT INTO deposits (currency, amount, at, source, note, actor, seen_at)
    VALUES (%(currency)s, %(amount)s, %(at)s, 'detected', '', 'system:account', %(at)s)
"""

# What is left of a deposit: its amount and those that correct it. A correction is none itself.
CORRECTED = """
    SELECT corrected.currency, corrected.at,
           corrected.amount + coalesce(sum(others.amount), 0) AS left_over,
           corrected.seen_at IS NOT NULL AS is_seen
      FROM deposits AS corrected
      LEFT JOIN deposits AS others
        ON others.corrects = corrected.id
       AND others.amount <> %(amount)s  -- the same one told again is one
     WHERE corrected.id = %(corrects)s
       AND corrected.corrects IS NULL
     GROUP BY corrected.id
"""

# A deposit that never came: one of its amount that comes later is another one.
GIVE_UP_DEPOSIT = """
    UPDATE deposits
       SET seen_at = at
     WHERE id = %(corrects)s
       AND seen_at IS NULL
"""

# The account has shown what a correction is about: nothing more is to come.
ADD_TOLD = """
    INSERT INTO deposits (currency, amount, at, source, note, actor, corrects, seen_at)
    VALUES (%(currency)s, %(amount)s, %(at)s, 'operator', %(note)s, %(actor)s, %(corrects)s,
            CASE WHEN %(corrects)s::bigint IS NOT NULL THEN %(at)s::timestamptz END)
        ON CONFLICT (currency, amount, at) WHERE source = 'operator' DO UPDATE
       SET note = deposits.note
    RETURNING id
"""

PUT_DIFFERENCE = """
    INSERT INTO account_differences AS stored (currency, expected, actual, since)
    VALUES (%(currency)s, %(expected)s, %(actual)s, %(at)s)
        ON CONFLICT (currency) DO UPDATE
       SET expected = excluded.expected, actual = excluded.actual
"""

END_DIFFERENCE = """
    DELETE FROM account_differences
     WHERE currency = %(currency)s
"""

# An order that has executed nothing and ended explains nothing. An older answer moves none back.
# Two processes may look during a takeover of the lease: their sums come one after the other.
LOCK_MOVES = "LOCK TABLE external_moves IN SHARE ROW EXCLUSIVE MODE"

# Takes out what these orders had moved (sign -1), or adds what they have moved (sign 1).
MOVE_EXTERNAL = """
    INSERT INTO external_moves AS stored (currency, amount)
    SELECT currency, sum(%(sign)s * amount)
      FROM external_orders
     CROSS JOIN LATERAL (
           VALUES (split_part(market, '-', 2),
                   CASE side WHEN 'BUY' THEN executed_volume ELSE -executed_volume END),
                  (split_part(market, '-', 1),
                   CASE side WHEN 'BUY' THEN -executed_funds ELSE executed_funds END - paid_fee)
           ) AS moved (currency, amount)
     WHERE exchange_uuid = ANY (%(uuids)s::text[])
     GROUP BY currency
        ON CONFLICT (currency) DO UPDATE
       SET amount = stored.amount + excluded.amount
"""

PUT_EXTERNAL = """
    INSERT INTO external_orders AS stored (
           exchange_uuid, market, side, is_open, executed_volume, executed_funds, paid_fee,
           created_at, updated_at)
    SELECT exchange_uuid, market, side, is_open, executed_volume, executed_funds, paid_fee,
           created_at, %(at)s
      FROM json_to_recordset(%(orders)s::json) AS given (
           exchange_uuid text, market text, side text, is_open boolean, executed_volume numeric,
           executed_funds numeric, paid_fee numeric, created_at timestamptz)
     WHERE is_open
        OR executed_volume > 0
        OR EXISTS (SELECT FROM external_orders AS known
                    WHERE known.exchange_uuid = given.exchange_uuid)
     ORDER BY exchange_uuid
        ON CONFLICT (exchange_uuid) DO UPDATE
       SET is_open = excluded.is_open,
           executed_volume = excluded.executed_volume,
           executed_funds = excluded.executed_funds,
           paid_fee = excluded.paid_fee,
           updated_at = excluded.updated_at
     WHERE stored.executed_volume <= excluded.executed_volume
       AND (stored.is_open, stored.executed_volume, stored.executed_funds, stored.paid_fee)
           IS DISTINCT FROM (excluded.is_open, excluded.executed_volume, excluded.executed_funds,
                             excluded.paid_fee)
"""

END_EXTERNAL = """
    UPDATE external_orders
       SET is_open = false, updated_at = %(at)s
     WHERE exchange_uuid = ANY (%(ended)s::text[])
"""

OPEN_EXTERNAL = """
    SELECT exchange_uuid, created_at
      FROM external_orders
     WHERE is_open
"""


class PgAccountBooks:
    """Satisfies ports.AccountBooks and ports.Deposits."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def books(self) -> Mapping[str, CurrencyBook] | None:
        async with self._pool.cursor() as cur:
            await cur.execute(BOOKS)
            found = await cur.fetchall()
        books = {}
        for currency, amount, at, moved, moved_by_others, booked, external in found:
            books[currency] = CurrencyBook(
                currency=currency,
                amount=amount,
                at=at,
                moved=moved,
                moved_by_others=moved_by_others,
                booked=booked,
                external=external,
            )
        return books or None

    async def begin(self, amounts: Mapping[str, Decimal], *, at: datetime) -> None:
        given = [{"currency": name, "amount": amount} for name, amount in amounts.items()]
        with refusals_about("the account"):
            async with self._pool.transaction() as cur:
                await cur.execute(BEGIN, {"amounts": recordset(given), "at": at})

    async def settle(self, book: CurrencyBook, actual: Decimal, *, at: datetime) -> None:
        with refusals_about("the account"):
            async with self._pool.transaction() as cur:
                await cur.execute(PUT_BASELINES, _baseline(book, actual, at))
                await cur.execute(END_DIFFERENCE, {"currency": book.currency})

    async def settle_difference(
        self, book: CurrencyBook, actual: Decimal, *, at: datetime, as_deposit: bool
    ) -> bool:
        args = {"currency": book.currency, "amount": book.difference(actual), "at": at}
        with refusals_about("the account"):
            async with self._pool.transaction() as cur:
                await cur.execute(LOCK_DEPOSITS)
                await cur.execute(CLAIM_DEPOSIT, args)
                if not cur.rowcount:
                    if not as_deposit:
                        return False
                    await cur.execute(ADD_DETECTED, args)
                await cur.execute(PUT_BASELINES, _baseline(book, actual, at))
                await cur.execute(END_DIFFERENCE, args)
        return True

    async def put_difference(self, book: CurrencyBook, actual: Decimal, *, at: datetime) -> None:
        args = {
            "currency": book.currency,
            "expected": book.expected,
            "actual": actual,
            "at": at,
        }
        with refusals_about("the account"):
            async with self._pool.cursor() as cur:
                await cur.execute(PUT_DIFFERENCE, args)

    async def put_external(
        self, orders: Sequence[ListedOrder], *, ended: Collection[str] = (), at: datetime
    ) -> None:
        if not orders and not ended:
            return
        with refusals_about("orders of other programs"):
            await self._put_external(orders, ended, at)

    async def _put_external(
        self, orders: Sequence[ListedOrder], ended: Collection[str], at: datetime
    ) -> None:
        args = {"orders": recordset(map(_external, orders)), "ended": list(ended), "at": at}
        uuids = [listed.order.uuid for listed in orders]
        async with self._pool.transaction() as cur:
            await cur.execute(LOCK_MOVES)
            await cur.execute(MOVE_EXTERNAL, {"uuids": uuids, "sign": -1})
            await cur.execute(PUT_EXTERNAL, args)
            await cur.execute(MOVE_EXTERNAL, {"uuids": uuids, "sign": 1})
            if ended:
                await cur.execute(END_EXTERNAL, args)

    async def open_external(self) -> Mapping[str, datetime]:
        async with self._pool.cursor() as cur:
            await cur.execute(OPEN_EXTERNAL)
            return dict(await cur.fetchall())

    async def add(self, deposit: NewDeposit) -> int:
        args = {
            "currency": deposit.currency,
            "amount": deposit.amount,
            "at": deposit.at,
            "note": storable(deposit.note),
            "actor": deposit.actor,
            "corrects": deposit.corrects,
        }
        async with self._pool.transaction() as cur:
            await cur.execute(LOCK_DEPOSITS)
            if deposit.corrects is not None:
                await cur.execute(CORRECTED, args)
                args["at"] = _corrected_at(deposit, await cur.fetchone())
                await cur.execute(GIVE_UP_DEPOSIT, args)
            elif not deposit.is_another:
                await cur.execute(DETECTED, args)
                if (found := await cur.fetchone()) is not None:
                    raise _counted_already(deposit, found)
            await cur.execute(ADD_TOLD, args)
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - INSERT ... RETURNING
        return int(row[0])


def _counted_already(deposit: NewDeposit, found: tuple[int, datetime]) -> DepositDetected:
    number, at = found
    return DepositDetected(
        f"deposit {number} has this amount of {deposit.currency}, was detected at"
        f' {rfc3339(at)} and counts already. Add "another": true if this is another one; tell the'
        f' opposite amount with "corrects": {number} to take it back'
    )


def _corrected_at(deposit: NewDeposit, row: tuple[str, datetime, Decimal, bool] | None) -> datetime:
    """Return the instant of the corrected deposit. Raises: InvalidRequest; without amounts."""
    number = deposit.corrects
    if row is None:
        raise InvalidRequest(f"corrects: there is no deposit {number}, or it is a correction")
    currency, at, left_over, is_seen = row
    if currency != deposit.currency:
        raise InvalidRequest(f"corrects: deposit {number} is of {currency}")
    if deposit.amount * left_over >= 0 or abs(deposit.amount) > abs(left_over):
        raise InvalidRequest(
            f"amount takes back at most what is left of deposit {number}, with the other sign"
        )
    if not is_seen and deposit.amount != -left_over:
        raise InvalidRequest(f"the account has not shown deposit {number} yet: take back all of it")
    return at


def _baseline(book: CurrencyBook, actual: Decimal, at: datetime) -> dict[str, object]:
    row = {
        "currency": book.currency,
        "amount": actual,
        "booked": book.booked,
        "external": book.external,
    }
    return {"baselines": recordset([row]), "at": at}


def _external(listed: ListedOrder) -> dict[str, object]:
    order = listed.order
    return {
        "exchange_uuid": order.uuid,
        "market": str(order.market),
        "side": order.side.value,
        "is_open": order.state is ExchangeOrderState.WAITING,
        "executed_volume": order.executed_volume,
        "executed_funds": listed.executed_funds or Decimal(0),
        "paid_fee": order.paid_fee,
        "created_at": order.created_at.isoformat(),
    }
