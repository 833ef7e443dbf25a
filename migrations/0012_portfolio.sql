-- What trading came to: each Korean day of each market, and what the account was worth each minute.

-- Added up in the transaction that books a fill; a test folds the fills again. Korean days, as in
-- `trader export`: that is what a tax report counts in.
CREATE TABLE daily_stats (
    -- A place in lists, of days that several markets have.
    id            bigint GENERATED ALWAYS AS IDENTITY,
    market        text           NOT NULL,
    day           date           NOT NULL,
    fills         bigint         NOT NULL CHECK (fills >= 0),
    bought_volume numeric(28, 8) NOT NULL CHECK (bought_volume >= 0),
    bought_funds  numeric        NOT NULL CHECK (bought_funds >= 0),
    sold_volume   numeric(28, 8) NOT NULL CHECK (sold_volume >= 0),
    sold_funds    numeric        NOT NULL CHECK (sold_funds >= 0),
    fees          numeric        NOT NULL CHECK (fees >= 0),
    realised_pnl  numeric        NOT NULL,
    -- Orders that sold, on the day of their first fill: more, or less, than they cost. A later fill
    -- may turn one into the other and is then added as -1, which a CHECK would refuse.
    wins          bigint         NOT NULL,
    losses        bigint         NOT NULL,
    PRIMARY KEY (market, day)
);

CREATE INDEX daily_stats_day ON daily_stats (day DESC, id DESC);

INSERT INTO daily_stats (
       market, day, fills, bought_volume, bought_funds, sold_volume, sold_funds, fees,
       realised_pnl, wins, losses)
SELECT market, day, sum(fills), sum(bought_volume), sum(bought_funds), sum(sold_volume),
       sum(sold_funds), sum(fees), sum(realised_pnl), sum(wins), sum(losses)
  FROM (SELECT market,
               (traded_at AT TIME ZONE 'Asia/Seoul')::date AS day,
               1 AS fills,
               CASE side WHEN 'BUY' THEN volume ELSE 0 END AS bought_volume,
               CASE side WHEN 'BUY' THEN funds ELSE 0 END AS bought_funds,
               CASE side WHEN 'SELL' THEN volume ELSE 0 END AS sold_volume,
               CASE side WHEN 'SELL' THEN funds ELSE 0 END AS sold_funds,
               fee AS fees,
               realised_pnl,
               0 AS wins,
               0 AS losses
          FROM fills
         UNION ALL
        SELECT market,
               ((array_agg(traded_at ORDER BY id))[1] AT TIME ZONE 'Asia/Seoul')::date,
               0, 0, 0, 0, 0, 0, 0,
               (sum(realised_pnl) > 0)::integer,
               (sum(realised_pnl) < 0)::integer
          FROM fills
         WHERE side = 'SELL'
         GROUP BY order_id, market) AS counted
 GROUP BY market, day
 ORDER BY day, market;

-- The account at a minute of the market's time, in one quote currency. Kept for ever.
CREATE TABLE equity_snapshots (
    quote          text        NOT NULL,
    at             timestamptz NOT NULL,
    -- As the exchange said, with what open orders lock.
    cash           numeric     NOT NULL CHECK (cash >= 0),
    -- Of the markets' coins on the account, at the newest collected price.
    coins          numeric     NOT NULL CHECK (coins >= 0),
    equity         numeric     NOT NULL CHECK (equity = cash + coins),
    -- As our books said: what positions have earned so far, and would at that price.
    realised_pnl   numeric     NOT NULL,
    unrealised_pnl numeric     NOT NULL,
    fees_paid      numeric     NOT NULL CHECK (fees_paid >= 0),
    PRIMARY KEY (quote, at)
) PARTITION BY RANGE (at);

-- The same by the hour, written with the minute: a year is 8,784 rows. What a drawdown needs of
-- the minutes in between is kept exactly, so that it is the same from either table.
CREATE TABLE equity_hours (
    quote          text        NOT NULL,
    hour           timestamptz NOT NULL,
    first_at       timestamptz NOT NULL,
    first_equity   numeric     NOT NULL,
    first_pnl      numeric     NOT NULL,
    low            numeric     NOT NULL,
    high           numeric     NOT NULL,
    -- Deepest fall from a high to a later low, both within the hour.
    drawdown_ratio numeric     NOT NULL CHECK (drawdown_ratio BETWEEN 0 AND 1),
    -- The newest minute, whole.
    newest_at      timestamptz NOT NULL,
    cash           numeric     NOT NULL,
    coins          numeric     NOT NULL,
    equity         numeric     NOT NULL CHECK (equity BETWEEN low AND high),
    realised_pnl   numeric     NOT NULL,
    unrealised_pnl numeric     NOT NULL,
    fees_paid      numeric     NOT NULL,
    PRIMARY KEY (quote, hour),
    CHECK (first_at <= newest_at AND first_equity BETWEEN low AND high)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
