-- The ratio is Upbit's signed_change_rate: against the last close of the UTC day before, not against
-- the price 24 hours ago. Only the name changes, in every month's table.

ALTER TABLE market_data RENAME COLUMN change_24h_ratio TO change_since_close_ratio;
