"""Memory of the real service on a long history: at rest, and after many mixed requests."""

import time
from typing import Final

from benchmarks.comparison import Result
from benchmarks.databases import Databases
from benchmarks.load_client import LoadClient
from benchmarks.service_process import on_history, rss_mib, running_service

PATHS: Final = (
    "/api/v1/trading/orders?status=EXECUTED&limit=50",
    "/api/v1/trading/orders?limit=500",
    "/api/v1/trading/fills?limit=50",
    "/api/v1/signals?limit=50",
    "/api/v1/signals/latest",
    "/api/v1/market/history?limit=50",
    "/api/v1/market/candles?limit=200",
    "/api/v1/market/latest",
    "/api/v1/dashboard/summary",
    "/api/v1/config",
    "/api/v1/config/min_confidence",
    "/api/v1/metrics/pool",
    "/health",
    "/metrics",
)
#: By then the first `verify_books` has begun.
IDLE_AFTER_S: Final = 15.0
#: 114 on 100,000 rows; 113 on an empty database.
IDLE_MIB: Final = 160.0
GROWTH: Final = 1.1


def measure(databases: Databases, *, rows: int, requests: int) -> list[Result]:
    with running_service(on_history(databases.seeded(rows))) as (pid, port):
        time.sleep(IDLE_AFTER_S)
        idle_mib = rss_mib(pid)
        with LoadClient.open(port, *PATHS, connections=10) as client:
            client.ask(requests)
        time.sleep(1)
        after_mib = rss_mib(pid)
    return [
        Result(name="memory of the service at rest", ours=idle_mib, unit="MiB", at_most=IDLE_MIB),
        Result(
            name=f"its memory after {requests:,} requests on {rows:,} rows / before",
            ours=after_mib, theirs=idle_mib, unit="MiB", at_most=GROWTH,
        ),
    ]  # fmt: skip
