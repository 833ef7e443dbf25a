-- Fails while a decision has a recovered order beside another one: those rows cannot be told apart.
DROP INDEX orders_one_per_decision;
CREATE UNIQUE INDEX orders_one_per_decision ON orders (decision_id) WHERE status <> 'FAILED';

ALTER TABLE orders
    DROP COLUMN quarantine_detail,
    DROP COLUMN quarantine_reason,
    DROP COLUMN quarantined_at,
    DROP COLUMN origin;
