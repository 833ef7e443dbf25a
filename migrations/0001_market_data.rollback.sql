DROP TABLE candles;
DROP TABLE market_data;
