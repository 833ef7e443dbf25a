-- What the model's calls of a Korean day cost. `reserved_usd` is the worst case of calls whose end
-- is not stored yet: it is written before the call, and a crash leaves it in place (ADR 0037).
CREATE TABLE ai_spending (
    day          date    PRIMARY KEY,
    used_usd     numeric NOT NULL CHECK (used_usd >= 0),
    reserved_usd numeric NOT NULL CHECK (reserved_usd >= 0)
);

-- The day of the upgrade counts from its beginning.
INSERT INTO ai_spending (day, used_usd, reserved_usd)
SELECT (started_at AT TIME ZONE 'Asia/Seoul')::date, sum(cost_usd), 0
  FROM ai_calls
 WHERE cost_usd IS NOT NULL
   AND started_at >= now() - interval '2 days'
 GROUP BY 1;
