-- Stop-loss, take-profit and trailing stop: an order names the rule that made it, and a risk event
-- of the same statement says which price reached which limit.

ALTER TABLE orders
    ADD COLUMN rule text CHECK (rule IN ('STOP_LOSS', 'TRAILING_STOP', 'TAKE_PROFIT')),
    ADD CHECK (rule IS NULL OR (side = 'SELL' AND decision_id IS NULL));

ALTER TABLE risk_events
  DROP CONSTRAINT risk_events_event_check,
   ADD CONSTRAINT risk_events_event_check
       CHECK (event IN ('HALTED', 'RESUMED', 'REFUSED', 'LAPSED', 'EXIT'));
