CREATE UNLOGGED TABLE old_market_data AS TABLE market_data;
CREATE UNLOGGED TABLE old_market_data_id AS
    SELECT last_value, is_called FROM market_data_id_seq;
DROP TABLE market_data;

CREATE TABLE market_data (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    market           text           NOT NULL,
    price            numeric(28, 8) NOT NULL CHECK (price > 0),
    high             numeric(28, 8) NOT NULL,
    low              numeric(28, 8) NOT NULL,
    volume_24h       numeric(28, 8) NOT NULL CHECK (volume_24h >= 0),
    change_24h_ratio numeric(18, 8) NOT NULL,
    traded_at        timestamptz    NOT NULL,
    collected_at     timestamptz    NOT NULL
);
INSERT INTO market_data (
       id, market, price, high, low, volume_24h, change_24h_ratio, traded_at, collected_at)
       OVERRIDING SYSTEM VALUE
SELECT id, market, price, high, low, volume_24h, change_24h_ratio, traded_at, collected_at
  FROM old_market_data;
DO $$ BEGIN
    PERFORM setval('market_data_id_seq', last_value, is_called) FROM old_market_data_id;
END $$;
DROP TABLE old_market_data, old_market_data_id;
CREATE INDEX market_data_market_collected_at ON market_data (market, collected_at DESC, id DESC);

CREATE UNLOGGED TABLE old_job_runs AS TABLE job_runs;
CREATE UNLOGGED TABLE old_job_runs_id AS
    SELECT last_value, is_called FROM job_runs_id_seq;
DROP TABLE job_runs;

CREATE TABLE job_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      uuid             NOT NULL UNIQUE,
    job         text             NOT NULL,
    started_at  timestamptz      NOT NULL,
    finished_at timestamptz      NOT NULL,
    duration_ms double precision NOT NULL CHECK (duration_ms >= 0),
    attempts    integer          NOT NULL CHECK (attempts >= 1),
    success     boolean          NOT NULL,
    error       text,
    code        text,
    CHECK (success = (error IS NULL))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);
INSERT INTO job_runs (
       id, run_id, job, started_at, finished_at, duration_ms, attempts, success, error, code)
       OVERRIDING SYSTEM VALUE
SELECT id, run_id, job, started_at, finished_at, duration_ms, attempts, success, error, code
  FROM old_job_runs;
DO $$ BEGIN
    PERFORM setval('job_runs_id_seq', last_value, is_called) FROM old_job_runs_id;
END $$;
DROP TABLE old_job_runs, old_job_runs_id;
CREATE INDEX job_runs_job_started_at ON job_runs (job, started_at) INCLUDE (duration_ms, success);

CREATE UNLOGGED TABLE old_request_stats AS TABLE request_stats;
DROP TABLE request_stats;

CREATE TABLE request_stats (
    minutes      smallint         NOT NULL CHECK (minutes IN (1, 60)),
    slot         timestamptz      NOT NULL,
    route        text             NOT NULL,
    method       text             NOT NULL,
    status_class smallint         NOT NULL CHECK (status_class BETWEEN 1 AND 5),
    count        bigint           NOT NULL CHECK (count > 0),
    sum_ms       double precision NOT NULL CHECK (sum_ms >= 0),
    max_ms       double precision NOT NULL CHECK (max_ms >= 0),
    buckets      smallint[]       NOT NULL,
    counts       smallint[]       NOT NULL,
    PRIMARY KEY (minutes, slot, route, method, status_class),
    CHECK (cardinality(buckets) = cardinality(counts))
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02
);
INSERT INTO request_stats (
       minutes, slot, route, method, status_class, count, sum_ms, max_ms, buckets, counts)
SELECT minutes, slot, route, method, status_class, count, sum_ms, max_ms, buckets, counts
  FROM old_request_stats;
DROP TABLE old_request_stats;

DROP FUNCTION drop_month(regclass, timestamptz);
DROP FUNCTION add_month(regclass, timestamptz);
DROP FUNCTION month_tables(regclass);
