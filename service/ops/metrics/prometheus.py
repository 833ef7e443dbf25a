"""The metrics of the process as Prometheus text. docs/metrics.md has a line for each name.

A scrape reads everything from memory; nothing is registered globally.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from service.domain.trading_states import TradingStatus
from service.ops.metrics.counters import JOB_BOUNDS_S, Counters
from service.ops.metrics.requests import BOUNDS_S
from service.ports.health import CacheStats, ConcurrencyState, HealthBody, JobState, PoolState
from service.ports.price_feed import LiveFigures
from service.ports.store import Halt

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_STATUSES: Final = {"healthy": 0, "warning": 1, "unhealthy": 2}
#: Exposed as 0 before their first event: a rate needs a zero to rise from.
_ACTIONS: Final = ("BUY", "SELL", "HOLD")
_ORDER_STATUSES: Final = (
    "SUBMITTED", "PARTIALLY_FILLED", "EXECUTED", "CANCELLED", "FAILED", "UNKNOWN",
)  # fmt: skip

K = TypeVar("K", bound=tuple[str, ...])


class Exposition(Collector):
    """Reads the counters and the state of the process at each scrape.

    Args:
        jobs, pool, cache, health: called at each scrape; none of them does I/O.
        alerts: alerts by severity and outcome (sent, failed, suppressed).
        lines_dropped: log lines lost so far.
        limits: states of the concurrency limits by class of request.
        turned_away: connections refused so far.
        halts: the halts that stand.
        live: of the exchange's streams and of the prices that are believed.
    """

    def __init__(
        self,
        *,
        meters: Counters,
        version: str,
        mode: str,
        jobs: Callable[[], Sequence[JobState]],
        pool: Callable[[], PoolState],
        cache: Callable[[], CacheStats],
        health: Callable[[], HealthBody],
        alerts: Callable[[], Mapping[tuple[str, str], int]] | None = None,
        lines_dropped: Callable[[], int] | None = None,
        limits: Callable[[], Mapping[str, ConcurrencyState]] | None = None,
        turned_away: Callable[[], int] | None = None,
        halts: Callable[[], Sequence[Halt]] | None = None,
        live: Callable[[], LiveFigures] | None = None,
    ) -> None:
        self._meters = meters
        self._version, self._mode = version, mode
        self._jobs, self._pool, self._cache, self._health = jobs, pool, cache, health
        self._alerts, self._lines_dropped = alerts, lines_dropped
        self._limits, self._turned_away = limits, turned_away
        self._halts, self._live = halts, live
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)  # memory, CPU, descriptors of this process

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return no names, so that registering does not scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield _gauge(
            "trader_build_info", "Always 1; the labels say what runs.", ("version", "mode"),
            {(self._version, str(self._mode)): 1},
        )  # fmt: skip
        yield from self._of_jobs()
        yield from self._of_requests()
        yield from self._of_overload()
        yield from self._of_model()
        yield from self._of_trading()
        yield from self._of_live()
        yield from self._of_process()

    def _of_jobs(self) -> Iterator[Metric]:
        meters = self._meters
        yield _counter(
            "trader_job_runs", "Passes of jobs that ended.", ("job", "outcome"), meters.job_runs
        )
        passes = HistogramMetricFamily(
            "trader_job_duration_seconds",
            "How long passes took, waits between attempts included.",
            labels=("job",),
        )
        for job, seconds in meters.job_seconds.items():
            _add_histogram(passes, (job,), JOB_BOUNDS_S, seconds.bounded, seconds.sum_s)
        yield passes
        yield _counter(
            "trader_job_skipped", "Planned passes missed because one took too long.", ("job",),
            {(state.name,): state.skipped for state in self._jobs()},
        )  # fmt: skip
        yield _gauge(
            "trader_job_last_success_timestamp_seconds", "Unix time of the last pass that worked.",
            ("job",), {(job,): at for job, at in meters.last_success_s.items()},
        )  # fmt: skip

    def _of_requests(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "trader_http_requests", "Requests answered.", labels=("route", "method", "status")
        )
        bounded: dict[str, list[int]] = {}
        sums: dict[str, float] = {}
        for (route, method, status), series in self._meters.requests.series():
            total.add_metric((route, method, str(status)), series.count)
            before = bounded.get(route, [0] * len(series.bounded))
            bounded[route] = [a + b for a, b in zip(before, series.bounded, strict=True)]
            sums[route] = sums.get(route, 0.0) + series.sum_s
        yield total
        took = HistogramMetricFamily(
            "trader_http_request_duration_seconds", "How long answers took.", labels=("route",)
        )
        for route, counts in bounded.items():
            _add_histogram(took, (route,), BOUNDS_S, counts, sums[route])
        yield took

    def _of_overload(self) -> Iterator[Metric]:
        if self._limits is not None:
            limits = self._limits()
            yield _counter(
                "trader_http_shed", "Requests refused because too many were at work.", ("class",),
                {(name,): limit["refused"] for name, limit in limits.items()},
            )  # fmt: skip
            yield _gauge(
                "trader_http_at_work", "Requests at work.", ("class",),
                {(name,): limit["at_work"] for name, limit in limits.items()},
            )  # fmt: skip
            yield _gauge(
                "trader_http_waiting", "Requests that wait for a place.", ("class",),
                {(name,): limit["waiting"] for name, limit in limits.items()},
            )  # fmt: skip
        if self._turned_away is not None:
            yield CounterMetricFamily(
                "trader_http_connections_refused", "Connections refused because too many were"
                " open.", self._turned_away(),
            )  # fmt: skip

    def _of_model(self) -> Iterator[Metric]:
        meters = self._meters
        yield _counter(
            "trader_ai_calls", "Questions to the model.", ("model", "outcome"), meters.calls
        )
        yield _counter(
            "trader_ai_tokens", "Tokens as the model counted them.", ("model", "kind"),
            meters.tokens,
        )  # fmt: skip
        yield _counter(
            "trader_ai_cost_usd", "Cost of calls whose price is known.", ("model",),
            {(model,): float(cost) for model, cost in meters.cost_usd.items()},
        )  # fmt: skip
        yield _counter(
            "trader_ai_calls_without_cost", "Calls whose cost is not known.", ("model",),
            {(model,): count for model, count in meters.unpriced.items()},
        )  # fmt: skip

    def _of_trading(self) -> Iterator[Metric]:
        meters = self._meters
        yield _counter(
            "trader_signals", "Signals made.", ("action",),
            {(action,): meters.signals[action] for action in _ACTIONS},
        )  # fmt: skip
        yield _counter(
            "trader_decisions", "Verdicts on signals; the rule that refused.",
            ("verdict", "reason"), meters.decisions,
        )  # fmt: skip
        yield _counter(
            "trader_orders", "Orders that reached a status.", ("status",),
            {(status,): meters.orders[status] for status in _ORDER_STATUSES},
        )  # fmt: skip
        if self._alerts is not None:
            yield _counter("trader_alerts", "Alerts.", ("severity", "outcome"), self._alerts())

    def _of_live(self) -> Iterator[Metric]:
        if self._live is None:
            return
        figures = self._live()
        streams, prices = figures.streams, figures.prices
        yield _gauge(
            "trader_stream_connected", "1 while the exchange's stream is open.", ("stream",),
            {(name,): int(state.connected) for name, state in streams.items()},
        )  # fmt: skip
        yield _counter(
            "trader_stream_frames", "Frames of the exchange's streams.", ("stream", "readable"),
            {(name, word): count for name, state in streams.items() for word, count in
             (("yes", state.frames - state.odd), ("no", state.odd))},
        )  # fmt: skip
        yield _counter(
            "trader_stream_reconnects", "Times a stream was opened again.", ("stream",),
            {(name,): state.reconnects for name, state in streams.items()},
        )  # fmt: skip
        yield _counter(
            "trader_prices_heard", "Words about prices.", ("source",),
            {(source,): count for source, count in prices.heard.items()},
        )  # fmt: skip
        yield _counter(
            "trader_prices_refused", "Words about prices that were not believed.", ("doubt",),
            {(doubt,): count for doubt, count in prices.refused.items()},
        )  # fmt: skip
        yield _gauge(
            "trader_price_age_seconds", "Market seconds since a price was heard.", ("market",),
            {(str(market),): age_s for market, age_s in prices.age_s.items()},
        )  # fmt: skip

    def _of_open_orders(self, health: HealthBody) -> Iterator[Metric]:
        part = health["components"]["recent_order"]
        if "open_orders" in part:
            yield _gauge(
                "trader_orders_open", "Orders that are not final.", ("status",),
                {(status,): number for status, number in part["open_orders"].items()},
            )  # fmt: skip
            yield GaugeMetricFamily(
                "trader_orders_stuck", "Orders that are not final beyond their bound.",
                part["stuck_orders"],
            )  # fmt: skip
            yield GaugeMetricFamily(
                "trader_orders_aside", "Orders that are put aside.", part["orders_aside"]
            )
        yield _gauge(
            "trader_trading_state", "1 for the state that holds.", ("state",),
            {(state.value,): int(health["trading"]["state"] == state) for state in TradingStatus},
        )  # fmt: skip

    def _of_halts(self) -> Iterator[Metric]:
        if self._halts is not None:
            # The reason is no label: an operator's text would make a series of its own.
            standing = Counter(
                (halt.kind.value, str(halt.market or "all")) for halt in self._halts()
            )
            yield _gauge("trader_halts", "Halts that stand.", ("kind", "market"), standing)

    def _of_process(self) -> Iterator[Metric]:
        pool, cache, health = self._pool(), self._cache(), self._health()
        yield _gauge(
            "trader_pool_connections", "Database connections.", ("state",),
            {("free",): pool.free, ("used",): pool.size - pool.free},
        )  # fmt: skip
        yield GaugeMetricFamily(
            "trader_pool_waiting", "Callers that wait for a database connection.", pool.waiting
        )
        yield CounterMetricFamily(
            "trader_pool_waits", "Callers that had to wait for a database connection.", pool.waits
        )
        yield CounterMetricFamily(
            "trader_pool_wait_seconds", "Total time these callers waited.", pool.waited_s
        )
        yield CounterMetricFamily(
            "trader_pool_refused", "Callers that got no database connection.", pool.refused
        )
        yield _counter(
            "trader_cache_reads", "Reads of settings.", ("result",),
            {("hit",): cache["hits"], ("miss",): cache["misses"]},
        )  # fmt: skip
        yield _gauge(
            "trader_component_status", "0 healthy, 1 warning, 2 unhealthy.", ("component",),
            {(name,): _STATUSES[part["status"]] for name, part in health["components"].items()},
        )  # fmt: skip
        yield GaugeMetricFamily(
            "trader_trading_active", "1 when orders may be sent.",
            int(health["trading"]["state"] == "ACTIVE"),
        )  # fmt: skip
        yield from self._of_open_orders(health)
        yield from self._of_halts()
        if self._lines_dropped is not None:
            yield CounterMetricFamily(
                "trader_log_lines_dropped", "Log lines that could not be written.",
                self._lines_dropped(),
            )  # fmt: skip
        yield GaugeMetricFamily(
            "trader_event_loop_lag_seconds", "Worst delay of the last half minute.",
            self._meters.lag.worst_s(),
        )  # fmt: skip


def _counter(name: str, what: str, labels: Sequence[str], counted: Mapping[K, float]) -> Metric:
    family = CounterMetricFamily(name, what, labels=labels)
    for values, count in counted.items():
        family.add_metric(values, count)
    return family


def _gauge(name: str, what: str, labels: Sequence[str], seen: Mapping[K, float]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, value in seen.items():
        family.add_metric(values, value)
    return family


def _add_histogram(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    bounds: Sequence[float],
    bounded: Sequence[int],
    sum_s: float,
) -> None:
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    family.add_metric(labels, list(zip(names, accumulate(bounded), strict=True)), sum_s)
