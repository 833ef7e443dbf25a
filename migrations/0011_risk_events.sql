-- What stopped trading and what let it go on, each with the change of state it explains.

CREATE TABLE risk_events (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The market's instant, as in trading_state.
    at     timestamptz NOT NULL,
    event  text        NOT NULL CHECK (event IN ('HALTED', 'RESUMED')),
    reason text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 200),
    -- Who did it: a rule of ours (system:clock), or a caller by name.
    actor  text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    detail jsonb       NOT NULL DEFAULT '{}'
);

-- Only who halted trading lets it go on by itself; everybody else's halt waits for a person.
ALTER TABLE trading_state ADD COLUMN halted_by text;
