ALTER TABLE fills DROP COLUMN realised_pnl;
