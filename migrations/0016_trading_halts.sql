-- Every halt that stands or stood; the row of trading_state sums up those that stand.

CREATE TABLE trading_halts (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind     text        NOT NULL CHECK (kind IN ('REDUCING', 'HALTED')),
    -- NULL: all markets.
    market   text        CHECK (length(market) BETWEEN 1 AND 40),
    reason   text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
    actor    text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    since    timestamptz NOT NULL,
    detail   jsonb       NOT NULL DEFAULT '{}',
    ends     text        NOT NULL CHECK (ends IN ('operator', 'condition')),
    ended_at timestamptz,
    ended_by text        CHECK (length(ended_by) BETWEEN 1 AND 200),
    -- Only an operator ends a full halt.
    CHECK (kind = 'REDUCING' OR ends = 'operator'),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);

-- Each halt stands once. A stricter one for the same reason stands beside it.
CREATE UNIQUE INDEX trading_halts_standing
    ON trading_halts (reason, actor, kind, coalesce(market, ''))
 WHERE ended_at IS NULL;

ALTER TABLE trading_state
  DROP CONSTRAINT trading_state_state_check,
   ADD CONSTRAINT trading_state_state_check CHECK (state IN ('ACTIVE', 'REDUCING', 'HALTED')),
   ADD COLUMN reducing_markets text[] NOT NULL DEFAULT '{}',
   ADD COLUMN halted_markets   text[] NOT NULL DEFAULT '{}';

ALTER TABLE risk_events
   ADD COLUMN kind   text CHECK (kind IN ('REDUCING', 'HALTED')),
   ADD COLUMN market text CHECK (length(market) BETWEEN 1 AND 40);

-- A halt that stood before the upgrade stands after it. The clock's own one ends by itself as
-- before; purchases stay stopped until then.
UPDATE trading_state
   SET state = 'REDUCING'
 WHERE state = 'HALTED'
   AND reason = 'clock_skew'
   AND halted_by = 'system:clock';

INSERT INTO trading_halts (kind, reason, actor, since, ends)
SELECT state, coalesce(reason, 'unknown'), coalesce(halted_by, 'unknown'), since,
       CASE state WHEN 'REDUCING' THEN 'condition' ELSE 'operator' END
  FROM trading_state
 WHERE state <> 'ACTIVE';
