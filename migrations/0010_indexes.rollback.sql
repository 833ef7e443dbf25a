CREATE INDEX decisions_created_at ON decisions (created_at DESC, id DESC);
CREATE INDEX trading_signals_ai_call_id ON trading_signals (ai_call_id);
DROP INDEX trading_signals_action_created_at;
