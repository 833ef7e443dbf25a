"""Rows with values as long as real ones: their sizes are what `benchmarks.retention` measures."""

from typing import Final

PRICES: Final = """
    INSERT INTO market_data (
           market, price, high, low, volume_24h, change_since_close_ratio, traded_at, collected_at)
    SELECT 'KRW-C' || market, price, round(price * 1.03), round(price * 0.97),
           round((random() * 9000)::numeric, 8), round((random() * 0.2 - 0.1)::numeric, 8),
           at - random() * interval '3 s', at
      FROM generate_series(%(since)s, %(until)s - %(every)s, %(every)s) AS at
     CROSS JOIN generate_series(1, %(markets)s) AS market
     CROSS JOIN LATERAL (
           SELECT round((100 + random() * 10 ^ (3 + market %% 6))::numeric, 2) AS price) AS drawn
"""
PASSES: Final = """
    INSERT INTO job_runs (
           run_id, job, started_at, finished_at, duration_ms, attempts, success)
    SELECT uuidv7(),
           CASE WHEN n %% 13 < 10 THEN 'send_alerts' WHEN n %% 13 < 12 THEN 'collect_market_data'
                ELSE 'sync_pending_orders' END,
           at, at, round((random() * 20)::numeric, 3), 1, true
      FROM generate_series(1, %(passes)s) AS n
     CROSS JOIN LATERAL (SELECT %(since)s + n * %(step)s AS at) AS moved
"""
CANDLES: Final = """
    INSERT INTO candles (market, timeframe, opened_at, open, high, low, close, volume, funds)
    SELECT 'KRW-C1', '1m', at, price, price + 3, price - 3, price + 1,
           round((random() * 9)::numeric, 8), round((random() * 9)::numeric * price, 8)
      FROM generate_series(%(since)s, %(until)s, interval '1 minute') AS at
     CROSS JOIN LATERAL (SELECT round((50000000 + random() * 10 ^ 8)::numeric) AS price) AS drawn
"""
ALERTS: Final = """
    INSERT INTO alerts (
           kind, key, severity, title, body, state, created_at, last_at, delivered_to, sent_at)
    SELECT 'NOTICE', 'job:' || n, 'warning', 'A job fails: collect_market_data',
           'ExchangeUnavailable after 4 attempts. The next pass is planned as usual.', 'SENT',
           at, at, ARRAY['1:slack'], at
      FROM generate_series(1, 10000) AS n
     CROSS JOIN LATERAL (SELECT %(since)s + n * interval '1 minute' AS at) AS moved
"""
