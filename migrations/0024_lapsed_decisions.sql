-- An allowed decision has an order, or one risk event that says why it will have none. The event's
-- decision becomes a column, so that both can be counted.

ALTER TABLE risk_events
  DROP CONSTRAINT risk_events_event_check,
   ADD CONSTRAINT risk_events_event_check
       CHECK (event IN ('HALTED', 'RESUMED', 'REFUSED', 'LAPSED')),
   ADD COLUMN decision_id bigint REFERENCES decisions (id);

-- An insert whose answer was lost may have been refused twice: the first row keeps the decision.
UPDATE risk_events
   SET decision_id = first.decision_id
  FROM (SELECT DISTINCT ON (detail ->> 'decision_id')
               id, (detail ->> 'decision_id')::bigint AS decision_id
          FROM risk_events
         WHERE event = 'REFUSED'
           AND detail ->> 'decision_id' IS NOT NULL
         ORDER BY detail ->> 'decision_id', id) AS first
 WHERE risk_events.id = first.id;

CREATE UNIQUE INDEX risk_events_decision_id
    ON risk_events (decision_id) WHERE decision_id IS NOT NULL;
