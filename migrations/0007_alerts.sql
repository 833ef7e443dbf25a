-- What a person has to know: written with the event it tells of, sent afterwards.
--
-- created_at, last_at and recovered_at are the market's instants, as those of the events are. All
-- other instants are the database's own clock, real time: neither people nor networks run at the
-- market's speed.

CREATE TABLE alerts (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- PROBLEM lasts until it is over, NOTICE is over as soon as it is told.
    kind            text        NOT NULL CHECK (kind IN ('PROBLEM', 'NOTICE', 'RECOVERY', 'SUMMARY')),
    key             text        NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    severity        text        NOT NULL
        CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    title           text        NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    body            text        NOT NULL CHECK (length(body) <= 2000),
    state           text        NOT NULL
        CHECK (state IN ('PENDING', 'SENDING', 'SENT', 'FAILED', 'SUPPRESSED')),
    reason          text
        CHECK (reason IN ('no_target', 'below_severity', 'summarised', 'problem_not_sent')),
    occurrences     integer     NOT NULL DEFAULT 1 CHECK (occurrences > 0),
    created_at      timestamptz NOT NULL,
    last_at         timestamptz NOT NULL,
    recovered_at    timestamptz,
    -- Of a RECOVERY the problem that is over; of any other the SUMMARY that told of it.
    about           bigint REFERENCES alerts (id) ON DELETE CASCADE,
    summary         bigint REFERENCES alerts (id) ON DELETE SET NULL,
    queued_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    begun_at        timestamptz,
    -- Of a PENDING row when it is due; of a SENDING one when its sender is taken for dead.
    next_attempt_at timestamptz,
    -- Targets by name (docs/alerts.md), never by address: addresses hold secrets.
    delivered_to    text[]      NOT NULL DEFAULT '{}',
    told_at         timestamptz,
    sent_at         timestamptz,
    last_error      text CHECK (length(last_error) <= 100),
    CHECK ((state IN ('PENDING', 'SENDING')) = (next_attempt_at IS NOT NULL)),
    CHECK ((state = 'SUPPRESSED') = (reason IS NOT NULL)),
    CHECK ((kind = 'RECOVERY') = (about IS NOT NULL)),
    CHECK (recovered_at IS NULL OR kind = 'PROBLEM')
);

-- A problem that goes on is one row, whoever sees it again.
CREATE UNIQUE INDEX alerts_open_problem ON alerts (key)
    WHERE kind = 'PROBLEM' AND recovered_at IS NULL;
CREATE INDEX alerts_key ON alerts (key, id DESC);
CREATE INDEX alerts_due ON alerts (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX alerts_begun_at ON alerts (begun_at) WHERE begun_at IS NOT NULL;
CREATE INDEX alerts_about ON alerts (about) WHERE about IS NOT NULL;
CREATE INDEX alerts_summary ON alerts (summary) WHERE summary IS NOT NULL;
CREATE INDEX alerts_created_at ON alerts (created_at DESC, id DESC);
