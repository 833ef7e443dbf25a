-- How the service itself has done: every pass of a job, and how long requests took.

CREATE TABLE job_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      uuid             NOT NULL UNIQUE,
    job         text             NOT NULL,
    -- The market's instant, like every other window of the API; in the sandbox it may run fast.
    started_at  timestamptz      NOT NULL,
    -- Real time, as in the log line of the same pass.
    finished_at timestamptz      NOT NULL,
    duration_ms double precision NOT NULL CHECK (duration_ms >= 0),
    attempts    integer          NOT NULL CHECK (attempts >= 1),
    success     boolean          NOT NULL,
    error       text,
    code        text,
    CHECK (success = (error IS NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

-- Covers what is counted and sorted: a day's percentiles are read from the index alone.
CREATE INDEX job_runs_job_started_at ON job_runs (job, started_at) INCLUDE (duration_ms, success);

-- Histograms that can be added up, each minute (`minutes` = 1) and each hour (60) of real time.
-- Windows are the hours in between and the minutes at both ends, so a month is as quick as a day.
CREATE TABLE request_stats (
    minutes      smallint         NOT NULL CHECK (minutes IN (1, 60)),
    slot         timestamptz      NOT NULL,
    route        text             NOT NULL,
    method       text             NOT NULL,
    status_class smallint         NOT NULL CHECK (status_class BETWEEN 1 AND 5),
    count        bigint           NOT NULL CHECK (count > 0),
    sum_ms       double precision NOT NULL CHECK (sum_ms >= 0),
    max_ms       double precision NOT NULL CHECK (max_ms >= 0),
    -- Non-empty buckets of service/domain/latency.py, and how many requests fell into each. For
    -- more than fit in two bytes a bucket is named again: room is what these rows are about.
    buckets      smallint[]       NOT NULL,
    counts       smallint[]       NOT NULL,
    PRIMARY KEY (minutes, slot, route, method, status_class),
    CHECK (cardinality(buckets) = cardinality(counts))
) WITH (
    -- The present minute's and hour's rows are written anew every few seconds: what they leave
    -- behind is to be used again before the table grows.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02
);
