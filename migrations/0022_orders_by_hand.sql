-- Orders by hand: each carries the key of its caller, and any open order may be asked to end.

ALTER TABLE orders
    -- One order for ever: a repeated request finds it, after a restart too.
    ADD COLUMN idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    -- Asked for until the order is final; the exchange's answer to a cancel proves nothing.
    ADD COLUMN cancel_requested_at timestamptz,
    ADD COLUMN cancel_requested_by text CHECK (length(cancel_requested_by) BETWEEN 1 AND 200),
    ADD CHECK ((cancel_requested_at IS NULL) = (cancel_requested_by IS NULL));

CREATE UNIQUE INDEX orders_idempotency_key ON orders (idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- The list of the audit log reads it by time.
CREATE INDEX audit_log_at ON audit_log (at DESC, id DESC);
