DROP INDEX audit_log_at;
DROP INDEX orders_idempotency_key;

ALTER TABLE orders
    DROP COLUMN cancel_requested_by,
    DROP COLUMN cancel_requested_at,
    DROP COLUMN idempotency_key;
