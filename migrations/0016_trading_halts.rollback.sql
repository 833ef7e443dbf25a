-- A service of before knows one kind of halt, for all markets: what stands in any way stops all.
UPDATE trading_state
   SET state = 'HALTED',
       reason = coalesce(reason, 'market_halts'),
       halted_by = coalesce(halted_by, 'unknown')
 WHERE state = 'REDUCING'
    OR reducing_markets <> '{}'
    OR halted_markets <> '{}';

ALTER TABLE risk_events
 DROP COLUMN market,
 DROP COLUMN kind;

ALTER TABLE trading_state
 DROP COLUMN halted_markets,
 DROP COLUMN reducing_markets,
 DROP CONSTRAINT trading_state_state_check,
  ADD CONSTRAINT trading_state_state_check CHECK (state IN ('ACTIVE', 'HALTED'));

DROP TABLE trading_halts;
