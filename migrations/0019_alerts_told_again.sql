-- A problem that stands is told again until it is over or acknowledged.

ALTER TABLE alerts
    -- How often it became due again, and when it does next; real time, as next_attempt_at.
    ADD COLUMN told_again      integer NOT NULL DEFAULT 0 CHECK (told_again >= 0),
    ADD COLUMN tell_again_at   timestamptz,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text CHECK (length(acknowledged_by) BETWEEN 1 AND 200),
    ADD CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    ADD CHECK (tell_again_at IS NULL OR kind IN ('PROBLEM', 'NOTICE')),
    ADD CHECK (tell_again_at IS NULL OR recovered_at IS NULL AND acknowledged_at IS NULL),
    DROP CONSTRAINT alerts_reason_check,
    ADD CONSTRAINT alerts_reason_check CHECK (reason IN (
        'no_target', 'below_severity', 'summarised', 'problem_not_sent', 'acknowledged'));

CREATE INDEX alerts_tell_again ON alerts (tell_again_at) WHERE tell_again_at IS NOT NULL;

-- What stands already is told again too.
UPDATE alerts
   SET tell_again_at = clock_timestamp() + interval '15 minutes'
 WHERE kind = 'PROBLEM'
   AND recovered_at IS NULL;
