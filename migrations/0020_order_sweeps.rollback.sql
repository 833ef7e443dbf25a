DROP INDEX deposits_told;
DROP TABLE order_sweeps;
