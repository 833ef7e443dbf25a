"""Counters since the process started: passes, model calls, decisions, orders. No I/O."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from service.domain.signals import Usage
from service.ops.metrics.event_loop_lag import LoopLag
from service.ops.metrics.requests import RequestMeter
from service.ports.clock import RealClock
from service.ports.store import ModelCall

#: Upper bounds for the durations of passes, seconds.
JOB_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_OUTCOMES: Final = ("ok", "unusable", "error")


@dataclass(slots=True)
class Durations:
    bounded: list[int] = field(default_factory=lambda: [0] * (len(JOB_BOUNDS_S) + 1))
    sum_s: float = 0.0


class Counters:
    """Counters by label; all labels come from closed sets.

    Attributes:
        job_runs: by job and outcome (success, failure).
        job_seconds: by job.
        last_success_s: by job, Unix time of the last successful pass; real time.
        calls: by model and outcome.  tokens: by model and kind.  cost_usd: by model.
        unpriced: calls of unknown cost, by model.
        signals: by action.  decisions: by verdict and reason.  orders: by status reached.
    """

    def __init__(self, real_clock: RealClock) -> None:
        self.requests = RequestMeter(real_clock)
        self.lag = LoopLag(real_clock)
        self.job_runs: Counter[tuple[str, str]] = Counter()
        self.job_seconds: dict[str, Durations] = {}
        self.last_success_s: dict[str, float] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self.tokens: Counter[tuple[str, str]] = Counter()
        self.cost_usd: dict[str, Decimal] = {}
        self.unpriced: Counter[str] = Counter()
        self.signals: Counter[str] = Counter()
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.orders: Counter[str] = Counter()
        self._real_clock = real_clock

    def passed(self, job: str, *, success: bool, seconds: float) -> None:
        # The other outcome is added as 0: a rate needs a zero to rise from.
        self.job_runs[job, "success"] += success
        self.job_runs[job, "failure"] += not success
        durations = self.job_seconds.setdefault(job, Durations())
        durations.bounded[bisect_left(JOB_BOUNDS_S, seconds)] += 1
        durations.sum_s += seconds
        if success:
            self.last_success_s[job] = self._real_clock.utc_now().timestamp()

    def called(self, call: ModelCall) -> None:
        for outcome in _OUTCOMES:
            self.calls[call.model, outcome] += outcome == call.outcome
        usage = call.answer.usage if call.answer else Usage()
        kinds = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "thinking": usage.thinking_tokens,
            "cached": usage.cached_tokens,
        }
        for kind, count in kinds.items():
            self.tokens[call.model, kind] += count or 0
        self.unpriced[call.model] += call.cost_usd is None
        self.cost_usd[call.model] = self.cost_usd.get(call.model, Decimal()) + (
            call.cost_usd or Decimal()
        )
