DROP INDEX deposits_corrects;
ALTER TABLE deposits DROP COLUMN corrects;
