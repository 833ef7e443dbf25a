"""Statistics of a log as a person reads them in a terminal."""

from collections.abc import Iterator, Mapping, Sequence
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


def tables(stats: LogStats) -> Iterator[str]:
    """Yield the lines of three tables, those without rows left out."""
    for title, columns, rows in (
        ("Jobs", _JOBS, stats["jobs"]),
        ("Requests", _HTTP, stats["http"]),
        ("Model calls", _AI, stats["ai"]),
    ):
        if rows:
            yield title
            yield from _table(columns, rows)
            yield ""


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> Iterator[str]:
    cells = [list(columns.values())]
    cells += [[_cell(name, row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            cell.ljust(width) if name in _TEXTS else cell.rjust(width)
            for name, cell, width in zip(columns, row, widths, strict=True)
        )
        yield "  " + "  ".join(padded).rstrip()


def _cell(name: str, value: object) -> str:
    if value is None:
        return "unknown"
    if name.endswith("_rate") and isinstance(value, float):
        return f"{value * 100:.2f}%"
    if name.endswith("_ms") and isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
