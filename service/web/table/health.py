"""The rows of health, the index and the metrics of the process."""

from typing import Final

from service.web.api import health, index, metrics
from service.web.contract.roles import Role
from service.web.contract.route import API, OK, UNAVAILABLE, RouteRow

ROUTES: Final = (
    RouteRow(
        method="GET",
        path="/health",
        name="get_liveness",
        handler=health.alive,
        role=Role.ANONYMOUS,
        says='`{"status":"alive"}`: the process answers; no component is checked',
        answers={OK: health.AliveBody},
        query=None,
        is_queued=False,
    ),
    RouteRow(
        method="GET",
        path="/health/ready",
        name="get_readiness",
        handler=health.ready,
        role=Role.ANONYMOUS,
        says="200 when traffic may come, else 503",
        answers={OK: health.ReadyBody, UNAVAILABLE: health.ReadyBody},
        query=None,
        is_queued=False,
    ),
    RouteRow(
        method="GET",
        path="/health/detailed",
        name="get_health",
        handler=health.detailed,
        role=Role.ANONYMOUS,
        says=(
            "every component with its reason; 503 only when `unhealthy`; without rights only the"
            " statuses"
        ),
        answers={OK: health.AnyHealthBody, UNAVAILABLE: health.AnyHealthBody},
        query=None,
        is_queued=False,
    ),
    RouteRow(
        method="GET",
        path=API,
        name="get_index",
        handler=index.index,
        role=Role.VIEWER,
        says="every route of the API with its method, role and summary",
        answers={OK: index.IndexBody},
    ),
    RouteRow(
        method="GET",
        path="/metrics",
        name="get_exposition",
        handler=metrics.exposition,
        role=Role.VIEWER,
        says=(
            "the same counters as Prometheus text; in the sandbox this machine needs no token here"
        ),
        answers={OK: None},
        media_type="text/plain",
        is_local=True,
    ),
)
