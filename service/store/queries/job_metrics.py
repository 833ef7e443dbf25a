"""Statistics of jobs' passes in a window: exact for a short window, by the hour for a long one."""

from typing import Final

from service.store.queries.percentiles import percentiles_by

# A skip scan finds the jobs' names: one index probe a job. Each job's window is then one range of
# the index. A GROUP BY would read every row.
_EACH_JOB: Final = """
    WITH RECURSIVE known (job) AS (
        (SELECT job FROM job_runs ORDER BY job LIMIT 1)
         UNION ALL
        SELECT (SELECT job_runs.job
                  FROM job_runs
                 WHERE job_runs.job > known.job
                 ORDER BY job_runs.job
                 LIMIT 1)
          FROM known
         WHERE known.job IS NOT NULL
    )
"""

# Whole hours, and single passes after the last whole hour.
_HOURS: Final = """
    , picked AS (
        SELECT job, success, count, sum_ms, max_ms, buckets, counts
          FROM job_hours
         WHERE hour >= %(since)s AND hour < %(last_hour)s
         UNION ALL
        SELECT job, success, 1, duration_ms, duration_ms, ARRAY[bucket_of(duration_ms)], ARRAY[1]
          FROM known
         CROSS JOIN LATERAL (
                SELECT success, duration_ms
                  FROM job_runs
                 WHERE job_runs.job = known.job
                   AND started_at >= %(last_hour)s
                   AND started_at < %(until)s) AS pass
    ), total AS (
        SELECT job,
               sum(count) AS count,
               coalesce(sum(count) FILTER (WHERE success), 0) AS successes,
               max(max_ms) AS max_ms,
               sum(sum_ms) AS sum_ms
          FROM picked
         GROUP BY job
    )
"""

_ANSWER: Final = """
    SELECT json_build_object(
               'since', to_char(%(since)s AT TIME ZONE 'UTC', %(instant)s),
               'until', to_char(%(until)s AT TIME ZONE 'UTC', %(instant)s),
               'items', coalesce(json_agg(item ORDER BY known.job), '[]'))::text
      FROM known
"""

_SEEN_EXACTLY: Final = """
     CROSS JOIN LATERAL (
            SELECT count(*) AS count,
                   count(*) FILTER (WHERE success) AS successes,
                   percentile_cont(ARRAY[0.5, 0.95, 0.99])
                       WITHIN GROUP (ORDER BY duration_ms)::numeric[] AS p,
                   max(duration_ms) AS max_ms,
                   avg(duration_ms) AS mean_ms
              FROM job_runs
             WHERE job_runs.job = known.job
               AND started_at >= %(since)s
               AND started_at < %(until)s) AS seen
"""

_SEEN_BY_HOUR: Final = """
     CROSS JOIN LATERAL (
            SELECT coalesce(total.count, 0) AS count,
                   coalesce(total.successes, 0) AS successes,
                   valued.p,
                   total.max_ms,
                   total.sum_ms / total.count AS mean_ms
              FROM (SELECT) AS always
              LEFT JOIN total ON total.job = known.job
              LEFT JOIN valued ON valued.job = known.job) AS seen
"""

_SHOWN: Final = """
      LEFT JOIN LATERAL (
            SELECT started_at, finished_at, duration_ms, attempts, success, error, code
              FROM job_runs
             WHERE job_runs.job = known.job
             ORDER BY started_at DESC
             LIMIT 1) AS newest ON true
     CROSS JOIN LATERAL (
            SELECT to_char(newest.started_at AT TIME ZONE 'UTC', %(instant)s) AS started_at,
                   to_char(newest.finished_at AT TIME ZONE 'UTC', %(instant)s) AS finished_at,
                   newest.duration_ms,
                   newest.attempts,
                   newest.success,
                   newest.error,
                   newest.code) AS last
     CROSS JOIN LATERAL (
            SELECT known.job,
                   seen.count,
                   seen.successes,
                   seen.count - seen.successes AS failures,
                   round(seen.successes::numeric / nullif(seen.count, 0), 6) AS success_rate,
                   round(p[1], 3) AS p50_ms,
                   round(p[2], 3) AS p95_ms,
                   round(p[3], 3) AS p99_ms,
                   round(seen.max_ms::numeric, 3) AS max_ms,
                   round(seen.mean_ms::numeric, 3) AS mean_ms,
                   row_to_json(last) AS last) AS item
     WHERE known.job IS NOT NULL
"""

JOBS: Final = _EACH_JOB + _ANSWER + _SEEN_EXACTLY + _SHOWN
JOBS_BY_HOUR: Final = _EACH_JOB + _HOURS + percentiles_by("job") + _ANSWER + _SEEN_BY_HOUR + _SHOWN
