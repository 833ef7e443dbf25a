DROP TABLE request_stats;
DROP TABLE job_runs;
