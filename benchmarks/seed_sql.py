"""The statements that fill each table of the history with rows `first` to `last`.

Rows are generated inside PostgreSQL; `until` is the instant of the last one. Row n of one table
refers to row n of the next, so no statement has to look anything up.
"""

from typing import Final

PRICES: Final = """
    INSERT INTO market_data (
           market, price, high, low, volume_24h, change_since_close_ratio, traded_at, collected_at)
    SELECT 'KRW-C' || n %% 20, 100000 + n %% 977, 101000, 99000, n %% 9973, 0.0123, at, at
      FROM generate_series(%(first)s, %(last)s) AS n
     CROSS JOIN LATERAL (
           SELECT %(until)s - (%(last)s - n) / 20 * interval '10 seconds' AS at) AS moved
"""
CANDLES: Final = """
    INSERT INTO candles (market, timeframe, opened_at, open, high, low, close, volume, funds)
    SELECT 'KRW-C' || n %% 20, '1m', %(until)s - n / 20 * interval '1 minute',
           100000 + n %% 977, 101000, 99000, 100000 + n %% 991, n %% 97, n %% 9973
      FROM generate_series(%(first)s, %(last)s) AS n
"""
CALLS: Final = """
    INSERT INTO ai_calls (
           purpose, model, started_at, duration_ms, outcome, input_tokens, output_tokens,
           thinking_tokens, cached_tokens, cost_usd)
    SELECT 'signal', 'gemini-3.8-flash', %(until)s - (%(last)s - n) * interval '3 seconds',
           800 + n %% 977, 'ok', 900, 100, 50, 0, 0.000123456
      FROM generate_series(%(first)s, %(last)s) AS n
"""
# One signal in 150 sells. That is rare enough to need an index, and ten thousand rows still have a
# page of them.
SIGNALS: Final = """
    INSERT INTO trading_signals (
           market, action, confidence, reasoning, model, price, market_data_id, ai_call_id,
           trigger, facts, created_at)
    SELECT 'KRW-C' || n %% 20,
           CASE WHEN n %% 150 = 1 THEN 'SELL' WHEN n %% 3 = 0 THEN 'BUY' ELSE 'HOLD' END,
           0.7, 'Momentum over the last hour supports the move; volume confirms it.',
           'gemini-3.8-flash', 100000 + n %% 977, n, n, 'schedule',
           '{"price": "100000", "change_1h_pct": "0.42"}',
           %(until)s - (%(last)s - n) * interval '3 seconds'
      FROM generate_series(%(first)s, %(last)s) AS n
"""
DECISIONS: Final = """
    INSERT INTO decisions (signal_id, verdict, reason, detail, checks, created_at)
    SELECT n, 'ALLOWED', NULL, NULL,
           '[{"rule": "confidence", "passed": true, "detail": "confidence 0.7"}]',
           %(until)s - (%(last)s - n) * interval '3 seconds'
      FROM generate_series(%(first)s, %(last)s) AS n
"""
ORDERS: Final = """
    INSERT INTO orders (
           identifier, exchange_uuid, decision_id, market, side, type, volume, funds, status,
           executed_volume, executed_funds, paid_fee, leader_epoch, created_at, sent_at, updated_at)
    SELECT 'uat-' || lpad(n::text, 12, '0'), lpad(n::text, 32, '0'), n, 'KRW-C' || n %% 20,
           CASE WHEN n %% 150 = 1 THEN 'SELL' ELSE 'BUY' END, 'MARKET',
           CASE WHEN n %% 150 = 1 THEN 1 END,
           CASE WHEN n %% 150 = 1 THEN NULL ELSE 100000 END,
           CASE WHEN n > %(last)s - 5 THEN 'SUBMITTED' WHEN n %% 150 = 7 THEN 'FAILED'
                ELSE 'EXECUTED' END,
           0.9995, 99950.123456789, 49.9750617283945, 1, at, at, at
      FROM generate_series(%(first)s, %(last)s) AS n
     CROSS JOIN LATERAL (
           SELECT %(until)s - (%(last)s - n) * interval '3 seconds' AS at) AS moved
"""
FILLS: Final = """
    INSERT INTO fills (
           trade_uuid, order_id, market, side, price, volume, funds, fee, realised_pnl, traded_at,
           recorded_at)
    SELECT lpad(n::text, 32, '0'), n, 'KRW-C' || n %% 20,
           CASE WHEN n %% 150 = 1 THEN 'SELL' ELSE 'BUY' END,
           100000 + n %% 977, 0.9995, 99950.123456789, 49.9750617283945, -49.9750617283945, at, at
      FROM generate_series(%(first)s, %(last)s) AS n
     CROSS JOIN LATERAL (
           SELECT %(until)s - (%(last)s - n) * interval '3 seconds' AS at) AS moved
"""
PASSES: Final = """
    INSERT INTO job_runs (run_id, job, started_at, finished_at, duration_ms, attempts, success)
    SELECT lpad(to_hex(n), 32, '0')::uuid,
           CASE WHEN n %% 13 < 10 THEN 'send_alerts' WHEN n %% 13 < 12 THEN 'collect_market_data'
                ELSE 'sync_pending_orders' END,
           at, at, 1 + n %% 97, 1, true
      FROM generate_series(%(first)s, %(last)s) AS n
     CROSS JOIN LATERAL (
           SELECT %(until)s - (%(last)s - n) * interval '1.5 seconds' AS at) AS moved
"""
# The same sums that the service keeps while it writes the passes.
HOURS_OF_PASSES: Final = """
    INSERT INTO job_hours (hour, job, success, count, sum_ms, max_ms, buckets, counts)
    SELECT hour, job, success, sum(n), sum(sum_ms), max(max_ms),
           array_agg(bucket ORDER BY bucket), array_agg(n::integer ORDER BY bucket)
      FROM (SELECT date_trunc('hour', started_at, 'UTC') AS hour, job, success,
                   bucket_of(duration_ms) AS bucket, count(*) AS n, sum(duration_ms) AS sum_ms,
                   max(duration_ms) AS max_ms
              FROM job_runs
             GROUP BY 1, 2, 3, 4) AS filled
     GROUP BY hour, job, success
"""
# Hours outlive their passes. The longest window is filled, however few passes there are.
OLDER_HOURS_OF_PASSES: Final = """
    INSERT INTO job_hours (hour, job, success, count, sum_ms, max_ms, buckets, counts)
    SELECT hour - n * interval '1 hour', job, success, count, sum_ms, max_ms, buckets, counts
      FROM job_hours
     CROSS JOIN generate_series(1, 31 * 24) AS n
     WHERE hour = %(until)s - interval '1 hour'
        ON CONFLICT (hour, job, success) DO NOTHING
"""
CHANGES: Final = """
    INSERT INTO config_changes (key, new_value, changed_by, changed_at)
    SELECT 'key-' || n %% 20, '1', 'cli', %(until)s - (%(last)s - n) * interval '1 minute'
      FROM generate_series(%(first)s, %(last)s) AS n
"""
POSITIONS: Final = """
    INSERT INTO positions (market, volume, cost, realised_pnl, fees_paid, opened_at, updated_at)
    SELECT 'KRW-C' || n, 1, 100000, 0, 50, %(until)s, %(until)s
      FROM generate_series(0, 19) AS n
        ON CONFLICT (market) DO NOTHING
"""
DAYS: Final = """
    INSERT INTO daily_stats (
           market, day, fills, bought_volume, bought_funds, sold_volume, sold_funds, fees,
           realised_pnl, wins, losses)
    SELECT 'KRW-C' || n %% 20, %(until)s::date - ((%(last)s - n) / 20)::integer, 1 + n %% 97,
           0.9995, 99950.123456789, 0.5, 50000.123456789, 49.9750617283945, n %% 977 - 488,
           n %% 7, n %% 5
      FROM generate_series(%(first)s, %(last)s) AS n
"""
