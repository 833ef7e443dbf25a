-- The older version knows no such order: it would take it for one that may rest on the book.
UPDATE orders SET type = 'LIMIT' WHERE type = 'LIMIT_IOC';

ALTER TABLE orders
 DROP CONSTRAINT orders_type_check,
 DROP CONSTRAINT orders_check,
  ADD CONSTRAINT orders_type_check CHECK (type IN ('LIMIT', 'MARKET')),
  ADD CONSTRAINT orders_check CHECK ((type = 'LIMIT') = (price IS NOT NULL));
