"""The rows of alerts, jobs, the machine, the audit log and the statistics."""

from typing import Final

from service.domain.errors import DomainError, NotFound, NotLeader, TooSoon
from service.ports.health import CacheStats, PoolMetrics
from service.ports.machine import SystemBody
from service.web.api import admin, alerts, metrics
from service.web.contract import log_bodies, metric_bodies
from service.web.contract.parameters import PAGE, ChoiceParameter, NumberParameter, TextParameter
from service.web.contract.requests import EmptyBody
from service.web.contract.roles import Role
from service.web.contract.route import ACCEPTED, API, OK, STORE, RouteRow

_HOURS: Final = NumberParameter(name="hours", default=24, high=744, says="until now")

ROUTES: Final = (
    RouteRow(
        method="GET",
        path=alerts.PATH,
        name="list_alerts",
        handler=alerts.alerts,
        role=Role.VIEWER,
        says="list of alerts with the state of each ([alerts.md](alerts.md))",
        answers={OK: log_bodies.AlertsBody},
        query=(
            ChoiceParameter(name="state", kind=log_bodies.AlertState),
            ChoiceParameter(name="severity", kind=log_bodies.AlertSeverity),
            *PAGE,
        ),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{alerts.PATH}/{{id}}",
        name="get_alert",
        handler=alerts.alert,
        role=Role.VIEWER,
        says="one of them",
        answers={OK: log_bodies.AlertBody},
        problems=(NotFound, *STORE),
    ),
    RouteRow(
        method="POST",
        path=f"{alerts.PATH}/{{id}}/acknowledge",
        name="acknowledge_alert",
        handler=alerts.acknowledge,
        role=Role.ADMIN,
        says=(
            "not told again, its recovery is; answers the alert. An empty body. 409 for what is"
            " over"
        ),
        answers={OK: log_bodies.AlertBody},
        body=EmptyBody,
        problems=(NotFound, DomainError, *STORE),
    ),
    RouteRow(
        method="GET",
        path=f"{API}/admin/jobs",
        name="list_jobs",
        handler=admin.jobs,
        role=Role.VIEWER,
        says=(
            "list of jobs: `period_s`, `enabled`, `running`, last start, success, failure and"
            " duration, `next_run_at`, `consecutive_failures`, `runs`, `skipped`, `restarts`,"
            " `last_error` ([jobs.md](jobs.md))"
        ),
        answers={OK: admin.AdminJobsBody},
    ),
    RouteRow(
        method="POST",
        path=f"{API}/admin/jobs/{{name}}/run",
        name="run_job",
        handler=admin.run_job,
        role=Role.ADMIN,
        says=(
            "makes a pass of the job now, or right after the running one; no body; 202 with the"
            " job; 404 with the names there are; where the pass would do nothing: 409 `not-leader`;"
            " 429 `too-soon`, for `generate_trading_signal` while every traded market is within"
            " `signal_cooldown_minutes`"
        ),
        answers={ACCEPTED: admin.AdminJobBody},
        body=EmptyBody,
        problems=(NotFound, DomainError, NotLeader, TooSoon, *STORE),
    ),
    RouteRow(
        method="GET",
        path=f"{API}/admin/system",
        name="get_system",
        handler=admin.system,
        role=Role.VIEWER,
        says=(
            "the machine and this process, at most ten seconds old: CPU, memory, the data"
            " directory's disk (`status` is `warning` from 70 % used, `unhealthy` from 90 %), open"
            " files, event loop lag, database connections, versions, uptime"
        ),
        answers={OK: SystemBody},
    ),
    RouteRow(
        method="GET",
        path=f"{API}/admin/audit",
        name="list_audit",
        handler=admin.audit,
        role=Role.VIEWER,
        says=(
            "list of what callers asked for, done or refused: `occurred_at`, `actor`, `action`,"
            " `subject`, `detail`, `request_id`; `action` is like `order.place`"
        ),
        answers={OK: log_bodies.AuditRowsBody},
        query=(TextParameter(name="action", says="e.g. `order.place`"), *PAGE),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/metrics/pool",
        name="get_pool_metrics",
        handler=metrics.pool,
        role=Role.VIEWER,
        says=(
            "database connections: `size` `free` `max`, callers `waiting` for one; since the start"
            " the number of waits (`waits`), their total time (`waited_s`), and the callers that"
            " got none (`refused`); `wait_p95_ms` of the last half minute, or of the last 1,000"
            " callers: of the pool's own queue, without those of its sub-pools; null with fewer"
            " than 20 callers"
        ),
        answers={OK: PoolMetrics},
    ),
    RouteRow(
        method="GET",
        path=f"{API}/metrics/cache",
        name="get_cache_metrics",
        handler=metrics.cache,
        role=Role.VIEWER,
        says=(
            "settings cache since the start: `hits` `misses` `hit_ratio` (null before the first"
            " read) `loads` `load_failures` `invalidations`, and `entries` now"
        ),
        answers={OK: CacheStats},
    ),
    RouteRow(
        method="GET",
        path=f"{API}/metrics/jobs",
        name="get_job_metrics",
        handler=metrics.jobs,
        role=Role.VIEWER,
        says=(
            "passes of each job: count, success rate, p50, p95, p99, max, mean, the last one, by"
            " the market's time; more than 48 hours from a whole hour on ([metrics.md](metrics.md))"
        ),
        answers={OK: metric_bodies.JobsStatisticsBody},
        query=(_HOURS,),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/metrics/http",
        name="get_request_metrics",
        handler=metrics.http,
        role=Role.VIEWER,
        says=(
            "requests of each route and method: count, error rate, p50, p95, p99, max, by real time"
        ),
        answers={OK: metric_bodies.RequestStatisticsBody},
        query=(_HOURS,),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/metrics/ai",
        name="get_model_metrics",
        handler=metrics.ai,
        role=Role.VIEWER,
        says=(
            "model calls of each Korean day and model: outcomes, tokens, cost, p50, p95, and the"
            " total, today included; `budget` has `budget_usd` (null: no limit), `used_usd`,"
            " `reserved_usd` and `left_usd` of today"
        ),
        answers={OK: metric_bodies.ModelStatisticsBody},
        query=(
            NumberParameter(name="days", default=7, high=366, says="Korean days, today included"),
        ),
        problems=STORE,
    ),
)
