"""Statistics of a log as text columns, for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.ops.log_report.summaries import LogStats

_JOBS: Final = {
    "job": "job", "count": "passes", "success_rate": "success", "p50_ms": "p50 ms",
    "p95_ms": "p95 ms", "p99_ms": "p99 ms", "max_ms": "max ms", "mean_ms": "mean ms",
}  # fmt: skip
_HTTP: Final = {
    "route": "route", "method": "method", "count": "requests", "error_rate": "errors",
    "p50_ms": "p50 ms", "p95_ms": "p95 ms", "p99_ms": "p99 ms", "max_ms": "max ms",
}  # fmt: skip
_AI: Final = {
    "day": "day", "model": "model", "calls": "calls", "ok": "ok", "unusable": "unusable",
    "error": "error", "input_tokens": "input", "output_tokens": "output",
    "thinking_tokens": "thinking", "cached_tokens": "cached", "cost_usd": "cost USD",
    "calls_without_cost": "without cost", "p50_ms": "p50 ms", "p95_ms": "p95 ms",
}  # fmt: skip
_TEXTS: Final = frozenset({"job", "route", "method", "day", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsColumn:
    title: str
    is_number: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsTable:
    title: str
    columns: Sequence[StatsColumn]
    rows: Sequence[Sequence[str]]


def tables(stats: LogStats) -> Iterator[StatsTable]:
    """Yield three tables, those without rows left out."""
    for title, columns, rows in (
        ("Jobs", _JOBS, stats["jobs"]),
        ("Requests", _HTTP, stats["http"]),
        ("Model calls", _AI, stats["ai"]),
    ):
        if rows:
            yield _table(title, columns, rows)


def _table(
    title: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]
) -> StatsTable:
    return StatsTable(
        title=title,
        columns=[
            StatsColumn(title=words, is_number=name not in _TEXTS)
            for name, words in columns.items()
        ],
        rows=[[_cell(name, row[name]) for name in columns] for row in rows],
    )


def _cell(name: str, value: object) -> str:
    if value is None:
        return "unknown"
    if name.endswith("_rate") and isinstance(value, float):
        return f"{value * 100:.2f}%"
    if name.endswith("_ms") and isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
