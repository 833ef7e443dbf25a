-- The list of risk events is read by time.

CREATE INDEX risk_events_at ON risk_events (at DESC, id DESC);
CREATE INDEX risk_events_event_at ON risk_events (event, at DESC, id DESC);
