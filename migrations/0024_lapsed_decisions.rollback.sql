-- An older version knows no such row.
DELETE FROM risk_events WHERE event = 'LAPSED';

DROP INDEX risk_events_decision_id;
ALTER TABLE risk_events
  DROP COLUMN decision_id,
  DROP CONSTRAINT risk_events_event_check,
   ADD CONSTRAINT risk_events_event_check CHECK (event IN ('HALTED', 'RESUMED', 'REFUSED'));
