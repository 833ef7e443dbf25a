-- Orders that were found at the exchange, and orders that are put aside.

ALTER TABLE orders
    -- RECOVERED: found at the exchange without a row, or with one that said FAILED.
    ADD COLUMN origin text NOT NULL DEFAULT 'SERVICE' CHECK (origin IN ('SERVICE', 'RECOVERED')),
    -- An answer about this order cannot be true, or is not complete after many looks.
    ADD COLUMN quarantined_at timestamptz,
    ADD COLUMN quarantine_reason text,
    -- Numbers for the operator: what was asked and what the exchange says.
    ADD COLUMN quarantine_detail jsonb,
    ADD CHECK ((quarantined_at IS NULL) = (quarantine_reason IS NULL)),
    ADD CHECK (quarantined_at IS NULL OR status = 'UNKNOWN');

-- A recovered order is a fact of the exchange: the second one of its decision must have its row.
DROP INDEX orders_one_per_decision;
CREATE UNIQUE INDEX orders_one_per_decision
    ON orders (decision_id) WHERE status <> 'FAILED' AND origin = 'SERVICE';
