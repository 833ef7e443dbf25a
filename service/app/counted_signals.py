"""The store of signals, with what is written counted for the metrics."""

from collections.abc import Sequence
from datetime import datetime

from service.domain.markets import Market
from service.domain.risk.verdicts import Allowed, Check, Held, Refused, Verdict
from service.domain.signals import Signal
from service.ops.metrics.counters import Counters
from service.ports.store import ModelCall, NewSignal, Signals


class CountedSignals:
    """Satisfies ports.Signals: what is written down is also counted."""

    def __init__(self, inner: Signals, meters: Counters) -> None:
        self._inner = inner
        self._meters = meters

    async def add_call(self, call: ModelCall) -> int:
        self._meters.called(call)  # paid for, whether its row can be written or not
        return await self._inner.add_call(call)

    async def add_signal(self, new: NewSignal) -> Signal:
        return await self._inner.add_signal(new)

    async def add_decision(self, *, signal_id: int, verdict: Verdict, at: datetime) -> int:
        decision_id = await self._inner.add_decision(signal_id=signal_id, verdict=verdict, at=at)
        self._meters.decisions[_labels(verdict)] += 1
        return decision_id

    async def undecided(self, market: Market, *, before: datetime) -> Sequence[int]:
        return await self._inner.undecided(market, before=before)

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
        return await self._inner.lapse(
            decision_id, market=market, reason=reason, detail=detail, at=at, check=check
        )

    async def lapse_unordered(self, *, reason: str, detail: str, at: datetime) -> Sequence[int]:
        return await self._inner.lapse_unordered(reason=reason, detail=detail, at=at)

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
