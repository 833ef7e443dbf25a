-- What each fill earned, kept where it was booked: a tax report and a day's result must not fold
-- a history of millions of fills again. Their sum is the position's realised_pnl.

ALTER TABLE fills ADD COLUMN realised_pnl numeric;

-- The fills that are there, folded as domain/positions.py folds them: by market, in the order
-- they were booked.
DO $$
DECLARE
    fill     record;
    market   text    := '';
    volume   numeric := 0;
    cost     numeric := 0;
    mine     numeric;
    proceeds numeric;
    sold     numeric;
BEGIN
    FOR fill IN SELECT * FROM fills ORDER BY fills.market, fills.id LOOP
        IF fill.market <> market THEN
            market := fill.market;
            volume := 0;
            cost := 0;
        END IF;
        IF fill.side = 'BUY' THEN
            volume := volume + fill.volume;
            cost := cost + fill.funds;
            proceeds := 0;
            sold := 0;
        ELSE
            mine := least(fill.volume, volume);
            proceeds := fill.funds;
            IF mine < fill.volume THEN
                proceeds := round(fill.funds * mine / fill.volume, 12);
            END IF;
            sold := cost;
            IF mine < volume THEN
                sold := least(cost, round(cost * mine / volume, 12));
            END IF;
            volume := volume - mine;
            cost := cost - sold;
        END IF;
        UPDATE fills SET realised_pnl = proceeds - sold - fill.fee WHERE id = fill.id;
    END LOOP;
END
$$;

ALTER TABLE fills ALTER COLUMN realised_pnl SET NOT NULL;
