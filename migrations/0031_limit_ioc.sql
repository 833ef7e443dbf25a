-- Entries are limit orders that never rest on the book: what it does not offer at once is cancelled.
-- The new constraint is wider, so no stored row breaks it; checking a year of orders takes moments.

ALTER TABLE orders
 DROP CONSTRAINT orders_type_check,
 DROP CONSTRAINT orders_check,
  ADD CONSTRAINT orders_type_check CHECK (type IN ('LIMIT', 'LIMIT_IOC', 'MARKET')),
  ADD CONSTRAINT orders_check CHECK ((type IN ('LIMIT', 'LIMIT_IOC')) = (price IS NOT NULL));
