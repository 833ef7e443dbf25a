"""The tables of /api/v1/metrics from log lines alone (SC-006); percentiles are exact."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypedDict, TypeVar

from service.domain.decimals import decimal_text
from service.ops.log_report.parse import AiLine, HttpLine, JobLine, Line

_MICROSECOND: Final = Decimal("0.001")
_RATE: Final = Decimal("0.000001")
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400


class LastBody(TypedDict):
    finished_at: str
    duration_ms: float
    attempts: int
    success: bool
    error: str | None
    code: str | None


class JobSummary(TypedDict):
    job: str
    count: int
    successes: int
    failures: int
    success_rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float
    last: LastBody


class HttpBody(TypedDict):
    route: str
    method: str
    count: int
    client_errors: int
    errors: int
    error_rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float


class AiBody(TypedDict):
    day: str
    model: str
    calls: int
    ok: int
    unusable: int
    error: int
    input_tokens: int
    output_tokens: int
    thinking_tokens: int
    cached_tokens: int
    total_tokens: int
    cost_usd: str | None
    calls_without_cost: int
    p50_ms: float
    p95_ms: float
    max_ms: float


class LogStats(TypedDict):
    jobs: list[JobSummary]
    http: list[HttpBody]
    ai: list[AiBody]


def log_stats(lines: Iterable[Line]) -> LogStats:
    jobs: dict[str, list[JobLine]] = defaultdict(list)
    routes: dict[tuple[str, str], list[HttpLine]] = defaultdict(list)
    calls: dict[tuple[str, str], list[AiLine]] = defaultdict(list)
    for line in lines:
        match line:
            case JobLine():
                jobs[line.job].append(line)
            case HttpLine():
                routes[line.route, line.method].append(line)
            case AiLine():
                calls[line.day, line.model].append(line)
    newest_first = sorted(_sorted(calls), key=lambda found: found[0][0], reverse=True)
    return LogStats(
        jobs=[_job(*found) for found in _sorted(jobs)],
        http=[_route(*found) for found in _sorted(routes)],
        ai=[_calls(*found) for found in newest_first],
    )


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _sorted(groups: Mapping[K, V]) -> list[tuple[K, V]]:
    return sorted(groups.items(), key=lambda found: str(found[0]))


def percentile(ordered: Sequence[float], ratio: float) -> float:
    """Return the value at `ratio` (0..1) of sorted values, interpolated between two ranks.

    Source: as PostgreSQL's percentile_cont and numpy's default.
    """
    rank = ratio * (len(ordered) - 1)
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    return low + (high - low) * (rank - math.floor(rank))


def _ms(value: float) -> float:
    """Round as PostgreSQL rounds a double to three decimals: by its first 15 digits, half up."""
    return float(Decimal(f"{value:.15g}").quantize(_MICROSECOND, ROUND_HALF_UP))


def _rate(part: int, whole: int) -> float:
    return float((Decimal(part) / whole).quantize(_RATE, ROUND_HALF_UP))


def _job(job: str, runs: Sequence[JobLine]) -> JobSummary:
    took = sorted(run.duration_ms for run in runs)
    successes = sum(run.success for run in runs)
    # Of two in the same millisecond the later line.
    last = max(reversed(runs), key=lambda run: run.at)
    return JobSummary(
        job=job,
        count=len(runs),
        successes=successes,
        failures=len(runs) - successes,
        success_rate=_rate(successes, len(runs)),
        p50_ms=_ms(percentile(took, 0.5)),
        p95_ms=_ms(percentile(took, 0.95)),
        p99_ms=_ms(percentile(took, 0.99)),
        max_ms=_ms(took[-1]),
        mean_ms=_ms(math.fsum(took) / len(took)),
        last=LastBody(
            finished_at=last.at,
            duration_ms=last.duration_ms,
            attempts=last.attempts,
            success=last.success,
            error=last.error,
            code=last.code,
        ),
    )


def _route(key: tuple[str, str], requests: Sequence[HttpLine]) -> HttpBody:
    took = sorted(request.duration_ms for request in requests)
    errors = sum(request.status >= _SERVER_ERROR for request in requests)
    refused = sum(_CLIENT_ERROR <= request.status < _SERVER_ERROR for request in requests)
    return HttpBody(
        route=key[0],
        method=key[1],
        count=len(requests),
        client_errors=refused,
        errors=errors,
        error_rate=_rate(errors, len(requests)),
        p50_ms=_ms(percentile(took, 0.5)),
        p95_ms=_ms(percentile(took, 0.95)),
        p99_ms=_ms(percentile(took, 0.99)),
        max_ms=_ms(took[-1]),
        mean_ms=_ms(math.fsum(took) / len(took)),
    )


def _calls(key: tuple[str, str], calls: Sequence[AiLine]) -> AiBody:
    took = sorted(call.duration_ms for call in calls)
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    outcomes = [call.outcome for call in calls]
    given = sum(call.input_tokens for call in calls)
    written = sum(call.output_tokens for call in calls)
    thought = sum(call.thinking_tokens for call in calls)
    return AiBody(
        day=key[0],
        model=key[1],
        calls=len(calls),
        ok=outcomes.count("ok"),
        unusable=outcomes.count("unusable"),
        error=outcomes.count("error"),
        input_tokens=given,
        output_tokens=written,
        thinking_tokens=thought,
        cached_tokens=sum(call.cached_tokens for call in calls),
        total_tokens=given + written + thought,
        cost_usd=decimal_text(sum(costs, Decimal())) if costs else None,
        calls_without_cost=len(calls) - len(costs),
        p50_ms=_ms(percentile(took, 0.5)),
        p95_ms=_ms(percentile(took, 0.95)),
        max_ms=_ms(took[-1]),
    )
