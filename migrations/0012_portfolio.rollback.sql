DROP TABLE equity_hours;
DROP TABLE equity_snapshots;
DROP TABLE daily_stats;
