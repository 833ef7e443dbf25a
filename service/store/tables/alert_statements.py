"""The statements of the alert outbox. Waits and windows are measured by the database's clock.

What is compared is now() and not clock_timestamp(), which no index can serve.
"""

from typing import Final

RAISE: Final = """
    INSERT INTO alerts AS open (
           kind, key, severity, title, body, state, created_at, last_at, next_attempt_at)
    VALUES ('PROBLEM', %(key)s, %(severity)s, %(title)s, %(body)s, 'PENDING', %(at)s, %(at)s,
           clock_timestamp())
        ON CONFLICT (key) WHERE kind = 'PROBLEM' AND recovered_at IS NULL DO UPDATE
       SET occurrences = open.occurrences + 1,
           last_at = greatest(open.last_at, excluded.last_at),
           body = excluded.body
    RETURNING occurrences
"""

# What has been told and goes on for long is told again, by the same row.
REMIND: Final = """
    UPDATE alerts
       SET state = 'PENDING',
           reason = NULL,
           summary = NULL,
           severity = %(severity)s,
           title = %(title)s,
           attempts = 0,
           begun_at = NULL,
           delivered_to = '{}',
           last_error = NULL,
           queued_at = clock_timestamp(),
           next_attempt_at = clock_timestamp()
     WHERE key = %(key)s
       AND kind = 'PROBLEM'
       AND recovered_at IS NULL
       AND next_attempt_at IS NULL
       AND queued_at <= now() - make_interval(secs => %(same_within_s)s)
"""

# News has no row that two could meet at. A statement of its own, for what comes after has to see
# what the other one has stored.
ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 20261122))"

NOTE: Final = """
    WITH seen AS (
        UPDATE alerts
           SET occurrences = occurrences + 1,
               last_at = greatest(last_at, %(at)s)
         WHERE id = (SELECT max(id) FROM alerts WHERE key = %(key)s)
           AND kind = 'NOTICE'
           AND queued_at > now() - make_interval(secs => %(same_within_s)s)
        RETURNING id
    )
    INSERT INTO alerts (
           kind, key, severity, title, body, state, created_at, last_at, next_attempt_at)
    SELECT 'NOTICE', %(key)s, %(severity)s, %(title)s, %(body)s, 'PENDING', %(at)s, %(at)s,
           clock_timestamp()
     WHERE NOT EXISTS (SELECT FROM seen)
"""

TOLD: Final = """
    UPDATE alerts
       SET state = 'SENT',
           reason = NULL,
           attempts = attempts + 1,
           begun_at = clock_timestamp(),
           next_attempt_at = NULL,
           told_at = clock_timestamp(),
           sent_at = clock_timestamp()
     WHERE id = (SELECT max(id) FROM alerts WHERE key = %(key)s AND kind <> 'RECOVERY')
       AND state = 'PENDING'
"""

RECOVER: Final = """
    WITH over AS (
        UPDATE alerts
           SET recovered_at = %(at)s
         WHERE key = %(key)s
           AND kind = 'PROBLEM'
           AND recovered_at IS NULL
        RETURNING id, key, severity, title, occurrences, created_at
    )
    INSERT INTO alerts (
           kind, key, severity, title, body, state, created_at, last_at, about, next_attempt_at)
    SELECT 'RECOVERY', key, severity, %(title)s,
           format('It is over: %%s. Seen %%s time(s) since %%s.', title, occurrences,
                  to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
           'PENDING', %(at)s, %(at)s, id, clock_timestamp()
      FROM over
"""

OPEN_KEYS: Final = """
    SELECT key
      FROM alerts
     WHERE kind = 'PROBLEM'
       AND recovered_at IS NULL
"""

# --- sending ------------------------------------------------------------------------------------

ANY_DUE: Final = """
    SELECT 1
      FROM alerts
     WHERE next_attempt_at <= now()
     LIMIT 1
"""

# A claim, up to what is due, and SUPPRESS_ALL pass over rows that somebody writes, as a booking
# does with its alert: the next sending finds them as they are by then, and nobody waits.

# Held until the claim is committed. The number is any that nothing else here uses.
LOCK: Final = "SELECT pg_try_advisory_xact_lock(20261122)"

SUPPRESS_MILD: Final = """
    UPDATE alerts
       SET state = 'SUPPRESSED', reason = 'below_severity', next_attempt_at = NULL
     WHERE id IN (
           SELECT id
             FROM alerts
            WHERE next_attempt_at IS NOT NULL
              AND state = 'PENDING'
              AND attempts = 0
              AND severity = ANY(%(mild)s)
              FOR UPDATE SKIP LOCKED)
"""

GIVE_UP_LOST: Final = """
    UPDATE alerts
       SET state = 'FAILED', last_error = 'interrupted', next_attempt_at = NULL
     WHERE id IN (
           SELECT id
             FROM alerts
            WHERE state = 'SENDING'
              AND next_attempt_at <= now()
              AND attempts >= %(max_attempts)s
              FOR UPDATE SKIP LOCKED)
"""

# Two of them: a recovery nobody was told the problem of, and a reminder that came too late.
_NEEDLESS: Final = """
           (one.told_at IS NOT NULL AND one.recovered_at IS NOT NULL
            OR EXISTS (
               SELECT
                 FROM alerts AS problem
                 LEFT JOIN alerts AS summary ON summary.id = problem.summary
                WHERE problem.id = one.about
                  AND problem.told_at IS NULL
                  AND problem.next_attempt_at IS NULL
                  AND summary.next_attempt_at IS NULL))
"""

# After GIVE_UP_LOST: a problem that it gives up was told to nobody.
FORGET_NEEDLESS: Final = (
    """
    UPDATE alerts AS late
       SET state = CASE WHEN late.kind = 'RECOVERY' THEN 'SUPPRESSED' ELSE 'SENT' END,
           reason = CASE WHEN late.kind = 'RECOVERY' THEN 'problem_not_sent' END,
           next_attempt_at = NULL
     WHERE late.id IN (
           SELECT id
             FROM alerts AS one
            WHERE next_attempt_at IS NOT NULL
              AND state = 'PENDING'
              AND attempts = 0
              AND """
    + _NEEDLESS
    + """
              FOR UPDATE OF one SKIP LOCKED)
"""
)

# A recovery waits until it is known whether anybody heard of the problem. What the statements
# above would take out, and came or was passed over while somebody wrote it, waits for them.
DUE: Final = (
    """
    SELECT id, severity, title, attempts
      FROM alerts AS one
     WHERE next_attempt_at <= now()
       AND attempts < %(max_attempts)s
       AND (attempts > 0 OR NOT (severity = ANY(%(mild)s) OR """
    + _NEEDLESS
    + """))
       AND NOT EXISTS (
           SELECT
             FROM alerts AS problem
             LEFT JOIN alerts AS summary ON summary.id = problem.summary
            WHERE problem.id = one.about
              AND (problem.next_attempt_at IS NOT NULL OR summary.next_attempt_at IS NOT NULL))
     ORDER BY severity <> 'critical', attempts = 0, id
     LIMIT %(batch)s
       FOR UPDATE OF one SKIP LOCKED
"""
)

LATELY: Final = """
    SELECT count(*)
      FROM alerts
     WHERE begun_at > now() - make_interval(secs => %(limited_s)s)
       AND severity <> 'critical'
"""

SUMMARISE: Final = """
    INSERT INTO alerts (
           kind, key, severity, title, body, state, created_at, last_at, next_attempt_at)
    SELECT 'SUMMARY', %(key)s, %(severity)s, %(title)s, %(body)s, 'PENDING',
           max(created_at), max(created_at), clock_timestamp()
      FROM alerts
     WHERE id = ANY(%(ids)s)
    RETURNING id
"""

HOLD_IN_SUMMARY: Final = """
    UPDATE alerts
       SET state = 'SUPPRESSED', reason = 'summarised', summary = %(summary)s,
           next_attempt_at = NULL
     WHERE id = ANY(%(ids)s)
"""

BEGIN_SENDING: Final = """
    UPDATE alerts
       SET state = 'SENDING',
           attempts = attempts + 1,
           begun_at = coalesce(begun_at, clock_timestamp()),
           next_attempt_at = clock_timestamp() + make_interval(secs => %(claimed_s)s)
     WHERE id = ANY(%(ids)s)
    RETURNING id, kind, severity, title, body, occurrences, attempts, delivered_to
"""

DELIVERED: Final = """
    WITH one AS (
        UPDATE alerts
           SET delivered_to = array_append(delivered_to, %(target)s),
               told_at = coalesce(told_at, clock_timestamp())
         WHERE id = %(id)s
           AND NOT %(target)s = ANY(delivered_to)
        RETURNING id
    )
    UPDATE alerts
       SET told_at = clock_timestamp()
      FROM one
     WHERE alerts.summary = one.id
       AND alerts.told_at IS NULL
"""

# The attempt's number: a sender that was taken for dead must not speak for its successor.
SETTLE: Final = """
    UPDATE alerts
       SET state = %(state)s,
           last_error = %(error)s,
           sent_at = CASE WHEN %(state)s = 'SENT' THEN clock_timestamp() ELSE sent_at END,
           next_attempt_at = clock_timestamp() + make_interval(secs => %(wait_s)s)
     WHERE id = %(id)s
       AND state = 'SENDING'
       AND attempts = %(attempts)s
"""

SUPPRESS_ALL: Final = """
    UPDATE alerts
       SET state = 'SUPPRESSED', reason = 'no_target', next_attempt_at = NULL
     WHERE id IN (
           SELECT id
             FROM alerts
            WHERE next_attempt_at <= now()
              FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, severity, title, body, occurrences, attempts, delivered_to
"""
