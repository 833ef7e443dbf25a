"""Model calls, signals and decisions in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.errors import DomainError
from service.domain.markets import Market
from service.domain.risk.verdicts import Allowed, Check, Verdict
from service.domain.signals import Signal
from service.ports.store import ModelCall, NewSignal
from tests.fakes.model_spending import book
from tests.fakes.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    signal_id: int
    verdict: Verdict
    at: datetime


class FakeSignals:
    """Satisfies ports.Signals; ids count from 1.

    Attributes:
        calls, signals, decisions: the rows in the order they were written.
        tables: the rows it shares with the fake of the orders.
        kept: what each signal was made from, by its id.
        fail: raised by the next call instead of doing anything.
        lose_signal: raised by the next signal after it was stored, as a lost answer would be.
        fail_decision: raised by the next decision instead of storing it.
        lose_decision: as `lose_signal`, for the next decision.
        after_decision: called after each decision, to simulate concurrent events.
    """

    def __init__(self, *, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()
        self.calls: list[ModelCall] = []
        self.signals: list[Signal] = []
        self.decisions: list[Decided] = []
        self.kept: dict[int, NewSignal] = {}
        self.fail: BaseException | None = None
        self.lose_signal: BaseException | None = None
        self.fail_decision: BaseException | None = None
        self.lose_decision: BaseException | None = None
        self.after_decision: Callable[[], object] | None = None

    async def add_call(self, call: ModelCall) -> int:
        self._raise_failure()
        self.calls.append(call)
        book(self.tables, call.reservation, call.booked_usd)
        return len(self.calls)

    async def add_signal(self, new: NewSignal) -> Signal:
        self._raise_failure()
        assert 1 <= new.call_id <= len(self.calls), "the call is written before its signal"
        signal = Signal(
            id=len(self.signals) + 1,
            market=new.market,
            proposal=new.proposal,
            model=new.model,
            price=new.price,
            created_at=new.at,
        )
        self.signals.append(signal)
        self.kept[signal.id] = new
        if self.lose_signal is not None:
            lost, self.lose_signal = self.lose_signal, None
            raise lost
        return signal

    async def add_decision(self, *, signal_id: int, verdict: Verdict, at: datetime) -> int:
        self._raise_failure()
        if self.fail_decision is not None:
            failure, self.fail_decision = self.fail_decision, None
            raise failure
        for number, row in enumerate(self.decisions, 1):
            if row.signal_id == signal_id:
                if type(row.verdict) is not type(verdict):
                    raise DomainError(f"signal {signal_id} was decided otherwise before")
                return number
        self.decisions.append(Decided(signal_id=signal_id, verdict=verdict, at=at))
        if self.after_decision is not None:
            self.after_decision()
        if self.lose_decision is not None:
            lost, self.lose_decision = self.lose_decision, None
            raise lost
        return len(self.decisions)

    async def undecided(self, market: Market, *, before: datetime) -> Sequence[int]:
        self._raise_failure()
        decided = {row.signal_id for row in self.decisions}
        return [
            signal.id
            for signal in self.signals
            if signal.market == market and signal.created_at < before and signal.id not in decided
        ]

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
        del check
        self._raise_failure()
        if decision_id in self.tables.ordered or decision_id in self.tables.lapsed:
            return False
        self.tables.lapsed[decision_id] = reason
        return True

    async def lapse_unordered(self, *, reason: str, detail: str, at: datetime) -> Sequence[int]:
        self._raise_failure()
        over = self.tables.ordered | self.tables.lapsed.keys()
        lapsed = [
            number
            for number, row in enumerate(self.decisions, 1)
            if isinstance(row.verdict, Allowed) and number not in over
        ]
        self.tables.lapsed |= dict.fromkeys(lapsed, reason)
        return lapsed

    async def last_signal_at(self, market: Market) -> datetime | None:
        self._raise_failure()
        return max((s.created_at for s in self.signals if s.market == market), default=None)

    def _raise_failure(self) -> None:
        if self.fail is not None:
            failure, self.fail = self.fail, None
            raise failure
