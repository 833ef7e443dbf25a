"""Which alerts get a message of their own, and the waits between attempts."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.domain.alerts import (
    LONGEST_BODY,
    LONGEST_TITLE,
    LONGEST_WAIT_S,
    MAX_ATTEMPTS,
    MOST_ALONE,
    MOST_MESSAGES,
    SEVERITIES,
    Due,
    Severity,
    bounded,
    plan_messages,
    summary_of,
    wait_s,
)


def a_due(
    number: int = 1, *, severity: Severity = "error", attempts: int = 0, told_again: int = 0
) -> Due:
    return Due(
        id=number,
        severity=severity,
        title=f"alert {number}",
        attempts=attempts,
        told_again=told_again,
    )


def some_due(count: int, *, severity: Severity = "error", told_again: int = 0) -> list[Due]:
    return [
        a_due(number, severity=severity, told_again=told_again) for number in range(1, count + 1)
    ]


def test_the_waits_double_from_one_second_to_a_minute() -> None:
    assert [wait_s(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_target_that_is_down_for_an_hour_still_gets_its_alert() -> None:
    assert sum(wait_s(n) for n in range(1, MAX_ATTEMPTS)) > 3400


def test_the_number_of_attempts_does_not_overflow() -> None:
    assert wait_s(10**6) == LONGEST_WAIT_S


def test_within_the_limit_everybody_gets_a_message() -> None:
    plan = plan_messages(some_due(4), lately=6, most=10)

    assert plan.send == (1, 2, 3, 4)
    assert plan.summaries == ()


def test_the_last_message_within_the_limit_carries_everything_that_waits() -> None:
    plan = plan_messages(some_due(30), lately=0, most=10)

    assert plan.send == tuple(range(1, 10))
    assert [one.id for one in plan.summaries[0]] == list(range(10, 31))


def test_beyond_the_limit_everything_waits() -> None:
    plan = plan_messages(some_due(5), lately=10, most=10)

    assert (plan.send, plan.summaries) == ((), ())


def test_what_is_critical_or_was_begun_before_is_never_held_back() -> None:
    due = [a_due(1), a_due(2, severity="critical"), a_due(3, attempts=2)]

    assert set(plan_messages(due, lately=10, most=10).send) == {2, 3}


def test_the_worst_get_the_messages_of_their_own() -> None:
    due = [a_due(1, severity="info"), a_due(2, severity="warning"), a_due(3, severity="error")]

    plan = plan_messages(due, lately=0, most=2)

    assert plan.send == (3,)
    assert [one.id for one in plan.summaries[0]] == [2, 1]


def test_many_critical_alerts_at_once_are_one_message() -> None:
    plan = plan_messages(some_due(40, severity="critical"), lately=10, most=10)

    assert (plan.send, [len(one) for one in plan.summaries]) == ((), [40])


def test_critical_alerts_that_stand_are_one_message_within_the_limit() -> None:
    """Each was told twice already; an error of the same pass keeps a message of its own."""
    due = [*some_due(40, severity="critical", told_again=2), a_due(99)]

    within = plan_messages(due, lately=8, most=10)
    beyond = plan_messages(due, lately=10, most=10)

    assert (within.send, [len(one) for one in within.summaries]) == ((99,), [40])
    assert (beyond.send, beyond.summaries) == ((), ()), "they wait"


def test_a_new_critical_alert_is_told_at_once_although_many_stand() -> None:
    due = [*some_due(40, severity="critical", told_again=2), a_due(99, severity="critical")]

    assert plan_messages(due, lately=10, most=10).send == (99,)


def test_a_few_critical_alerts_get_messages_of_their_own_until_the_limit() -> None:
    due = some_due(MOST_ALONE, severity="critical")

    assert plan_messages(due, lately=9, most=10).send == (1, 2, 3)
    assert [len(one) for one in plan_messages(due, lately=10, most=10).summaries] == [3]


@given(
    due=st.lists(
        st.builds(
            Due,
            id=st.integers(min_value=1),
            severity=st.sampled_from(SEVERITIES),
            title=st.just("x"),
            attempts=st.integers(min_value=0, max_value=3),
            told_again=st.integers(min_value=0, max_value=3),
            is_summary=st.booleans(),
        ),
        unique_by=lambda one: one.id,
        max_size=40,
    ),
    lately=st.integers(min_value=0, max_value=20),
)
def test_nobody_is_lost_nobody_doubled_and_the_limit_is_kept(due: list[Due], lately: int) -> None:
    plan = plan_messages(due, lately=lately)

    sent = set(plan.send)
    summarised = [one.id for members in plan.summaries for one in members]
    exempt = {one.id for one in due if one.attempts or one.is_summary}
    news = {one.id for one in due if one.is_news} - exempt
    messages = len(sent - exempt - news) + len(plan.summaries)
    assert len(plan.send) == len(sent)
    assert len(set(summarised)) == len(summarised)
    assert not sent & set(summarised)
    assert exempt <= sent
    assert news <= sent | set(summarised), "no critical news waits"
    assert all(len(members) > 1 for members in plan.summaries)
    assert len(sent & news) <= MOST_ALONE
    assert messages <= max(1 if news else 0, MOST_MESSAGES - lately)
    if messages < MOST_MESSAGES - lately:
        assert sent | set(summarised) == {one.id for one in due}


def test_a_summary_names_the_worst_first_and_stays_short() -> None:
    severity, title, body = summary_of([*some_due(40), a_due(99, severity="critical")])

    assert (severity, title) == ("critical", "and 41 more alerts")
    assert body.splitlines()[0] == "critical: alert 99"
    assert "and 29 others" in body
    assert len(body) <= LONGEST_BODY


def test_a_summary_of_critical_alerts_names_all_of_them() -> None:
    severity, title, body = summary_of(some_due(40, severity="critical"))

    assert (severity, title) == ("critical", "40 critical alerts")
    assert body.count("critical: alert") == 40


def test_a_summary_of_long_titles_counts_what_has_no_place() -> None:
    due = [replace(one, title="x" * LONGEST_TITLE) for one in some_due(40, severity="critical")]

    _, _, body = summary_of(due)

    assert len(body) <= LONGEST_BODY
    assert f"and {40 - body.count('critical: x')} others" in body


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert bounded("abcdef", 4) == "abc…"
    assert bounded("abcd", 4) == "abcd"
