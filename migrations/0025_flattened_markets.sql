-- A flattening that was accepted is carried on by the next process that trades.

CREATE TABLE flattened_markets (
    market       text        PRIMARY KEY CHECK (length(market) BETWEEN 1 AND 40),
    status       text        NOT NULL CHECK (status IN (
        'WAITING', 'CANCELLING', 'SELLING', 'FLAT', 'DUST', 'STUCK', 'STOPPED')),
    detail       text,
    -- Sales that failed.
    failures     integer     NOT NULL DEFAULT 0 CHECK (failures >= 0),
    requested_by text        NOT NULL CHECK (length(requested_by) BETWEEN 1 AND 200),
    -- The market's instants, as in trading_halts.
    requested_at timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    CHECK ((ended_at IS NOT NULL) = (status IN ('FLAT', 'DUST', 'STUCK', 'STOPPED')))
);
