DROP TABLE flattened_markets;
