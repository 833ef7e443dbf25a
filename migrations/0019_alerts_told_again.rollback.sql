-- A service of before does not know this reason.
UPDATE alerts SET reason = 'below_severity' WHERE reason = 'acknowledged';

ALTER TABLE alerts
    DROP CONSTRAINT alerts_reason_check,
    ADD CONSTRAINT alerts_reason_check CHECK (reason IN (
        'no_target', 'below_severity', 'summarised', 'problem_not_sent')),
    DROP COLUMN acknowledged_by,
    DROP COLUMN acknowledged_at,
    DROP COLUMN tell_again_at,
    DROP COLUMN told_again;
