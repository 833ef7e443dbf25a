"""Whether this database may trade, and for which mode it was made."""

from service.ports import TradingState
from service.store.gate import Gate

TRADING_STATE = """
    SELECT state, reason, since
      FROM trading_state
"""

# The row lock decides between two first starts at once: the second one sees the first one's mode.
CLAIM_MODE = """
    UPDATE trading_state
       SET mode = coalesce(mode, %(mode)s)
    RETURNING mode
"""


class PgState:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def trading_state(self) -> TradingState:
        async with self._gate.cursor() as cur:
            await cur.execute(TRADING_STATE)
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - the migration wrote the only row
        state, reason, since = row
        return TradingState(state=state, reason=reason, since=since)

    async def claim_mode(self, mode: str) -> str:
        """Bind the database to `mode` at its first use; return the mode it is bound to.

        Play money and real money never share a database: refuse to start when they differ.
        """
        async with self._gate.cursor() as cur:
            await cur.execute(CLAIM_MODE, {"mode": mode})
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - the migration wrote the only row
        return str(row[0])
