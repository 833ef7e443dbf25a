"""Percentiles, rates and costs, computed in the database; never averaged from other percentiles."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from service.domain.latency import GAMMA, LEAST_MS
from service.store.queries.job_metrics import JOBS, JOBS_BY_HOUR
from service.store.queries.page import JsonReader
from service.store.queries.percentiles import percentiles_by

#: Single minutes are kept so long; older windows begin with a whole hour.
MINUTES_KEPT: Final = timedelta(hours=48)
#: Up to so long every pass is read; longer windows are whole hours, and begin with one.
PASSES_UPTO: Final = timedelta(hours=48)
_HOUR: Final = timedelta(hours=1)

_REQUESTS_PICKED: Final = """
    WITH picked AS (
        SELECT route, method, status_class, count, sum_ms, max_ms, buckets, counts
          FROM request_stats
         WHERE minutes = 60 AND slot >= %(first_hour)s AND slot < %(last_hour)s
         UNION ALL
        SELECT route, method, status_class, count, sum_ms, max_ms, buckets, counts
          FROM request_stats
         WHERE minutes = 1 AND slot >= %(since)s AND slot < %(first_hour)s
         UNION ALL
        SELECT route, method, status_class, count, sum_ms, max_ms, buckets, counts
          FROM request_stats
         WHERE minutes = 1 AND slot >= greatest(%(since)s, %(last_hour)s) AND slot < %(until)s
    ), total AS (
        SELECT route,
               method,
               sum(count) AS count,
               coalesce(sum(count) FILTER (WHERE status_class = 4), 0) AS client_errors,
               coalesce(sum(count) FILTER (WHERE status_class = 5), 0) AS errors,
               sum(sum_ms) AS sum_ms,
               max(max_ms) AS max_ms
          FROM picked
         GROUP BY route, method
    )
"""

_REQUESTS_SHOWN: Final = """
    SELECT json_build_object(
               'since', to_char(%(since)s AT TIME ZONE 'UTC', %(instant)s),
               'until', to_char(%(until)s AT TIME ZONE 'UTC', %(instant)s),
               'items', coalesce(json_agg(item ORDER BY total.route, total.method), '[]'))::text
      FROM total
      LEFT JOIN valued USING (route, method)
     CROSS JOIN LATERAL (
            SELECT total.route,
                   total.method,
                   total.count,
                   total.client_errors,
                   total.errors,
                   round(total.errors / total.count, 6) AS error_rate,
                   round(p[1], 3) AS p50_ms,
                   round(p[2], 3) AS p95_ms,
                   round(p[3], 3) AS p99_ms,
                   round(total.max_ms::numeric, 3) AS max_ms,
                   round((total.sum_ms / total.count)::numeric, 3) AS mean_ms) AS item
"""

REQUESTS: Final = _REQUESTS_PICKED + percentiles_by("route", "method") + _REQUESTS_SHOWN

# Calls without a known cost are counted, never taken for free: a sum says how much it leaves out.
# Days are Korean, as those of the portfolio; the window is of instants, which the index serves.
MODEL_CALLS = """
    WITH called AS (
        SELECT (started_at AT TIME ZONE 'Asia/Seoul')::date AS day, *
          FROM ai_calls
         WHERE started_at >= %(since)s
           AND started_at < %(until)s
    ), summed AS (
        SELECT day,
               model,
               count(*) AS calls,
               count(*) FILTER (WHERE outcome = 'ok') AS ok,
               count(*) FILTER (WHERE outcome = 'unusable') AS unusable,
               count(*) FILTER (WHERE outcome = 'error') AS error,
               coalesce(sum(input_tokens), 0) AS input_tokens,
               coalesce(sum(output_tokens), 0) AS output_tokens,
               coalesce(sum(thinking_tokens), 0) AS thinking_tokens,
               coalesce(sum(cached_tokens), 0) AS cached_tokens,
               coalesce(sum(input_tokens), 0) + coalesce(sum(output_tokens), 0)
                   + coalesce(sum(thinking_tokens), 0) AS total_tokens,
               trim_scale(sum(cost_usd))::text AS cost_usd,
               count(*) FILTER (WHERE cost_usd IS NULL) AS calls_without_cost,
               percentile_cont(ARRAY[0.5, 0.95])
                   WITHIN GROUP (ORDER BY duration_ms)::numeric[] AS p,
               max(duration_ms) AS max_ms
          FROM called
         GROUP BY GROUPING SETS ((day, model), ())
    ), spent AS (
        SELECT coalesce(sum(used_usd), 0) AS used_usd,
               coalesce(sum(reserved_usd), 0) AS reserved_usd
          FROM ai_spending
         WHERE day = %(today)s
    ), budget AS (
        SELECT %(today)s::date AS day,
               trim_scale(%(budget_usd)s::numeric)::text AS budget_usd,
               trim_scale(used_usd)::text AS used_usd,
               trim_scale(reserved_usd)::text AS reserved_usd,
               trim_scale(greatest(%(budget_usd)s::numeric - used_usd - reserved_usd, 0))::text
                   AS left_usd
          FROM spent
    ), shown AS (
        SELECT day, model, calls, ok, unusable, error, input_tokens, output_tokens,
               thinking_tokens, cached_tokens, total_tokens, cost_usd, calls_without_cost,
               round(p[1], 3) AS p50_ms,
               round(p[2], 3) AS p95_ms,
               round(max_ms::numeric, 3) AS max_ms
          FROM summed
    )
    SELECT json_build_object(
               'since', to_char(%(since)s AT TIME ZONE 'UTC', %(instant)s),
               'until', to_char(%(until)s AT TIME ZONE 'UTC', %(instant)s),
               'time_zone', 'Asia/Seoul',
               'budget', (SELECT row_to_json(budget) FROM budget),
               'items', coalesce(json_agg(shown ORDER BY day DESC, model)
                                 FILTER (WHERE day IS NOT NULL), '[]'),
               'total', (SELECT row_to_json(total)
                           FROM (SELECT calls, ok, unusable, error, input_tokens, output_tokens,
                                        thinking_tokens, cached_tokens, total_tokens, cost_usd,
                                        calls_without_cost, p50_ms, p95_ms, max_ms
                                   FROM shown
                                  WHERE day IS NULL) AS total))::text
      FROM shown
"""


class PgStatistics(JsonReader):
    async def jobs(self, *, since: datetime, until: datetime) -> bytes:
        """A window longer than PASSES_UPTO begins with a whole hour, and its percentiles are
        within 1 %; the answer says since when.
        """
        if until - since <= PASSES_UPTO:
            return await self._all(JOBS, {"since": since, "until": until})
        args = {
            "since": _hour_of(since),
            "until": until,
            "last_hour": _hour_of(until),
            "gamma": GAMMA,
            "least_ms": LEAST_MS,
        }
        return await self._all(JOBS_BY_HOUR, args)

    async def requests(self, *, since: datetime, until: datetime) -> bytes:
        """The window begins with a whole minute, one that reaches beyond MINUTES_KEPT with a
        whole hour; the answer says since when.
        """
        since = since.replace(second=0, microsecond=0)
        if until - since > MINUTES_KEPT - _HOUR:
            since = since.replace(minute=0)
        last_hour = _hour_of(until)
        first_hour = min(_hour_at_or_after(since), last_hour)
        args = {
            "since": since,
            "until": until,
            "first_hour": first_hour,
            "last_hour": last_hour,
            "gamma": GAMMA,
            "least_ms": LEAST_MS,
        }
        return await self._all(REQUESTS, args)

    async def model_calls(
        self, *, since: datetime, until: datetime, today: date, budget_usd: Decimal | None
    ) -> bytes:
        args = {"since": since, "until": until, "today": today, "budget_usd": budget_usd}
        return await self._all(MODEL_CALLS, args)


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _hour_at_or_after(at: datetime) -> datetime:
    hour = _hour_of(at)
    return hour if hour == at else hour + _HOUR
