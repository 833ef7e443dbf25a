"""A problem that stands is told again, until it is over or an operator knows of it."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_STATEMENTS: Final = "service/store/tables/alert_statements.py"
_PG_ALERTS: Final = "service/store/tables/alerts.py"
_OF_PG_ALERTS: Final = "tests/integration/store/tables/test_alerts.py"

ALERTS: Final = (
    Mutant(
        name="a problem that stands is told once",
        file=_PG_ALERTS,
        old=(
            '    await cur.execute(sql.TELL_AGAIN, {"tell_again_s": _TELL_AGAIN_S})\n'
            "    await cur.execute(sql.SUPPRESS_MILD"
        ),
        new="    await cur.execute(sql.SUPPRESS_MILD",
        tests=of(
            _OF_PG_ALERTS,
            "test_a_problem_that_stands_is_told_after_15_minutes_an_hour_and_then_every_6_hours",
        ),
    ),
    Mutant(
        name="an acknowledged problem is told again",
        file=_STATEMENTS,
        old="acknowledged_by = %(by)s, tell_again_at = NULL\n",
        new="acknowledged_by = %(by)s, told_again = told_again\n",
        tests=of(_OF_PG_ALERTS, "test_an_acknowledged_problem_is_not_told_again_and_its_end_is"),
    ),
    Mutant(
        name="a repeat that waits is sent after its acknowledgement",
        file=_STATEMENTS,
        old="           (one.acknowledged_at IS NOT NULL\n",
        new="           (false\n",
        tests=of(_OF_PG_ALERTS, "test_a_repeat_that_waits_is_not_sent_once_it_is_acknowledged"),
    ),
    Mutant(
        name="a delivery that was given up ends the repeats",
        file=_STATEMENTS,
        old=(
            "               WHEN recovered_at IS NOT NULL OR acknowledged_at IS NOT NULL"
            " THEN NULL\n"
        ),
        new=(
            "               WHEN recovered_at IS NOT NULL OR acknowledged_at IS NOT NULL"
            " OR delivered_to = '{}' THEN NULL\n"
        ),
        tests=of(_OF_PG_ALERTS, "test_a_problem_that_was_given_up_is_told_again_while_it_stands"),
    ),
    Mutant(
        name="an acknowledgement covers another cause",
        file=_STATEMENTS,
        old=(
            "           acknowledged_at = CASE WHEN excluded.severity = 'critical'"
            " AND open.body <> excluded.body\n"
        ),
        new="           acknowledged_at = CASE WHEN false\n",
        tests=of(_OF_PG_ALERTS, "test_a_critical_problem_with_another_cause_is_told_at_once"),
    ),
    Mutant(
        name="a critical notice is given up",
        file=_STATEMENTS,
        old="                AND (kind = 'PROBLEM' OR kind = 'NOTICE' AND severity = 'critical')\n",
        new="                AND kind = 'PROBLEM'\n",
        tests=of(
            _OF_PG_ALERTS, "test_a_critical_notice_that_no_address_took_is_tried_until_one_does"
        ),
    ),
)
