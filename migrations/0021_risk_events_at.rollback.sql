DROP INDEX risk_events_event_at;
DROP INDEX risk_events_at;
