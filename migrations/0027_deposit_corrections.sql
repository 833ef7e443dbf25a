-- Which deposit a correction takes back, whole or in part. Without it the correction's amount looked
-- like one that the account had yet to show, and a real withdrawal of that amount was not detected.
ALTER TABLE deposits
  ADD COLUMN corrects bigint REFERENCES deposits (id),
  ADD CHECK (corrects IS NULL OR (source = 'operator' AND seen_at IS NOT NULL));

CREATE INDEX deposits_corrects ON deposits (corrects) WHERE corrects IS NOT NULL;
