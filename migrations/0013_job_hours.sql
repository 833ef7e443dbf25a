-- Passes of jobs by the hour, as histograms that add up: a month of them is as quick as a day.

-- The bucket of service/domain/latency.py that `ms` falls into; a test compares the two.
CREATE FUNCTION bucket_of(ms double precision) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT least(ceil(ln(greatest(ms, 0.001) / 0.001) / ln(1.01 / 0.99::double precision)),
                 1150)::smallint
$$;

-- Added up in the statement that writes the passes; a test adds them up again.
CREATE TABLE job_hours (
    -- Of the market's time, in which the passes began.
    hour    timestamptz      NOT NULL,
    job     text             NOT NULL,
    success boolean          NOT NULL,
    count   bigint           NOT NULL CHECK (count > 0),
    sum_ms  double precision NOT NULL CHECK (sum_ms >= 0),
    max_ms  double precision NOT NULL CHECK (max_ms >= 0),
    -- Non-empty buckets, and how many passes fell into each.
    buckets smallint[]       NOT NULL,
    counts  integer[]        NOT NULL,
    PRIMARY KEY (hour, job, success),
    CHECK (cardinality(buckets) = cardinality(counts))
) PARTITION BY RANGE (hour);

DO $$ BEGIN
    PERFORM add_month('job_hours', starts) FROM month_tables('job_runs');
END $$;
INSERT INTO job_hours (hour, job, success, count, sum_ms, max_ms, buckets, counts)
SELECT hour, job, success, sum(n), sum(sum_ms), max(max_ms),
       array_agg(bucket ORDER BY bucket), array_agg(n::integer ORDER BY bucket)
  FROM (SELECT date_trunc('hour', started_at, 'UTC') AS hour, job, success,
               bucket_of(duration_ms) AS bucket, count(*) AS n, sum(duration_ms) AS sum_ms,
               max(duration_ms) AS max_ms
          FROM job_runs
         GROUP BY 1, 2, 3, 4) AS filled
 GROUP BY hour, job, success;
