"""The SQL statements of the alert outbox. The database's clock measures waits and windows.

Comparisons use now(), because PostgreSQL cannot serve clock_timestamp() from an index.
"""

from typing import Final

# A critical problem that is detected with another text has another cause, e.g. a second halt. It is
# told at once, and its acknowledgement, which was of the first cause, ends.
RAISE: Final = """
    INSERT INTO alerts AS open (
           kind, key, severity, title, body, state, created_at, last_at, next_attempt_at,
           tell_again_at)
    VALUES ('PROBLEM', %(key)s, %(severity)s, %(title)s, %(body)s, 'PENDING', %(at)s, %(at)s,
           clock_timestamp(),
           clock_timestamp() + make_interval(secs => (%(tell_again_s)s::float8[])[1]))
        ON CONFLICT (key) WHERE kind = 'PROBLEM' AND recovered_at IS NULL DO UPDATE
       SET occurrences = open.occurrences + 1,
           last_at = greatest(open.last_at, excluded.last_at),
           severity = excluded.severity,
           title = excluded.title,
           body = excluded.body,
           tell_again_at = CASE WHEN excluded.severity = 'critical' AND open.body <> excluded.body
                                THEN clock_timestamp() ELSE open.tell_again_at END,
           told_again = CASE WHEN excluded.severity = 'critical' AND open.body <> excluded.body
                             THEN 0 ELSE open.told_again END,
           acknowledged_at = CASE WHEN excluded.severity = 'critical' AND open.body <> excluded.body
                                  THEN NULL ELSE open.acknowledged_at END,
           acknowledged_by = CASE WHEN excluded.severity = 'critical' AND open.body <> excluded.body
                                  THEN NULL ELSE open.acknowledged_by END
"""

# A notice has no unique row, so two transactions with one key would both insert. This lock makes
# them take turns. It is a statement of its own: NOTE must see what the other transaction stored.
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
           SET recovered_at = %(at)s, tell_again_at = NULL
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
    SELECT
     WHERE EXISTS (SELECT FROM alerts WHERE next_attempt_at <= now())
        OR EXISTS (
           SELECT FROM alerts WHERE tell_again_at <= now() AND next_attempt_at IS NULL)
"""

# The statements of a claim, from TELL_AGAIN to DUE, and SUPPRESS_ALL skip locked rows, so that
# none of them waits. Another transaction is writing such a row, e.g. the booking of a fill with its
# alert. The next pass reads the row as it is by then.

# Held until the claim is committed. The key is arbitrary; no other lock here uses it.
LOCK: Final = "SELECT pg_try_advisory_xact_lock(20261122)"

# The row of a problem that stands becomes due again, whatever became of its last message.
TELL_AGAIN: Final = """
    UPDATE alerts
       SET state = 'PENDING',
           reason = NULL,
           summary = NULL,
           attempts = 0,
           begun_at = NULL,
           delivered_to = '{}',
           last_error = NULL,
           queued_at = clock_timestamp(),
           next_attempt_at = now(),  -- due for DUE in the same transaction
           told_again = told_again + 1,
           tell_again_at = clock_timestamp() + make_interval(
               secs => (%(tell_again_s)s::float8[])[
                   least(told_again + 2, cardinality(%(tell_again_s)s::float8[]))])
     WHERE id IN (
           SELECT id
             FROM alerts
            WHERE tell_again_at <= now()
              AND next_attempt_at IS NULL
              FOR UPDATE SKIP LOCKED)
"""

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

# When a settled row is told again. What no address took is tried again soon, however often it was
# told before: a problem while it stands, and a critical notice, which has no end. Its attempts may
# have taken an hour, so the next message is never due right after this one.
_NEXT_TELLING: Final = """CASE
               WHEN recovered_at IS NOT NULL OR acknowledged_at IS NOT NULL THEN NULL
               WHEN delivered_to = '{}'
                AND (kind = 'PROBLEM' OR kind = 'NOTICE' AND severity = 'critical')
               THEN clock_timestamp() + make_interval(secs => (%(tell_again_s)s::float8[])[1])
               WHEN kind = 'PROBLEM'
               THEN greatest(tell_again_at, clock_timestamp()
                             + make_interval(secs => (%(tell_again_s)s::float8[])[1]))
           END
"""

GIVE_UP_LOST: Final = (
    """
    UPDATE alerts
       SET state = 'FAILED', last_error = 'interrupted', next_attempt_at = NULL,
           tell_again_at = """
    + _NEXT_TELLING
    + """
     WHERE id IN (
           SELECT id
             FROM alerts
            WHERE state = 'SENDING'
              AND next_attempt_at <= now()
              AND attempts >= %(max_attempts)s
              FOR UPDATE SKIP LOCKED)
"""
)

# An alert is needless when it is acknowledged, a recovery of a problem that no target received, or
# a reminder of a problem that is over.
_NEEDLESS: Final = """
           (one.acknowledged_at IS NOT NULL
            OR one.told_at IS NOT NULL AND one.recovered_at IS NOT NULL
            OR EXISTS (
               SELECT
                 FROM alerts AS problem
                 LEFT JOIN alerts AS summary ON summary.id = problem.summary
                WHERE problem.id = one.about
                  AND problem.told_at IS NULL
                  AND problem.next_attempt_at IS NULL
                  AND summary.next_attempt_at IS NULL))
"""

# Runs after GIVE_UP_LOST: a problem that is given up there has reached no target.
FORGET_NEEDLESS: Final = (
    """
    UPDATE alerts AS late
       SET state = CASE WHEN late.kind = 'RECOVERY' OR late.told_at IS NULL
                        THEN 'SUPPRESSED' ELSE 'SENT' END,
           reason = CASE WHEN late.kind = 'RECOVERY' THEN 'problem_not_sent'
                         WHEN late.told_at IS NULL THEN 'acknowledged' END,
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

# A recovery is due once its problem, or the summary that holds the problem, is settled. Before, it
# is unknown whether a target received the problem. Rows that the statements above should have
# settled may still be here, because they were locked or arrived later. They wait for the next pass.
DUE: Final = (
    """
    SELECT id, severity, title, attempts, told_again, kind
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

# Critical news are exempt: a storm of them holds nothing else back.
LATELY: Final = """
    SELECT count(*)
      FROM alerts
     WHERE begun_at > now() - make_interval(secs => %(limited_s)s)
       AND (severity <> 'critical' OR told_again > 1 OR kind = 'SUMMARY')
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
    RETURNING id, kind, severity, title, body, occurrences, attempts, delivered_to, told_again,
              created_at
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

# The attempt's number guards the write: a sender whose claim ran out must not settle the attempt of
# the next sender.
SETTLE: Final = (
    """
    UPDATE alerts
       SET state = %(state)s,
           last_error = %(error)s,
           sent_at = CASE WHEN %(state)s = 'SENT' THEN clock_timestamp() ELSE sent_at END,
           next_attempt_at = clock_timestamp() + make_interval(secs => %(wait_s)s),
           tell_again_at = CASE WHEN %(state)s = 'PENDING' THEN tell_again_at ELSE """
    + _NEXT_TELLING
    + """ END
     WHERE id = %(id)s
       AND state = 'SENDING'
       AND attempts = %(attempts)s
"""
)

# Runs after a summary was given up: its critical notices, which have no end, are told again. Its
# problems are told again anyway while they stand.
RETURN_NOTICES: Final = """
    UPDATE alerts AS one
       SET tell_again_at =
               clock_timestamp() + make_interval(secs => (%(tell_again_s)s::float8[])[1])
      FROM alerts AS given_up
     WHERE given_up.id = one.summary
       AND given_up.state = 'FAILED'
       AND given_up.delivered_to = '{}'
       AND one.kind = 'NOTICE'
       AND one.severity = 'critical'
       AND one.told_at IS NULL
       AND one.next_attempt_at IS NULL
       AND one.tell_again_at IS NULL
       AND one.acknowledged_at IS NULL
"""

# Two requests at once: the second one waits, finds the row acknowledged, and changes nothing.
ACKNOWLEDGE: Final = """
    UPDATE alerts
       SET acknowledged_at = clock_timestamp(), acknowledged_by = %(by)s, tell_again_at = NULL
     WHERE id = %(id)s
       AND kind IN ('PROBLEM', 'NOTICE')
       AND recovered_at IS NULL
       AND acknowledged_at IS NULL
"""

ACKNOWLEDGED: Final = """
    SELECT kind, recovered_at IS NOT NULL
      FROM alerts
     WHERE id = %(id)s
"""

SUPPRESS_ALL: Final = """
    UPDATE alerts
       SET state = 'SUPPRESSED', reason = 'no_target', next_attempt_at = NULL
     WHERE id IN (
           SELECT id
             FROM alerts
            WHERE next_attempt_at <= now()
              FOR UPDATE SKIP LOCKED)
    RETURNING id, kind, severity, title, body, occurrences, attempts, delivered_to, told_again,
              created_at
"""
