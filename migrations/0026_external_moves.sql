-- What all orders of other programs have moved, by currency. Their orders were summed whole at each
-- look, which takes longer the more of them there are.
CREATE TABLE external_moves (
    currency text PRIMARY KEY CHECK (length(currency) BETWEEN 1 AND 40),
    amount   numeric NOT NULL
);

INSERT INTO external_moves (currency, amount)
SELECT currency, sum(amount)
  FROM external_orders
 CROSS JOIN LATERAL (
       VALUES (split_part(market, '-', 2),
               CASE side WHEN 'BUY' THEN executed_volume ELSE -executed_volume END),
              (split_part(market, '-', 1),
               CASE side WHEN 'BUY' THEN -executed_funds ELSE executed_funds END - paid_fee)
       ) AS moved (currency, amount)
 GROUP BY currency;

CREATE OR REPLACE VIEW account_moves AS
SELECT currency, sum(booked) AS booked, sum(external) AS external
  FROM (SELECT split_part(market, '-', 2) AS currency,
               bought_volume - sold_volume AS booked,
               0::numeric AS external
          FROM daily_stats
         UNION ALL
        SELECT split_part(market, '-', 1), sold_funds - bought_funds - fees, 0
          FROM daily_stats
         UNION ALL
        SELECT currency, 0, amount
          FROM external_moves) AS moved
 GROUP BY currency;
