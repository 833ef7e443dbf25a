DROP TABLE decisions;
DROP TABLE trading_signals;
DROP TABLE ai_calls;
