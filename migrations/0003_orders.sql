-- One row is one attempt with one identifier, sent to the exchange at most once.

CREATE TABLE orders (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identifier      text           NOT NULL UNIQUE CHECK (length(identifier) <= 64),
    exchange_uuid   text UNIQUE,
    decision_id     bigint REFERENCES decisions (id),
    market          text           NOT NULL,
    side            text           NOT NULL CHECK (side IN ('BUY', 'SELL')),
    type            text           NOT NULL CHECK (type IN ('LIMIT', 'MARKET')),
    price           numeric(28, 8) CHECK (price > 0),
    volume          numeric(28, 8) CHECK (volume > 0),
    funds           numeric(28, 8) CHECK (funds > 0),
    status          text           NOT NULL CHECK (status IN (
        'PENDING', 'SUBMITTED', 'PARTIALLY_FILLED', 'EXECUTED', 'CANCELLED', 'FAILED', 'UNKNOWN'
    )),
    reason          text,
    -- Sums of this order's fills, kept exactly: a fee has more than eight decimals (ADR 0003).
    executed_volume numeric(28, 8) NOT NULL DEFAULT 0 CHECK (executed_volume >= 0),
    executed_funds  numeric        NOT NULL DEFAULT 0 CHECK (executed_funds >= 0),
    paid_fee        numeric        NOT NULL DEFAULT 0 CHECK (paid_fee >= 0),
    leader_epoch    bigint         NOT NULL,
    created_at      timestamptz    NOT NULL,
    sent_at         timestamptz    NOT NULL,
    updated_at      timestamptz    NOT NULL,
    CHECK ((type = 'LIMIT') = (price IS NOT NULL)),
    CHECK ((type = 'MARKET' AND side = 'BUY') = (funds IS NOT NULL)),
    CHECK ((type = 'MARKET' AND side = 'BUY') = (volume IS NULL))
);

CREATE INDEX orders_status_created_at ON orders (status, created_at DESC, id DESC);
CREATE INDEX orders_created_at ON orders (created_at DESC, id DESC);
CREATE INDEX orders_market_created_at ON orders (market, created_at DESC, id DESC);
CREATE INDEX orders_open ON orders (market, created_at)
    WHERE status IN ('PENDING', 'SUBMITTED', 'PARTIALLY_FILLED', 'UNKNOWN');
-- A decision has at most one order that is not FAILED: the second one would be a duplicate.
CREATE UNIQUE INDEX orders_one_per_decision ON orders (decision_id) WHERE status <> 'FAILED';
-- A signal is shown with its order, the failed ones too.
CREATE INDEX orders_decision_id ON orders (decision_id);

CREATE TABLE fills (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trade_uuid  text           NOT NULL UNIQUE,
    order_id    bigint         NOT NULL REFERENCES orders (id),
    market      text           NOT NULL,
    side        text           NOT NULL CHECK (side IN ('BUY', 'SELL')),
    price       numeric(28, 8) NOT NULL CHECK (price > 0),
    volume      numeric(28, 8) NOT NULL CHECK (volume > 0),
    funds       numeric        NOT NULL CHECK (funds > 0),
    fee         numeric        NOT NULL CHECK (fee >= 0),
    traded_at   timestamptz    NOT NULL,
    recorded_at timestamptz    NOT NULL
);

CREATE INDEX fills_order_id ON fills (order_id, id);
CREATE INDEX fills_traded_at ON fills (traded_at DESC, id DESC);
CREATE INDEX fills_market_traded_at ON fills (market, traded_at DESC, id DESC);

-- Folded from fills alone, in the transaction that books them; a test folds them again.
CREATE TABLE positions (
    market       text PRIMARY KEY,
    volume       numeric(28, 8) NOT NULL CHECK (volume >= 0),
    cost         numeric        NOT NULL CHECK (cost >= 0),
    realised_pnl numeric        NOT NULL,
    fees_paid    numeric        NOT NULL CHECK (fees_paid >= 0),
    opened_at    timestamptz,
    updated_at   timestamptz    NOT NULL,
    CHECK ((volume = 0) = (opened_at IS NULL))
);
