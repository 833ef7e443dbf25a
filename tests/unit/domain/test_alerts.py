"""Which alerts get a message of their own, and the waits between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from service.domain.alerts import (
    LONGEST_BODY,
    LONGEST_WAIT_S,
    MAX_ATTEMPTS,
    MOST_MESSAGES,
    SEVERITIES,
    Due,
    Severity,
    bounded,
    plan_messages,
    summary_of,
    wait_s,
)


def a_due(number: int = 1, *, severity: Severity = "error", attempts: int = 0) -> Due:
    return Due(id=number, severity=severity, title=f"alert {number}", attempts=attempts)


def some_due(count: int) -> list[Due]:
    return [a_due(number) for number in range(1, count + 1)]


def test_the_waits_double_from_one_second_to_a_minute() -> None:
    assert [wait_s(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_target_that_is_down_for_an_hour_still_gets_its_alert() -> None:
    assert sum(wait_s(n) for n in range(1, MAX_ATTEMPTS)) > 3400


def test_the_number_of_attempts_does_not_overflow() -> None:
    assert wait_s(10**6) == LONGEST_WAIT_S


def test_within_the_limit_everybody_gets_a_message() -> None:
    plan = plan_messages(some_due(4), lately=6, most=10)

    assert plan.send == (1, 2, 3, 4)
    assert plan.summarise == ()


def test_the_last_message_within_the_limit_carries_everything_that_waits() -> None:
    plan = plan_messages(some_due(30), lately=0, most=10)

    assert plan.send == tuple(range(1, 10))
    assert [one.id for one in plan.summarise] == list(range(10, 31))


def test_beyond_the_limit_everything_waits() -> None:
    plan = plan_messages(some_due(5), lately=10, most=10)

    assert (plan.send, plan.summarise) == ((), ())


def test_what_is_critical_or_was_begun_before_is_never_held_back() -> None:
    due = [a_due(1), a_due(2, severity="critical"), a_due(3, attempts=2)]

    assert set(plan_messages(due, lately=10, most=10).send) == {2, 3}


def test_the_worst_get_the_messages_of_their_own() -> None:
    due = [a_due(1, severity="info"), a_due(2, severity="warning"), a_due(3, severity="error")]

    plan = plan_messages(due, lately=0, most=2)

    assert plan.send == (3,)
    assert [one.id for one in plan.summarise] == [2, 1]


@given(
    due=st.lists(
        st.builds(
            Due,
            id=st.integers(min_value=1),
            severity=st.sampled_from(SEVERITIES),
            title=st.just("x"),
            attempts=st.integers(min_value=0, max_value=3),
        ),
        unique_by=lambda one: one.id,
        max_size=40,
    ),
    lately=st.integers(min_value=0, max_value=20),
)
def test_nobody_is_lost_nobody_doubled_and_the_limit_is_kept(due: list[Due], lately: int) -> None:
    plan = plan_messages(due, lately=lately)

    sent, summarised = set(plan.send), {one.id for one in plan.summarise}
    new = {one.id for one in due if not one.attempts and one.severity != "critical"}
    messages = len(sent & new) + bool(summarised)
    assert len(plan.send) == len(sent)
    assert not sent & summarised
    assert summarised <= new
    assert len(summarised) != 1
    assert messages <= max(0, MOST_MESSAGES - lately)
    if lately < MOST_MESSAGES:
        assert sent | summarised == {one.id for one in due}


def test_a_summary_names_the_worst_first_and_stays_short() -> None:
    severity, title, body = summary_of([*some_due(40), a_due(99, severity="critical")])

    assert (severity, title) == ("critical", "and 41 more alerts")
    assert body.splitlines()[0] == "critical: alert 99"
    assert "and 29 others" in body
    assert len(body) <= LONGEST_BODY


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert bounded("abcdef", 4) == "abc…"
    assert bounded("abcd", 4) == "abcd"
