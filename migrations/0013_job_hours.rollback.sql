DROP TABLE job_hours;
DROP FUNCTION bucket_of(double precision);
