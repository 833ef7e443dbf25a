ALTER TABLE market_data RENAME COLUMN change_since_close_ratio TO change_24h_ratio;
