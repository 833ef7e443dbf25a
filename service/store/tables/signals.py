"""Model calls, trading signals and decisions: rows that are written once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.errors import DomainError
from service.domain.markets import Market
from service.domain.risk.verdicts import Allowed, Check, Held, Refused, Verdict
from service.domain.signals import Signal, Usage
from service.ports.store import JSON, ModelCall, NewSignal
from service.store.database.json_rows import json_text, storable
from service.store.database.pool import Pool
from service.store.tables.order_requests import bounds_of

# The reservation of the call ends with its row, in one statement: after a crash between both it
# would count twice or not at all.
ADD_CALL = """
    WITH booked AS (
        UPDATE ai_spending
           SET reserved_usd = greatest(reserved_usd - %(reserved_usd)s::numeric, 0),
               used_usd = used_usd + %(booked_usd)s
         WHERE day = %(reserved_day)s::date
    )
    INSERT INTO ai_calls (
           purpose, model, started_at, duration_ms, outcome, why,
           input_tokens, output_tokens, thinking_tokens, cached_tokens, cost_usd)
    VALUES (%(purpose)s, %(model)s, %(started_at)s, %(duration_ms)s, %(outcome)s, %(why)s,
           %(input_tokens)s, %(output_tokens)s, %(thinking_tokens)s, %(cached_tokens)s,
           %(cost_usd)s)
    RETURNING id
"""

ADD_SIGNAL = """
    INSERT INTO trading_signals (
           market, action, confidence, reasoning, model, price,
           market_data_id, ai_call_id, trigger, facts, created_at)
    VALUES (%(market)s, %(action)s, %(confidence)s, %(reasoning)s, %(model)s, %(price)s,
           %(market_data_id)s, %(call_id)s, %(trigger)s, %(facts)s::jsonb, %(at)s)
    RETURNING id, confidence, reasoning, price
"""

# A signal is decided once. A caller that lost the answer of the first INSERT repeats it and gets
# the stored row, unchanged. A repeat with another verdict gets no row.
ADD_DECISION = """
    INSERT INTO decisions (signal_id, verdict, reason, detail, checks, created_at)
    VALUES (%(signal_id)s, %(verdict)s, %(reason)s, %(detail)s, %(checks)s::jsonb, %(at)s)
        ON CONFLICT (signal_id) DO UPDATE
       SET signal_id = excluded.signal_id
     WHERE decisions.verdict = excluded.verdict
    RETURNING id
"""

# Looks at the newest 50 signals only. A pass leaves at most one signal without a decision, and the
# next pass decides it. A search of all signals would grow with every year and find no more.
UNDECIDED = """
    SELECT signals.id
      FROM (SELECT id
              FROM trading_signals
             WHERE market = %(market)s
               AND created_at < %(before)s
             ORDER BY created_at DESC, id DESC
             LIMIT 50) AS signals
     WHERE NOT EXISTS (SELECT FROM decisions WHERE decisions.signal_id = signals.id)
     ORDER BY signals.id
"""

LAPSE = """
    INSERT INTO risk_events (at, event, market, reason, actor, detail, decision_id)
    SELECT %(at)s, 'LAPSED', %(market)s, %(reason)s, 'system:orders',
           %(detail)s::jsonb, %(decision_id)s::bigint
     WHERE NOT EXISTS (SELECT FROM orders WHERE decision_id = %(decision_id)s::bigint)
        ON CONFLICT (decision_id) WHERE decision_id IS NOT NULL DO NOTHING
    RETURNING id
"""

# Reads every decision that was ever allowed. Once after each takeover, when no pass is under way.
LAPSE_UNORDERED = """
    INSERT INTO risk_events (at, event, market, reason, actor, detail, decision_id)
    SELECT %(at)s, 'LAPSED', signal.market, %(reason)s, 'system:orders',
           jsonb_build_object('detail', %(detail)s::text), decision.id
      FROM decisions AS decision
      JOIN trading_signals AS signal ON signal.id = decision.signal_id
     WHERE decision.verdict = 'ALLOWED'
       AND NOT EXISTS (SELECT FROM orders WHERE orders.decision_id = decision.id)
       AND NOT EXISTS (SELECT FROM risk_events WHERE risk_events.decision_id = decision.id)
     ORDER BY decision.id
        ON CONFLICT (decision_id) WHERE decision_id IS NOT NULL DO NOTHING
    RETURNING decision_id
"""

LAST_SIGNAL_AT = """
    SELECT max(created_at)
      FROM trading_signals
     WHERE market = %(market)s
"""


class PgSignals:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_call(self, call: ModelCall) -> int:
        usage = call.answer.usage if call.answer else Usage()
        args = {
            "purpose": call.purpose,
            "model": call.model,
            "started_at": call.started_at,
            "duration_ms": call.duration_ms,
            "outcome": call.outcome,
            "why": None if call.why is None else storable(call.why),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "thinking_tokens": usage.thinking_tokens,
            "cached_tokens": usage.cached_tokens,
            "cost_usd": call.cost_usd,
            "reserved_day": call.reservation.day if call.reservation else None,
            "reserved_usd": call.reservation.usd if call.reservation else None,
            "booked_usd": call.booked_usd,
        }
        return await self._insert(ADD_CALL, args)

    async def add_signal(self, new: NewSignal) -> Signal:
        args = {
            "market": str(new.market),
            "action": new.proposal.action.value,
            "confidence": new.proposal.confidence,
            # A model's text may hold NUL or lone surrogates, which PostgreSQL refuses.
            "reasoning": storable(new.proposal.reasoning),
            "model": new.model,
            "price": new.price,
            "market_data_id": new.market_data_id,
            "call_id": new.call_id,
            "facts": json_text(new.facts),
            "trigger": new.trigger,
            "at": new.at,
        }
        async with self._pool.cursor() as cur:
            await cur.execute(ADD_SIGNAL, args)
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - INSERT ... RETURNING
        signal_id, confidence, reasoning, stored_price = row
        return Signal(
            id=signal_id,
            market=new.market,
            proposal=replace(new.proposal, confidence=confidence, reasoning=reasoning),
            model=new.model,
            price=stored_price,
            created_at=new.at,
        )

    async def add_decision(self, *, signal_id: int, verdict: Verdict, at: datetime) -> int:
        """Store the decision, once, and return the id of its row.

        Raises: DomainError, when the signal was decided otherwise before.
        """
        word, reason, detail = _verdict_columns(verdict)
        args = {
            "signal_id": signal_id,
            "verdict": word,
            "reason": reason,
            "detail": detail,
            "checks": json_text([_check_row(check) for check in verdict.checks]),
            "at": at,
        }
        async with self._pool.cursor() as cur:
            await cur.execute(ADD_DECISION, args)
            row = await cur.fetchone()
        if row is None:
            raise DomainError(f"signal {signal_id} was decided otherwise before")
        return int(row[0])

    async def undecided(self, market: Market, *, before: datetime) -> Sequence[int]:
        async with self._pool.cursor() as cur:
            await cur.execute(UNDECIDED, {"market": str(market), "before": before})
            return tuple(row[0] for row in await cur.fetchall())

    async def lapse(
        self,
        decision_id: int,
        *,
        market: Market,
        reason: str,
        detail: str,
        at: datetime,
        check: Check | None = None,
    ) -> bool:
        args = {
            "decision_id": decision_id,
            "market": str(market),
            "reason": reason,
            "detail": json_text({"detail": detail, **({} if check is None else bounds_of(check))}),
            "at": at,
        }
        async with self._pool.cursor() as cur:
            await cur.execute(LAPSE, args)
            return await cur.fetchone() is not None

    async def lapse_unordered(self, *, reason: str, detail: str, at: datetime) -> Sequence[int]:
        async with self._pool.cursor() as cur:
            await cur.execute(LAPSE_UNORDERED, {"reason": reason, "detail": detail, "at": at})
            return tuple(row[0] for row in await cur.fetchall())

    async def last_signal_at(self, market: Market) -> datetime | None:
        async with self._pool.cursor() as cur:
            await cur.execute(LAST_SIGNAL_AT, {"market": str(market)})
            row = await cur.fetchone()
            return row[0] if row else None

    async def _insert(self, sql: str, args: Mapping[str, object]) -> int:
        async with self._pool.cursor() as cur:
            await cur.execute(sql, args)
            row = await cur.fetchone()
        assert row is not None  # noqa: S101 - INSERT ... RETURNING
        return int(row[0])


def _check_row(check: Check) -> Mapping[str, JSON]:
    return {
        "rule": check.rule,
        "passed": check.passed,
        "detail": check.detail,
        **bounds_of(check),
    }


def _verdict_columns(verdict: Verdict) -> tuple[str, str | None, str | None]:
    match verdict:
        case Allowed():
            return "ALLOWED", None, None
        case Refused():
            return "REFUSED", verdict.reason, verdict.detail
        case Held():
            return "HELD", None, None
