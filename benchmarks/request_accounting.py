"""Counting one request: our meter against a counter and a histogram of prometheus_client."""

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from benchmarks.comparison import Result, interleaved
from service.adapters.clock import SystemClock
from service.ops.metrics.requests import BOUNDS_S, RequestMeter

REQUESTS: Final = 50_000
ROUTES: Final = tuple(f"/api/v1/route/{n}" for n in range(20))


def ours() -> float:
    meter = RequestMeter(SystemClock())
    began = time.process_time()
    for n in range(REQUESTS):
        asked = meter.began()
        meter.answered(asked, route=ROUTES[n % 20], method="GET", status=200)
    return (time.process_time() - began) / REQUESTS * 1e6


def prometheus() -> float:
    registry = CollectorRegistry()
    count = Counter("requests", "-", ["route", "method", "status"], registry=registry)
    took = Histogram("seconds", "-", ["route"], buckets=BOUNDS_S, registry=registry)
    began = time.process_time()
    for n in range(REQUESTS):
        asked, route = time.monotonic(), ROUTES[n % 20]
        count.labels(route, "GET", "200").inc()
        took.labels(route).observe(time.monotonic() - asked)
    return (time.process_time() - began) / REQUESTS * 1e6


def measure() -> list[Result]:
    took = interleaved({"ours": ours, "prometheus": prometheus})
    return [
        Result.of(
            "counting a request / prometheus_client",
            took["ours"],
            took["prometheus"],
            unit="us",
            at_most=1.0,
        )
    ]
