-- What the model was asked, what it proposed, what the rules made of it. Written once, never edited.

CREATE TABLE ai_calls (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    purpose         text             NOT NULL,
    model           text             NOT NULL,
    started_at      timestamptz      NOT NULL,
    duration_ms     double precision NOT NULL CHECK (duration_ms >= 0),
    outcome         text             NOT NULL CHECK (outcome IN ('ok', 'unusable', 'error')),
    why             text,
    input_tokens    integer CHECK (input_tokens >= 0),
    output_tokens   integer CHECK (output_tokens >= 0),
    thinking_tokens integer CHECK (thinking_tokens >= 0),
    cached_tokens   integer CHECK (cached_tokens >= 0),
    -- NULL: no price is known for the model, or the answer carried no counts.
    cost_usd        numeric CHECK (cost_usd >= 0)
);

CREATE INDEX ai_calls_started_at ON ai_calls (started_at DESC, id DESC);

CREATE TABLE trading_signals (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    market         text           NOT NULL,
    action         text           NOT NULL CHECK (action IN ('BUY', 'SELL', 'HOLD')),
    confidence     numeric(5, 4)  NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    reasoning      text           NOT NULL,
    model          text           NOT NULL,
    price          numeric(28, 8) NOT NULL CHECK (price > 0),
    -- A soft reference: prices are thinned out long before signals are (ADR 0003).
    market_data_id bigint,
    ai_call_id     bigint         NOT NULL REFERENCES ai_calls (id),
    trigger        text           NOT NULL CHECK (trigger IN ('schedule', 'manual')),
    facts          jsonb          NOT NULL,
    created_at     timestamptz    NOT NULL
);

CREATE INDEX trading_signals_created_at ON trading_signals (created_at DESC, id DESC);
CREATE INDEX trading_signals_market_created_at
    ON trading_signals (market, created_at DESC, id DESC);
CREATE INDEX trading_signals_market_data_id ON trading_signals (market_data_id);
CREATE INDEX trading_signals_ai_call_id ON trading_signals (ai_call_id);

CREATE TABLE decisions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    signal_id  bigint      NOT NULL UNIQUE REFERENCES trading_signals (id),
    verdict    text        NOT NULL CHECK (verdict IN ('ALLOWED', 'REFUSED', 'HELD')),
    reason     text,
    detail     text,
    checks     jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK ((verdict = 'REFUSED') = (reason IS NOT NULL))
);

CREATE INDEX decisions_created_at ON decisions (created_at DESC, id DESC);
