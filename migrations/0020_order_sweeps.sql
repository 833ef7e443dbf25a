-- Up to when the exchange's orders were compared with ours. After a backup was restored it is the
-- backup's instant, and all that came later is compared again.
CREATE TABLE order_sweeps (
    "only"      boolean PRIMARY KEY DEFAULT true CHECK ("only"),
    swept_until timestamptz NOT NULL
);

-- A deposit that is told twice is one.
CREATE UNIQUE INDEX deposits_told ON deposits (currency, amount, at) WHERE source = 'operator';
