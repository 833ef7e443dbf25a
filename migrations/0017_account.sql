-- What the account holds, explained: by our fills, by orders of other programs, by deposits.

-- Where all of a currency was explained last. What moved it since is the difference of the sums.
CREATE TABLE account_baselines (
    currency text PRIMARY KEY CHECK (length(currency) BETWEEN 1 AND 40),
    amount   numeric     NOT NULL CHECK (amount >= 0),
    -- What all of our fills had moved by then, and all orders of other programs.
    booked   numeric     NOT NULL,
    external numeric     NOT NULL,
    at       timestamptz NOT NULL
);

-- Orders of the account that this service did not send, as the exchange's lists show them. They
-- are never touched; they explain what moved.
CREATE TABLE external_orders (
    exchange_uuid   text PRIMARY KEY,
    market          text        NOT NULL,
    side            text        NOT NULL CHECK (side IN ('BUY', 'SELL')),
    is_open         boolean     NOT NULL,
    executed_volume numeric     NOT NULL CHECK (executed_volume >= 0),
    executed_funds  numeric     NOT NULL CHECK (executed_funds >= 0),
    paid_fee        numeric     NOT NULL CHECK (paid_fee >= 0),
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);

CREATE INDEX external_orders_open ON external_orders (created_at) WHERE is_open;

-- Money and coins that came or went without a trade.
CREATE TABLE deposits (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    currency text        NOT NULL CHECK (length(currency) BETWEEN 1 AND 40),
    -- A withdrawal is negative.
    amount   numeric     NOT NULL CHECK (amount <> 0),
    at       timestamptz NOT NULL,
    source   text        NOT NULL CHECK (source IN ('detected', 'operator')),
    note     text        NOT NULL DEFAULT '' CHECK (length(note) <= 500),
    actor    text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    -- When the account showed it; an operator may tell of one before that.
    seen_at  timestamptz,
    CHECK (source = 'operator' OR seen_at IS NOT NULL)
);

CREATE INDEX deposits_at ON deposits (at DESC, id DESC);
CREATE INDEX deposits_unseen ON deposits (currency, amount) WHERE seen_at IS NULL;

-- Amounts that nothing explains, for the operator. A row goes when its currency agrees again.
CREATE TABLE account_differences (
    currency text PRIMARY KEY CHECK (length(currency) BETWEEN 1 AND 40),
    expected numeric     NOT NULL,
    actual   numeric     NOT NULL CHECK (actual >= 0),
    since    timestamptz NOT NULL
);

-- What all fills and all orders of other programs have moved. daily_stats is written in the
-- transaction of its fills, so its sums are those of all fills, exactly: it has a row a market and
-- day, where fills may be millions.
CREATE VIEW account_moves AS
SELECT currency, sum(booked) AS booked, sum(external) AS external
  FROM (SELECT split_part(market, '-', 2) AS currency,
               bought_volume - sold_volume AS booked,
               0 AS external
          FROM daily_stats
         UNION ALL
        SELECT split_part(market, '-', 1), sold_funds - bought_funds - fees, 0
          FROM daily_stats
         UNION ALL
        SELECT split_part(market, '-', 2), 0,
               CASE side WHEN 'BUY' THEN executed_volume ELSE -executed_volume END
          FROM external_orders
         UNION ALL
        SELECT split_part(market, '-', 1), 0,
               CASE side WHEN 'BUY' THEN -executed_funds ELSE executed_funds END - paid_fee
          FROM external_orders) AS moved
 GROUP BY currency;
