"""A problem that stands is seen, and told again until it is over or an operator knows of it."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_STATEMENTS: Final = "service/store/tables/alert_statements.py"
_PG_ALERTS: Final = "service/store/tables/alerts.py"
_OF_PG_ALERTS: Final = "tests/integration/store/tables/test_alerts.py"

_STUCK: Final = "service/domain/stuck_orders.py"
_ACTIVITY: Final = "service/store/tables/activity.py"
_MONITOR: Final = "service/flows/alerts/monitor.py"
_OF_RULES: Final = of(
    "tests/unit/ops/health/test_rules.py",
    "test_an_order_that_is_not_final_beyond_its_bound_is_seen",
)
_OF_ACTIVITY: Final = "tests/integration/store/tables/test_activity.py"
_OF_MONITOR: Final = "tests/unit/flows/alerts/test_monitor.py"

ALERTS: Final = (
    Mutant(
        name="an order that is PENDING for days looks healthy",
        file=_STUCK,
        old="UNCERTAIN: Final = frozenset({OrderStatus.PENDING, OrderStatus.UNKNOWN})\n",
        new="UNCERTAIN: Final = frozenset({OrderStatus.UNKNOWN})\n",
        tests=_OF_RULES,
    ),
    Mutant(
        name="a market order on the book for days looks healthy",
        file=_STUCK,
        old="        return None if self.type.rests else ON_THE_BOOK_S\n",
        new="        return None\n",
        tests=_OF_RULES,
    ),
    Mutant(
        name="health reads UNKNOWN orders only",
        file=_ACTIVITY,
        old="       AND (status IN ('PENDING', 'UNKNOWN') OR type = 'MARKET')\n",
        new="       AND status = 'UNKNOWN'\n",
        tests=of(_OF_ACTIVITY, "test_an_order_that_is_open_for_two_days_is_found_in_each_status"),
    ),
    Mutant(
        name="limit orders on the book hide stuck ones",
        file=_ACTIVITY,
        old="       AND (status IN ('PENDING', 'UNKNOWN') OR type = 'MARKET')\n",
        new="",
        tests=of(_OF_ACTIVITY, "test_limit_orders_on_the_book_have_no_bound_and_hide_no_others"),
    ),
    Mutant(
        name="health does not see an order that is put aside",
        file=_ACTIVITY,
        old="        is_aside=is_aside,\n",
        new="",
        tests=of(_OF_ACTIVITY, "test_orders_that_are_put_aside_are_read_first"),
    ),
    Mutant(
        name="a stuck order is no alert",
        file=_MONITOR,
        old="        self._compare_stuck(health.stuck_orders())\n",
        new="",
        tests=of(
            _OF_MONITOR,
            "test_an_order_beyond_its_bound_is_told_once_with_what_to_do_and_so_is_its_end",
        ),
    ),
    Mutant(
        name="an order is over when too many are open to read them all",
        file=_MONITOR,
        old="        if found.is_whole:\n",
        new="        if True:\n",
        tests=of(_OF_MONITOR, "test_while_orders_cannot_be_read_none_is_over"),
    ),
    Mutant(
        name="orders that were read long ago count as stuck or over",
        file="service/ops/health/monitor.py",
        old='        if rows is None or self._probes["activity"].finding().status != "healthy":\n',
        new="        if rows is None:\n",
        tests=of(
            "tests/unit/ops/health/test_monitor.py",
            "test_stuck_orders_are_told_with_the_number_of_their_reading",
        ),
    ),
    Mutant(
        name="a problem that found no place in the buffer is never told",
        file=_MONITOR,
        old="            self._open.discard(lost.key)\n",
        new="            pass\n",
        tests=of(_OF_MONITOR, "test_a_problem_that_found_no_place_is_told_as_soon_as_there_is_one"),
    ),
    Mutant(
        name="a grave problem finds no place behind milder ones",
        file="service/flows/alerts/buffer.py",
        old="        lost = min(reversed(self._waiting), key=_weight)\n",
        new="        lost = self._waiting[-1]\n",
        tests=of(_OF_MONITOR, "test_a_grave_problem_takes_the_place_of_a_milder_one"),
    ),
    Mutant(
        name="what no address took is deleted",
        file="service/store/tables/partitions.py",
        old="              AND tell_again_at IS NULL\n",
        new="",
        tests=of(
            "tests/integration/store/tables/test_partitions.py",
            "test_what_is_told_again_is_kept_and_so_is_a_problem_that_is_acknowledged",
        ),
    ),
    Mutant(
        name="a trading state read long ago is shown as if it held",
        file="service/app/health_wiring.py",
        old="    if age_s is not None and age_s > STALE_S:\n",
        new="    if False:\n",
        tests=of(
            "tests/unit/app/test_health_wiring.py",
            "test_a_trading_state_read_long_ago_is_not_shown_as_if_it_held",
        ),
    ),
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
    Mutant(
        name="many critical alerts at once are as many messages",
        file="service/domain/alerts.py",
        old="    if len(news) > MOST_ALONE or (len(news) > 1 and lately >= most):\n",
        new="    if False:\n",
        tests=of(
            _OF_PG_ALERTS, "test_many_critical_problems_are_one_message_each_time_they_are_told"
        ),
    ),
    Mutant(
        name="critical alerts that stand are told past the limit",
        file="service/domain/alerts.py",
        old='        return self.severity == "critical" and self.told_again <= 1\n',
        new='        return self.severity == "critical"\n',
        tests=of(
            _OF_PG_ALERTS,
            "test_critical_problems_that_stand_wait_for_the_limit_and_new_ones_do_not",
        ),
    ),
    Mutant(
        name="a critical problem with another cause waits for the limit",
        file=_STATEMENTS,
        old="                             THEN 0 ELSE open.told_again END,\n",
        new="                             THEN open.told_again ELSE open.told_again END,\n",
        tests=of(
            _OF_PG_ALERTS,
            "test_critical_problems_that_stand_wait_for_the_limit_and_new_ones_do_not",
        ),
    ),
    Mutant(
        name="critical notices are lost with their summary",
        file="service/store/tables/alerts.py",
        old='            if state == "FAILED":\n',
        new="            if False:\n",
        tests=of(
            _OF_PG_ALERTS,
            "test_a_summary_of_critical_problems_that_no_address_took_is_tried_until_one_does",
        ),
    ),
)
