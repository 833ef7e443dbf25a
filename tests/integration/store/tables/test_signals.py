"""Model calls, signals and decisions on real PostgreSQL."""

from datetime import timedelta
from decimal import Decimal

import pytest

from service.domain.errors import DomainError
from service.domain.instants import rfc3339
from service.domain.markets import Market
from service.domain.risk.verdicts import Held, Refused, Verdict
from service.domain.signals import Action, Usage
from service.store.database.pool import Pool
from service.store.tables.signals import PgSignals
from tests.builders import KRW_BTC, T0, a_proposal, a_signal, an_answer
from tests.integration.store.seeds import CHECKS, a_call, a_stored_signal, an_allowed, rows


@pytest.mark.proves("S6.1")
async def test_a_call_keeps_tokens_and_cost_exactly(pool: Pool) -> None:
    usage = Usage(input_tokens=4012, output_tokens=90, thinking_tokens=512, cached_tokens=3000)
    call = a_call(answer=an_answer(usage=usage), cost_usd=Decimal("0.0000012345678901"))

    call_id = await PgSignals(pool).add_call(call)

    stored = await rows(
        pool,
        "SELECT id, purpose, model, started_at, duration_ms, outcome, why, input_tokens,"
        " output_tokens, thinking_tokens, cached_tokens, cost_usd FROM ai_calls",
    )
    assert stored == [
        (call_id, "signal", call.model, T0, 812.25, "ok", None, 4012, 90, 512, 3000, call.cost_usd)
    ]


async def test_a_call_without_an_answer_is_stored_with_its_reason(pool: Pool) -> None:
    call = a_call(outcome="error", why="quota\x00_exhausted", answer=None, cost_usd=None)

    await PgSignals(pool).add_call(call)

    stored = await rows(pool, "SELECT outcome, why, input_tokens, cost_usd FROM ai_calls")
    assert stored == [("error", "quota\N{REPLACEMENT CHARACTER}_exhausted", None, None)]


async def test_a_signal_comes_back_as_it_was_stored(pool: Pool) -> None:
    proposal = a_proposal(confidence=Decimal("0.7251"))

    signal = await a_stored_signal(pool, proposal=proposal, market_data_id=42)

    assert signal == a_signal(id=signal.id, proposal=proposal)
    stored = await rows(
        pool,
        "SELECT market, action, confidence, reasoning, model, price, market_data_id, trigger,"
        " facts::text, created_at FROM trading_signals",
    )
    assert stored == [
        (
            "KRW-BTC",
            "BUY",
            Decimal("0.7251"),
            proposal.reasoning,
            "gemini-3.8-flash",
            Decimal(100_000_000),
            42,
            "schedule",
            '{"price": "100000000"}',
            T0,
        )
    ]


async def test_a_confidence_finer_than_its_column_comes_back_as_the_row_has_it(pool: Pool) -> None:
    signal = await a_stored_signal(pool, proposal=a_proposal(confidence=Decimal("0.59994")))

    (row,) = await rows(pool, "SELECT confidence FROM trading_signals")
    assert row == (signal.proposal.confidence,)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("up\x00down", "up\N{REPLACEMENT CHARACTER}down"),
        ("broken \ud83d emoji", "broken \N{REPLACEMENT CHARACTER} emoji"),
        ("whole \N{ROCKET} 오름세 '; DROP TABLE orders; -- %s %(x)s", None),
    ],
)
async def test_no_text_of_a_model_is_refused(pool: Pool, written: str, stored: str | None) -> None:
    signal = await a_stored_signal(pool, proposal=a_proposal(reasoning=written))

    assert signal.proposal.reasoning == (stored or written)
    assert await rows(pool, "SELECT reasoning FROM trading_signals") == [(stored or written,)]


REFUSED = Refused(reason="confidence", detail="confidence 0.3 is below 0.6", checks=CHECKS)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (an_allowed(), ("ALLOWED", None, None)),
        (REFUSED, ("REFUSED", "confidence", "confidence 0.3 is below 0.6")),
        (Held(), ("HELD", None, None)),
    ],
)
async def test_a_verdict_is_kept_with_its_evidence(
    pool: Pool, verdict: Verdict, expected: tuple[str, str | None, str | None]
) -> None:
    signal = await a_stored_signal(pool)

    decision_id = await PgSignals(pool).add_decision(signal_id=signal.id, verdict=verdict, at=T0)

    stored = await rows(
        pool, "SELECT id, signal_id, verdict, reason, detail, checks, created_at FROM decisions"
    )
    evidence = [
        {
            "rule": check.rule,
            "passed": check.passed,
            "detail": check.detail,
            "limit": check.limit,
            "actual": check.actual,
            "until": None if check.until is None else rfc3339(check.until),
        }
        for check in verdict.checks
    ]
    assert stored == [(decision_id, signal.id, *expected, evidence, T0)]


async def test_a_signal_is_decided_once(pool: Pool) -> None:
    signals, signal = PgSignals(pool), await a_stored_signal(pool)
    await signals.add_decision(signal_id=signal.id, verdict=Held(), at=T0)

    with pytest.raises(DomainError, match="decided otherwise"):
        await signals.add_decision(signal_id=signal.id, verdict=an_allowed(), at=T0)

    assert await rows(pool, "SELECT verdict FROM decisions") == [("HELD",)]


async def test_a_decision_written_again_is_the_row_that_stands(pool: Pool) -> None:
    signals, signal = PgSignals(pool), await a_stored_signal(pool)
    first = await signals.add_decision(signal_id=signal.id, verdict=an_allowed(), at=T0)
    before = await rows(pool, "SELECT id, checks, created_at FROM decisions")

    later = T0 + timedelta(seconds=2)
    again = await signals.add_decision(signal_id=signal.id, verdict=an_allowed(), at=later)

    assert again == first
    assert await rows(pool, "SELECT id, checks, created_at FROM decisions") == before


async def test_the_last_signal_is_of_the_market_asked_for(pool: Pool) -> None:
    await a_stored_signal(pool, at=T0)
    await a_stored_signal(pool, at=T0 + timedelta(minutes=30))
    await a_stored_signal(pool, at=T0 + timedelta(hours=1), market=Market("KRW", "ETH"))

    last = await PgSignals(pool).last_signal_at(KRW_BTC)

    assert last == T0 + timedelta(minutes=30)
    assert last.utcoffset() == timedelta()


async def test_a_market_without_signals_has_no_last_one(pool: Pool) -> None:
    assert await PgSignals(pool).last_signal_at(KRW_BTC) is None


async def test_only_old_signals_of_this_market_without_a_decision_are_undecided(pool: Pool) -> None:
    signals = PgSignals(pool)
    decided, forgotten = [await a_stored_signal(pool) for _ in range(2)]
    await a_stored_signal(pool, market=Market("KRW", "ETH"))
    await signals.add_decision(signal_id=decided.id, verdict=Held(), at=T0)

    young = await signals.undecided(KRW_BTC, before=T0)
    old = await signals.undecided(KRW_BTC, before=T0 + timedelta(seconds=1))

    assert (tuple(young), tuple(old)) == ((), (forgotten.id,))


async def test_a_hold_is_stored_as_a_signal_too(pool: Pool) -> None:
    signal = await a_stored_signal(pool, proposal=a_proposal(action=Action.HOLD))

    assert signal.proposal.action is Action.HOLD
