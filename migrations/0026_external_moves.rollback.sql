CREATE OR REPLACE VIEW account_moves AS
SELECT currency, sum(booked) AS booked, sum(external) AS external
  FROM (SELECT split_part(market, '-', 2) AS currency,
               bought_volume - sold_volume AS booked,
               0 AS external
          FROM daily_stats
         UNION ALL
        SELECT split_part(market, '-', 1), sold_funds - bought_funds - fees, 0
          FROM daily_stats
         UNION ALL
        SELECT split_part(market, '-', 2), 0,
               CASE side WHEN 'BUY' THEN executed_volume ELSE -executed_volume END
          FROM external_orders
         UNION ALL
        SELECT split_part(market, '-', 1), 0,
               CASE side WHEN 'BUY' THEN -executed_funds ELSE executed_funds END - paid_fee
          FROM external_orders) AS moved
 GROUP BY currency;

DROP TABLE external_moves;
