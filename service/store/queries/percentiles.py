"""Percentiles of sketches stored by the minute or the hour: the sketches are added up first."""

from typing import Final

# A percentile lies between two ranks. The values of both are found and interpolated, as
# percentile_cont does. Each value is within 1 % of the true one, and so is the interpolated one.
# Two `unnest` in one select list step through both arrays together, at half the cost of a lateral
# join. MATERIALIZED, since the planner may compute it again for each row that is joined to it.
_PERCENTILES: Final = """
    , spread AS (
        SELECT {keys}, bucket, sum(sum(n)) OVER (PARTITION BY {keys} ORDER BY bucket) AS upto
          FROM (SELECT {keys}, unnest(buckets) AS bucket, unnest(counts) AS n
                  FROM picked) AS filled
         GROUP BY {keys}, bucket
    ), found AS (
        SELECT {keys}, q, max_ms, rank - floor(rank) AS weight,
               min(bucket) FILTER (WHERE upto > floor(rank)) AS low,
               min(bucket) FILTER (WHERE upto > ceil(rank)) AS high
          FROM total
         CROSS JOIN unnest(ARRAY[0.5, 0.95, 0.99]) AS q
         CROSS JOIN LATERAL (SELECT q * (count - 1) AS rank) AS asked
          JOIN spread USING ({keys})
         GROUP BY {keys}, q, max_ms, rank
    ), valued AS MATERIALIZED (
        SELECT {keys},
               array_agg(
                   least(max_ms,
                         %(least_ms)s * 2 / (%(gamma)s + 1)
                         * (power(%(gamma)s, low::double precision) * (1 - weight)
                            + power(%(gamma)s, high::double precision) * weight))::numeric
                   ORDER BY q) AS p
          FROM found
         GROUP BY {keys}
    )
"""


def percentiles_by(*keys: str) -> str:
    """Return the WITH entries that end in `valued`: `keys` and `p`, the p50, p95 and p99 in ms.

    They follow two other entries. `picked` has `keys`, `buckets` and `counts`, the parts of
    sketches (domain/latency.py). `total` has `keys`, `count` and `max_ms`, one row a key. The
    statement's parameters include `gamma` and `least_ms` of the sketches.
    """
    return _PERCENTILES.format(keys=", ".join(keys))
