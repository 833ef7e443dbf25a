-- What the market did. Prices are asked for every few seconds; candles are the exchange's own.

CREATE TABLE market_data (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    market           text           NOT NULL,
    price            numeric(28, 8) NOT NULL CHECK (price > 0),
    high             numeric(28, 8) NOT NULL,
    low              numeric(28, 8) NOT NULL,
    volume_24h       numeric(28, 8) NOT NULL CHECK (volume_24h >= 0),
    change_24h_ratio numeric(18, 8) NOT NULL,
    traded_at        timestamptz    NOT NULL,
    collected_at     timestamptz    NOT NULL
);

CREATE INDEX market_data_market_collected_at ON market_data (market, collected_at DESC, id DESC);

CREATE TABLE candles (
    market    text           NOT NULL,
    timeframe text           NOT NULL
        CHECK (timeframe IN ('1m', '3m', '5m', '10m', '15m', '30m', '1h', '4h', '1d')),
    opened_at timestamptz    NOT NULL,
    open      numeric(28, 8) NOT NULL CHECK (open > 0),
    high      numeric(28, 8) NOT NULL,
    low       numeric(28, 8) NOT NULL CHECK (low > 0),
    close     numeric(28, 8) NOT NULL CHECK (close > 0),
    volume    numeric(28, 8) NOT NULL CHECK (volume >= 0),
    -- Money is price times volume: up to sixteen decimals, kept exactly (ADR 0003).
    funds     numeric        NOT NULL CHECK (funds >= 0),
    PRIMARY KEY (market, timeframe, opened_at),
    CHECK (low <= least(open, close) AND high >= greatest(open, close))
);
