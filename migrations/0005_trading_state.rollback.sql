DROP TABLE leader;
DROP TABLE trading_state;
