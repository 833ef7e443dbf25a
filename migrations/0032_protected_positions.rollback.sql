-- An older version knows no such row.
DELETE FROM risk_events WHERE event = 'DUST';

ALTER TABLE risk_events
  DROP CONSTRAINT risk_events_event_check,
   ADD CONSTRAINT risk_events_event_check
       CHECK (event IN ('HALTED', 'RESUMED', 'REFUSED', 'LAPSED', 'EXIT'));

DROP TABLE protected_positions;
