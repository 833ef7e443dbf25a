"""The trading lease: at most one process trades, and the epoch is its fencing token.

Expiry is measured by the database's clock in real time, because the clocks of processes differ and
the market's time may run faster. The statements use `clock_timestamp()`: `now()` is the start of
the transaction and stands still while a statement waits for the row.
"""

from typing import Final

from service.crashpoints import crashpoint
from service.store.database.pool import Pool

TRADING: Final = "trading"

# An expired lease is never continued, not even by its last owner. That owner gets a new epoch too,
# so writes under the old epoch stay refused.
ACQUIRE = """
    INSERT INTO leader AS held (name, owner, epoch, expires_at)
    VALUES (%(name)s, %(owner)s, 1, clock_timestamp() + make_interval(secs => %(ttl_s)s))
        ON CONFLICT (name) DO UPDATE
       SET owner = excluded.owner,
           epoch = held.epoch + (held.owner <> excluded.owner
                                 OR held.expires_at <= clock_timestamp())::int,
           expires_at = excluded.expires_at
     WHERE held.owner = excluded.owner
        OR held.expires_at <= clock_timestamp()
    RETURNING epoch
"""

# The row is not deleted: an epoch must never be issued twice.
RELEASE = """
    UPDATE leader
       SET expires_at = clock_timestamp()
     WHERE name = %(name)s
       AND owner = %(owner)s
       AND expires_at > clock_timestamp()
"""


class PgLease:
    """The trading lease, held as `owner`; it expires `ttl_s` real seconds after `acquire`."""

    def __init__(self, pool: Pool, *, owner: str, ttl_s: float) -> None:
        self._pool = pool
        self._owner = owner
        self._ttl_s = ttl_s

    async def acquire(self) -> int | None:
        args = {"name": TRADING, "owner": self._owner, "ttl_s": self._ttl_s}
        async with self._pool.cursor() as cur:
            await cur.execute(ACQUIRE, args)
            row = await cur.fetchone()
        if row is None:
            return None
        crashpoint("leader.after_lock")
        return int(row[0])

    async def release(self) -> None:
        async with self._pool.cursor() as cur:
            await cur.execute(RELEASE, {"name": TRADING, "owner": self._owner})
