DROP VIEW account_moves;
DROP TABLE account_differences;
DROP TABLE deposits;
DROP TABLE external_orders;
DROP TABLE account_baselines;
