-- Signals of one action, newest first. SELL may be one in a thousand: without this index a page of
-- them is searched for in as many rows as they are rare.
CREATE INDEX trading_signals_action_created_at
    ON trading_signals (action, created_at DESC, id DESC);

-- No statement reads by these; each costs every signal and decision that is written.
DROP INDEX trading_signals_ai_call_id;
DROP INDEX decisions_created_at;
