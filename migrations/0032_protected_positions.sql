-- The highest price since a position was opened is more than its minutes tell: those before the
-- first whole one, and those that no candle has. An exit that has begun outlives a restart.

CREATE TABLE protected_positions (
    market     text PRIMARY KEY CHECK (length(market) BETWEEN 1 AND 40),
    opened_at  timestamptz NOT NULL,
    -- An average price has as many decimals as its quotient.
    highest    numeric     NOT NULL CHECK (highest > 0),
    rule       text        CHECK (rule IN ('STOP_LOSS', 'TRAILING_STOP', 'TAKE_PROFIT')),
    exit_price numeric     CHECK (exit_price > 0),
    exit_limit numeric     CHECK (exit_limit > 0),
    is_dust    boolean     NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (num_nulls(rule, exit_price, exit_limit) IN (0, 3))
);

ALTER TABLE risk_events
  DROP CONSTRAINT risk_events_event_check,
   ADD CONSTRAINT risk_events_event_check
       CHECK (event IN ('HALTED', 'RESUMED', 'REFUSED', 'LAPSED', 'EXIT', 'DUST'));
