"""Stored measurements: passes of jobs, and histograms of requests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from service.domain.latency import Sketch
from service.ports.store import JobRun, RequestSlot
from service.store.database.json_rows import recordset, storable
from service.store.database.pool import Pool
from service.store.tables.partitions import insert

MINUTE: Final = 1
HOUR: Final = 60
MOST: Final = 32_767  #: requests in one entry of `counts`; a further entry holds the rest

# A batch whose answer was lost is sent again. Stored runs are recognised by their key. Only new
# ones are added to their hours, in the order of the key as below.
ADD_JOB_RUNS = """
    WITH stored AS (
        INSERT INTO job_runs (
               run_id, job, started_at, finished_at, duration_ms, attempts, success, error, code)
        SELECT run_id, job, started_at, finished_at, duration_ms, attempts, error IS NULL, error,
               code
          FROM json_to_recordset(%(rows)s::json) AS run (
               run_id uuid, job text, started_at timestamptz, finished_at timestamptz,
               duration_ms double precision, attempts integer, error text, code text)
            ON CONFLICT (run_id, started_at) DO NOTHING
        RETURNING job, started_at, success, duration_ms
    ), filled AS (
        SELECT date_trunc('hour', started_at, 'UTC') AS hour, job, success,
               bucket_of(duration_ms) AS bucket, count(*) AS n, sum(duration_ms) AS sum_ms,
               max(duration_ms) AS max_ms
          FROM stored
         GROUP BY 1, 2, 3, 4
    )
    INSERT INTO job_hours AS kept (hour, job, success, count, sum_ms, max_ms, buckets, counts)
    SELECT hour, job, success, sum(n), sum(sum_ms), max(max_ms),
           array_agg(bucket ORDER BY bucket), array_agg(n::integer ORDER BY bucket)
      FROM filled
     GROUP BY hour, job, success
     ORDER BY hour, job, success
        ON CONFLICT (hour, job, success) DO UPDATE
       SET count = kept.count + EXCLUDED.count,
           sum_ms = kept.sum_ms + EXCLUDED.sum_ms,
           max_ms = greatest(kept.max_ms, EXCLUDED.max_ms),
           (buckets, counts) = (
               SELECT array_agg(bucket ORDER BY bucket), array_agg(n ORDER BY bucket)
                 FROM (SELECT bucket, sum(n)::integer AS n
                         FROM (SELECT unnest(kept.buckets), unnest(kept.counts)
                                UNION ALL
                               SELECT unnest(EXCLUDED.buckets), unnest(EXCLUDED.counts)
                              ) AS both_of_them (bucket, n)
                        GROUP BY bucket) AS merged)
"""

# Rows are locked in the order of the key: else two processes that add to the same minutes could
# deadlock.
ADD_REQUESTS = """
    INSERT INTO request_stats AS kept (
           minutes, slot, route, method, status_class, count, sum_ms, max_ms, buckets, counts)
    SELECT minutes, slot, route, method, status_class, count, sum_ms, max_ms, buckets, counts
      FROM json_to_recordset(%(rows)s::json) AS fresh (
           minutes smallint, slot timestamptz, route text, method text, status_class smallint,
           count bigint, sum_ms double precision, max_ms double precision,
           buckets smallint[], counts smallint[])
     ORDER BY minutes, slot, route, method, status_class
        ON CONFLICT (minutes, slot, route, method, status_class) DO UPDATE
       SET count = kept.count + EXCLUDED.count,
           sum_ms = kept.sum_ms + EXCLUDED.sum_ms,
           max_ms = greatest(kept.max_ms, EXCLUDED.max_ms),
           (buckets, counts) = (
               SELECT array_agg(bucket ORDER BY bucket),
                      array_agg(least(n - part * %(most)s, %(most)s)::smallint ORDER BY bucket)
                 FROM (SELECT bucket, sum(n) AS n
                         FROM (SELECT unnest(kept.buckets), unnest(kept.counts)
                                UNION ALL
                               SELECT unnest(EXCLUDED.buckets), unnest(EXCLUDED.counts)
                              ) AS both_of_them (bucket, n)
                        GROUP BY bucket) AS merged
                CROSS JOIN LATERAL generate_series(0, (n - 1) / %(most)s) AS part)
"""

DROP_MINUTES = """
    DELETE FROM request_stats
     WHERE minutes = 1
       AND slot < %(before)s
"""


class PgMetricRows:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_job_runs(self, runs: Sequence[JobRun]) -> None:
        args = {"rows": recordset(map(_job_row, runs))}
        starts = (run.started_at for run in runs)
        await insert(self._pool, ADD_JOB_RUNS, args, tables=("job_runs", "job_hours"), at=starts)

    async def add_requests(self, slots: Sequence[RequestSlot]) -> None:
        """Add all slots in one statement, or none.

        When the answer is lost after the commit, the batch is counted twice. A few seconds of
        requests do not justify a record of sent batches.
        """
        args = {"rows": recordset([*_minutes(slots), *_hours(slots)]), "most": MOST}
        minutes = (slot.minute for slot in slots)
        await insert(self._pool, ADD_REQUESTS, args, tables=("request_stats",), at=minutes)

    async def drop_minutes(self, *, before: datetime) -> None:
        async with self._pool.cursor() as cur:
            await cur.execute(DROP_MINUTES, {"before": before})


def _job_row(run: JobRun) -> Mapping[str, object]:
    return {
        "run_id": run.run_id,
        "job": run.job,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_ms": run.duration_ms,
        "attempts": run.attempts,
        "error": run.error,
        # The exchange's own word.
        "code": None if run.code is None else storable(run.code),
    }


_Key = tuple[datetime, str, str, int]


def _minutes(slots: Iterable[RequestSlot]) -> Iterable[Mapping[str, object]]:
    for slot in slots:
        key = (slot.minute, slot.route, slot.method, slot.status_class)
        yield _request_row(MINUTE, key, slot.sketch)


def _hours(slots: Iterable[RequestSlot]) -> Iterable[Mapping[str, object]]:
    hours: dict[_Key, Sketch] = {}
    for slot in slots:
        hour = slot.minute.replace(minute=0)
        key = (hour, slot.route, slot.method, slot.status_class)
        hours.setdefault(key, Sketch()).merge(slot.sketch)
    for key, sketch in hours.items():
        yield _request_row(HOUR, key, sketch)


def _request_row(minutes: int, key: _Key, sketch: Sketch) -> Mapping[str, object]:
    slot, route, method, status_class = key
    filled = list(_entries(sketch))
    return {
        "minutes": minutes,
        "slot": slot,
        "route": route,
        "method": method,
        "status_class": status_class,
        "count": sketch.count,
        "sum_ms": sketch.sum_ms,
        "max_ms": sketch.max_ms,
        "buckets": [bucket for bucket, _ in filled],
        "counts": [count for _, count in filled],
    }


def _entries(sketch: Sketch) -> Iterator[tuple[int, int]]:
    for bucket, count in sorted(sketch.buckets.items()):
        for left in range(count, 0, -MOST):
            yield bucket, min(left, MOST)
