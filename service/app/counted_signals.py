"""The store of signals, with what is written counted for the metrics."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from service.domain.markets import Market
from service.domain.risk import Allowed, Held, Refused, Verdict
from service.domain.signals import Proposal, Signal
from service.ops.metrics.counters import Counters
from service.ports.store import JSON, ModelCall, Signals


class CountedSignals:
    """Satisfies ports.Signals: what is written down is also counted."""

    def __init__(self, inner: Signals, meters: Counters) -> None:
        self._inner = inner
        self._meters = meters

    async def add_call(self, call: ModelCall) -> int:
        self._meters.called(call)  # paid for, whether its row can be written or not
        return await self._inner.add_call(call)

    async def add_signal(
        self,
        *,
        market: Market,
        proposal: Proposal,
        model: str,
        price: Decimal,
        market_data_id: int | None,
        call_id: int,
        facts: Mapping[str, JSON],
        trigger: str,
        at: datetime,
    ) -> Signal:
        return await self._inner.add_signal(
            market=market,
            proposal=proposal,
            model=model,
            price=price,
            market_data_id=market_data_id,
            call_id=call_id,
            facts=facts,
            trigger=trigger,
            at=at,
        )

    async def add_decision(self, *, signal_id: int, verdict: Verdict, at: datetime) -> int:
        decision_id = await self._inner.add_decision(signal_id=signal_id, verdict=verdict, at=at)
        self._meters.decisions[_labels(verdict)] += 1
        return decision_id

    async def undecided(self, market: Market, *, before: datetime) -> Sequence[int]:
        return await self._inner.undecided(market, before=before)

    async def last_signal_at(self, market: Market) -> datetime | None:
        return await self._inner.last_signal_at(market)


def _labels(verdict: Verdict) -> tuple[str, str]:
    match verdict:
        case Allowed():
            return "ALLOWED", ""
        case Refused():
            return "REFUSED", verdict.reason
        case Held():
            return "HELD", ""
