-- Whether this database may trade, for which mode it was made, and who holds the trading lease.

CREATE TABLE trading_state (
    "only" boolean PRIMARY KEY DEFAULT true CHECK ("only"),
    -- Set at the first start. Play money and real money never share a database.
    mode  text CHECK (mode IN ('sandbox', 'paper', 'live')),
    state text        NOT NULL CHECK (state IN ('ACTIVE', 'HALTED')),
    reason text,
    since timestamptz NOT NULL
);

INSERT INTO trading_state (state, since) VALUES ('ACTIVE', now());

-- Real time, not the market's: a lease is between processes, whatever market they replay.
CREATE TABLE leader (
    name       text PRIMARY KEY,
    owner      text        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL
);
