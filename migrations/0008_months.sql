-- What grows all the time becomes one table a month, so that old rows go by the month and at no
-- cost (ADR 0014). Months are UTC's, whatever time zone a session has. Blocks, because yoyo prints
-- what a SELECT answers.

-- Each month's table of `parent`; `starts` is in it, `ends` is not.
CREATE FUNCTION month_tables(parent regclass)
RETURNS TABLE (part regclass, starts timestamptz, ends timestamptz)
LANGUAGE sql STABLE
-- The bounds are read as text.
SET timezone TO 'UTC' SET datestyle TO 'ISO'
AS $$
    SELECT inhrelid::regclass,
           substring(bounds FROM 'FROM \(''([^'']+)''\)')::timestamptz,
           substring(bounds FROM 'TO \(''([^'']+)''\)')::timestamptz
      FROM pg_inherits
      JOIN pg_class ON pg_class.oid = inhrelid
     CROSS JOIN LATERAL pg_get_expr(relpartbound, pg_class.oid) AS bounds
     WHERE inhparent = parent
$$;

-- Make room for `at` and say whether there was none. Attached rather than created in its place:
-- that would wait for everybody who reads or writes, and hold up all who come after.
CREATE FUNCTION add_month(parent regclass, at timestamptz) RETURNS boolean
LANGUAGE plpgsql
SET timezone TO 'UTC' SET datestyle TO 'ISO'
AS $$
DECLARE
    first timestamptz := date_trunc('month', at);
    room  text;
    name  text;
BEGIN
    IF EXISTS (SELECT FROM month_tables(parent) WHERE starts <= at AND at < ends) THEN
        RETURN false;
    END IF;
    -- Of two processes the second one finds what the first one has made.
    PERFORM pg_advisory_xact_lock(7265146820302);
    IF EXISTS (SELECT FROM month_tables(parent) WHERE starts <= at AND at < ends) THEN
        RETURN false;
    END IF;
    SELECT nspname, relname || to_char(first, '_YYYY_MM')
      INTO room, name
      FROM pg_class
      JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = parent;
    -- Somebody may have taken that month out, to keep it: it is his now.
    WHILE to_regclass(format('%I.%I', room, name)) IS NOT NULL LOOP
        name := name || '_';
    END LOOP;
    EXECUTE format(
        'CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)'
        ' WITH (autovacuum_vacuum_scale_factor = 0.02,'
        '       autovacuum_vacuum_insert_scale_factor = 0.02)',
        room, name, parent);
    EXECUTE format(
        'ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
        parent, room, name, first, first + interval '1 month');
    RETURN true;
END
$$;

-- Drop the oldest month that was over at `before` and return its name; NULL, when there is none.
CREATE FUNCTION drop_month(parent regclass, before timestamptz) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    oldest text;
BEGIN
    PERFORM pg_advisory_xact_lock(7265146820302);
    SELECT part::text INTO oldest
      FROM month_tables(parent)
     WHERE ends <= before
     ORDER BY ends
     LIMIT 1;
    IF oldest IS NOT NULL THEN
        EXECUTE 'DROP TABLE ' || oldest;
    END IF;
    RETURN oldest;
END
$$;

-- --- prices -------------------------------------------------------------------------------------

-- Set aside and not renamed, so that keys and rules get their names anew.
CREATE UNLOGGED TABLE old_market_data AS TABLE market_data;
CREATE UNLOGGED TABLE old_market_data_id AS
    SELECT last_value, is_called FROM market_data_id_seq;
DROP TABLE market_data;

-- No identity column: PostgreSQL before 17 has none in such tables.
CREATE SEQUENCE market_data_id_seq;
CREATE TABLE market_data (
    id               bigint         NOT NULL DEFAULT nextval('market_data_id_seq'),
    market           text           NOT NULL,
    price            numeric(28, 8) NOT NULL CHECK (price > 0),
    high             numeric(28, 8) NOT NULL,
    low              numeric(28, 8) NOT NULL,
    volume_24h       numeric(28, 8) NOT NULL CHECK (volume_24h >= 0),
    change_24h_ratio numeric(18, 8) NOT NULL,
    traded_at        timestamptz    NOT NULL,
    collected_at     timestamptz    NOT NULL,
    -- Read from its end for the newest first: it is the only index, and serves every statement.
    PRIMARY KEY (market, collected_at, id)
) PARTITION BY RANGE (collected_at);
ALTER SEQUENCE market_data_id_seq OWNED BY market_data.id;
DO $$ BEGIN
    PERFORM setval('market_data_id_seq', last_value, is_called) FROM old_market_data_id;
END $$;

DO $$ BEGIN
    PERFORM add_month('market_data', month)
       FROM (SELECT DISTINCT date_trunc('month', collected_at, 'UTC') AS month
               FROM old_market_data) AS months;
END $$;
INSERT INTO market_data (
       id, market, price, high, low, volume_24h, change_24h_ratio, traded_at, collected_at)
SELECT id, market, price, high, low, volume_24h, change_24h_ratio, traded_at, collected_at
  FROM old_market_data;
DROP TABLE old_market_data, old_market_data_id;

-- --- passes of jobs -----------------------------------------------------------------------------

CREATE UNLOGGED TABLE old_job_runs AS TABLE job_runs;
CREATE UNLOGGED TABLE old_job_runs_id AS
    SELECT last_value, is_called FROM job_runs_id_seq;
DROP TABLE job_runs;

CREATE SEQUENCE job_runs_id_seq;
CREATE TABLE job_runs (
    id          bigint           NOT NULL DEFAULT nextval('job_runs_id_seq'),
    run_id      uuid             NOT NULL,
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
    -- A pass has one beginning, so this knows a repeated pass as well as `run_id` alone would.
    PRIMARY KEY (run_id, started_at),
    CHECK (success = (error IS NULL))
) PARTITION BY RANGE (started_at);
ALTER SEQUENCE job_runs_id_seq OWNED BY job_runs.id;
DO $$ BEGIN
    PERFORM setval('job_runs_id_seq', last_value, is_called) FROM old_job_runs_id;
END $$;

-- Covers what is counted and sorted: a day's percentiles are read from the index alone.
CREATE INDEX job_runs_job_started_at ON job_runs (job, started_at) INCLUDE (duration_ms, success);

DO $$ BEGIN
    PERFORM add_month('job_runs', month)
       FROM (SELECT DISTINCT date_trunc('month', started_at, 'UTC') AS month
               FROM old_job_runs) AS months;
END $$;
INSERT INTO job_runs (
       id, run_id, job, started_at, finished_at, duration_ms, attempts, success, error, code)
SELECT id, run_id, job, started_at, finished_at, duration_ms, attempts, success, error, code
  FROM old_job_runs;
DROP TABLE old_job_runs, old_job_runs_id;

-- --- request statistics -------------------------------------------------------------------------

CREATE UNLOGGED TABLE old_request_stats AS TABLE request_stats;
DROP TABLE request_stats;

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
) PARTITION BY RANGE (slot);

DO $$ BEGIN
    PERFORM add_month('request_stats', month)
       FROM (SELECT DISTINCT date_trunc('month', slot, 'UTC') AS month
               FROM old_request_stats) AS months;
END $$;
INSERT INTO request_stats (
       minutes, slot, route, method, status_class, count, sum_ms, max_ms, buckets, counts)
SELECT minutes, slot, route, method, status_class, count, sum_ms, max_ms, buckets, counts
  FROM old_request_stats;
DROP TABLE old_request_stats;
