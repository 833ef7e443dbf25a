"""Statements that seed what the account was worth, what came and went, and what stopped trading."""

from typing import Final

EQUITIES: Final = """
    INSERT INTO equity_snapshots (
           quote, at, cash, coins, equity, realised_pnl, unrealised_pnl, fees_paid)
    SELECT 'KRW', %(until)s - (%(last)s - n + 1) * interval '1 minute', 9000000.12345678,
           1000000 + n %% 9973, 10000000.12345678 + n %% 9973, n %% 977, n %% 9973 - 5000, n
      FROM generate_series(%(first)s, %(last)s) AS n
"""
HOURS: Final = """
    INSERT INTO equity_hours (
           quote, hour, first_at, first_equity, first_pnl, low, high, drawdown_ratio, newest_at,
           cash, coins, equity, realised_pnl, unrealised_pnl, fees_paid)
    SELECT 'KRW', hour, hour, 10000000.12345678, 0, 9900000.12345678 - n %% 97,
           10100000.12345678 + n %% 89, 0.0123, hour + interval '59 minutes',
           9000000.12345678, 1000000, 10000000.12345678, n %% 977, n %% 991, n
      FROM generate_series(%(first)s, %(last)s) AS n
     CROSS JOIN LATERAL (SELECT %(until)s - (%(last)s - n + 1) * interval '1 hour' AS hour) AS moved
"""
# One in two months: money that comes, and every third time money that goes.
DEPOSITS: Final = """
    INSERT INTO deposits (currency, amount, at, source, actor, seen_at)
    SELECT 'KRW', CASE n / 86400 %% 3 WHEN 0 THEN -150000 ELSE 100000 END, at, 'detected',
           'system:account', at
      FROM generate_series(%(first)s, %(last)s) AS n
     CROSS JOIN LATERAL (SELECT %(until)s - (%(last)s - n + 1) * interval '1 minute' AS at) AS moved
     WHERE n %% 86400 = 0
"""
# Two a week.
HALTS: Final = """
    INSERT INTO trading_halts (kind, reason, actor, since, ends, ended_at, ended_by)
    SELECT 'REDUCING', 'clock_skew', 'system:clock', at, 'condition', at + interval '5 minutes',
           'system:clock'
      FROM generate_series(%(first)s, %(last)s) AS n
     CROSS JOIN LATERAL (SELECT %(until)s - (%(last)s - n + 1) * interval '1 minute' AS at) AS moved
     WHERE n %% 5000 = 0
"""
