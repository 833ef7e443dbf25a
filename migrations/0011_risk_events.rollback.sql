ALTER TABLE trading_state DROP COLUMN halted_by;
DROP TABLE risk_events;
