-- An order that the rules refuse at the moment of its insert leaves a row of its own.

ALTER TABLE risk_events
  DROP CONSTRAINT risk_events_event_check,
   ADD CONSTRAINT risk_events_event_check CHECK (event IN ('HALTED', 'RESUMED', 'REFUSED'));
