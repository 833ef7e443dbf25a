"""The alert outbox, on real PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from service.adapters.notify import body_of, title_of
from service.domain.alerts import (
    MAX_ATTEMPTS,
    MOST_MESSAGES,
    TELL_AGAIN_S,
    Alert,
    Notice,
    Recovery,
    Severity,
)
from service.domain.errors import DomainError, NotFound, StoreDown
from service.domain.orders import OrderStatus
from service.flows.alerts.rules import order_notices, setting_notices
from service.ports.queries import PageKey
from service.settings.settings import Settings
from service.store.database.pool import Pool
from service.store.queries.lists import PgLists
from service.store.tables import alert_statements
from service.store.tables.alerts import PgAlerts, put
from service.store.tables.lease import PgLease
from service.store.tables.orders import PgOrders
from service.store.tables.settings import PgSettingRows
from tests.builders import T0, an_intent
from tests.fakes.clock import FakeClock
from tests.integration.store.seeds import BY_SIGNAL, execute, rows, switch

TARGET = "1:json://127.0.0.1:1"


def an_alert(number: int = 1, **overrides: Any) -> Alert:
    values: dict[str, Any] = {
        "key": f"job:{number}",
        "severity": "error",
        "title": f"t{number}",
        "body": "b",
        "at": T0,
    }
    return Alert(**values | overrides)


def its_end(number: int = 1) -> Recovery:
    return Recovery(key=f"job:{number}", title=f"t{number} is over", at=T0 + timedelta(minutes=5))


async def pass_time(pool: Pool, seconds: float) -> None:
    """Stand for the passing of real time: every instant of it lies so much further back."""
    await execute(
        pool,
        "UPDATE alerts SET queued_at = queued_at - make_interval(secs => %(s)s),"
        " begun_at = begun_at - make_interval(secs => %(s)s),"
        " tell_again_at = tell_again_at - make_interval(secs => %(s)s),"
        " next_attempt_at = next_attempt_at - make_interval(secs => %(s)s)",
        {"s": seconds},
    )


async def states(pool: Pool) -> list[tuple[Any, ...]]:
    return await rows(pool, "SELECT title, state, reason FROM alerts ORDER BY id")


class Outbox(PgAlerts):
    """Sends to one target that takes everything, or nothing."""

    async def fill(self, *notices: Notice) -> None:
        for notice in notices:
            await self.put(notice)

    async def send(self, *, error: str | None = None, least: Severity = "warning") -> list[str]:
        """Return the titles of what went out in one pass."""
        messages = await self.claim(least=least)
        for message in messages:
            if error is None:
                await self.delivered(message.id, target=TARGET)
            await self.settle(message, error=error)
        return [message.title for message in messages]


@pytest.fixture
def outbox(pool: Pool) -> Outbox:
    return Outbox(pool)


# --- one problem, one alert ----------------------------------------------------------------------


async def test_an_alert_is_sent_once(outbox: Outbox, pool: Pool) -> None:
    await outbox.put(Alert(key="k", severity="error", title="t", body="b", at=T0))

    assert await outbox.send() == ["t"]
    assert await outbox.send() == []
    assert await states(pool) == [("t", "SENT", None)]


async def test_the_same_problem_again_is_counted_and_not_sent(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    await outbox.send()
    await outbox.fill(an_alert(at=T0 + timedelta(seconds=10)), an_alert(body="newest"))

    assert await outbox.send() == []
    seen = await rows(pool, "SELECT occurrences, last_at, body FROM alerts")
    assert seen == [(3, T0 + timedelta(seconds=10), "newest")]


async def test_of_many_processes_that_see_a_problem_at_once_one_alerts(
    outbox: Outbox, pool: Pool
) -> None:
    await asyncio.gather(*(outbox.put(an_alert()) for _ in range(8)))

    assert await rows(pool, "SELECT count(*), max(occurrences) FROM alerts") == [(1, 8)]


@pytest.mark.parametrize("severity", ["warning", "critical"])
async def test_a_problem_that_stands_is_told_after_15_minutes_an_hour_and_then_every_6_hours(
    outbox: Outbox, pool: Pool, severity: Severity
) -> None:
    await outbox.fill(an_alert(severity=severity))
    await outbox.send()

    told = []
    for wait_s in (900, 3600, 21600, 21600):
        await pass_time(pool, wait_s - 1)
        too_soon = await outbox.send()
        await pass_time(pool, 2)
        told.append((too_soon, await outbox.send()))

    assert told == [([], ["t1"])] * 4
    # Always the same row: a problem that stands for a year does not fill the table.
    assert await rows(pool, "SELECT told_again, delivered_to, attempts FROM alerts") == [
        (4, [TARGET], 1)
    ]


async def test_a_repeat_says_since_when_and_how_to_end_it(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    (first,) = await outbox.claim(least="warning")
    await outbox.delivered(first.id, target=TARGET)
    await outbox.settle(first, error=None)
    await pass_time(pool, 901)

    (again,) = await outbox.claim(least="warning")

    assert (first.told_again, again.told_again, again.since) == (0, 1, T0)
    assert title_of(again, mode="live") == "[live] error, still: t1"
    assert f"trader alert acknowledge {again.id}" in body_of(again)
    assert "2026-01-24T09:00:00" in body_of(again)
    assert "acknowledge" not in body_of(first)


async def test_a_problem_that_was_given_up_is_told_again_while_it_stands(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(severity="critical"))
    given_up = []
    for _ in range(3):  # no address answers for an hour, again and again
        (message,) = await outbox.claim(least="warning")
        await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS})
        await outbox.settle(replace(message, attempts=MAX_ATTEMPTS), error="refused")
        given_up += await states(pool)
        await pass_time(pool, 901)

    assert given_up == [("t1", "FAILED", None)] * 3
    assert await outbox.send() == ["t1"]
    assert await states(pool) == [("t1", "SENT", None)]


async def test_a_sender_that_died_at_the_last_attempt_does_not_end_a_problem_that_stands(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    await outbox.claim(least="warning")
    await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS})
    await pass_time(pool, 61)
    at_once = await outbox.send()
    await pass_time(pool, 901)

    assert at_once == []
    assert await outbox.send() == ["t1"]


async def test_what_took_an_hour_to_be_sent_is_not_told_again_right_after(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    (message,) = await outbox.claim(least="warning")
    await pass_time(pool, 3000)
    await outbox.delivered(message.id, target=TARGET)
    await outbox.settle(message, error=None)
    at_once = await outbox.send()
    await pass_time(pool, 901)

    assert at_once == []
    assert await outbox.send() == ["t1"]


async def test_a_critical_notice_that_no_address_took_is_tried_until_one_does(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(severity="critical", lasts=False))
    await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS - 1})
    await outbox.send(error="refused")
    await pass_time(pool, 901)
    taken = await outbox.send()
    await pass_time(pool, 99_999)

    assert taken == ["t1"]
    assert await outbox.send() == []


async def test_a_milder_notice_that_was_given_up_is_not_tried_again(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(severity="error", lasts=False))
    await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS - 1})
    await outbox.send(error="refused")
    await pass_time(pool, 99_999)

    assert await outbox.send() == []


async def test_a_problem_told_in_a_summary_is_told_again(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(*(an_alert(n) for n in range(11)))
    first = await outbox.send()
    await pass_time(pool, 901)
    again = await outbox.send()

    assert first[-1] == again[-1] == "and 2 more alerts"


async def test_without_an_address_a_problem_that_stands_is_logged_again(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    await outbox.suppress_all()
    too_soon = await outbox.suppress_all()
    await pass_time(pool, 901)

    (again,) = await outbox.suppress_all()

    assert too_soon == ()
    assert (again.title, again.told_again) == ("t1", 1)


async def test_the_repeats_end_with_the_recovery(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    await outbox.send()
    await outbox.fill(its_end())
    over = await outbox.send()
    await pass_time(pool, 99_999)

    assert over == ["t1 is over"]
    assert await outbox.send() == []


async def test_a_critical_problem_with_another_cause_is_told_at_once(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(severity="critical", body="first cause"))
    await outbox.send()
    await outbox.acknowledge(1, by="admin@127.0.0.1")
    await outbox.fill(an_alert(severity="critical", body="first cause"))
    same_cause = await outbox.send()
    await outbox.fill(an_alert(severity="critical", body="second cause"))

    assert same_cause == []
    assert await outbox.send() == ["t1"]
    assert await rows(pool, "SELECT body, acknowledged_by FROM alerts") == [("second cause", None)]


# --- acknowledgement -----------------------------------------------------------------------------


async def test_an_acknowledged_problem_is_not_told_again_and_its_end_is(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    await outbox.send()
    await outbox.acknowledge(1, by="admin@127.0.0.1")
    await pass_time(pool, 99_999)
    after = await outbox.send()
    await outbox.fill(an_alert(), its_end())

    assert after == []
    assert await outbox.send() == ["t1 is over"]


async def test_a_repeat_that_waits_is_not_sent_once_it_is_acknowledged(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    await outbox.send()
    await pass_time(pool, 901)
    async with pool.transaction() as cur:
        await cur.execute(alert_statements.TELL_AGAIN, {"tell_again_s": list(TELL_AGAIN_S)})
    await outbox.acknowledge(1, by="admin@127.0.0.1")

    assert await outbox.send() == []
    assert await states(pool) == [("t1", "SENT", None)]


async def test_a_problem_acknowledged_before_it_was_told_is_suppressed(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    await outbox.acknowledge(1, by="admin@127.0.0.1")

    assert await outbox.send() == []
    assert await states(pool) == [("t1", "SUPPRESSED", "acknowledged")]


async def test_an_attempt_that_fails_after_the_acknowledgement_is_not_followed_by_repeats(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(severity="critical"))
    await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS - 1})
    (message,) = await outbox.claim(least="warning")
    await outbox.acknowledge(message.id, by="admin@127.0.0.1")
    await outbox.settle(message, error="refused")
    await pass_time(pool, 99_999)

    assert await outbox.send() == []


async def test_the_first_acknowledgement_counts(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    await asyncio.gather(*(outbox.acknowledge(1, by=f"admin{n}@127.0.0.1") for n in range(4)))
    ((first,),) = await rows(pool, "SELECT acknowledged_by FROM alerts")
    await outbox.acknowledge(1, by="late@127.0.0.1")

    assert await rows(pool, "SELECT acknowledged_by FROM alerts") == [(first,)]


async def test_what_is_over_or_has_no_repeats_cannot_be_acknowledged(outbox: Outbox) -> None:
    await outbox.fill(an_alert(), its_end())

    with pytest.raises(DomainError, match="over already"):
        await outbox.acknowledge(1, by="admin@127.0.0.1")
    with pytest.raises(DomainError, match="acknowledge what it is about"):
        await outbox.acknowledge(2, by="admin@127.0.0.1")
    with pytest.raises(NotFound, match="no alert 3"):
        await outbox.acknowledge(3, by="admin@127.0.0.1")


async def test_an_alert_shows_its_acknowledgement_and_when_it_is_told_again(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(1), an_alert(2))
    await outbox.send()
    await outbox.acknowledge(1, by="admin@127.0.0.1")
    lists = PgLists(pool)

    known, standing = [orjson.loads(await lists.alert(n) or b"") for n in (1, 2)]

    assert (known["acknowledged_by"], known["tell_again_at"]) == ("admin@127.0.0.1", None)
    assert known["acknowledged_at"].endswith("Z")
    assert (standing["acknowledged_by"], standing["told_again"]) == (None, 0)
    assert standing["tell_again_at"].endswith("Z")
    assert await lists.alert(3) is None


async def test_a_new_problem_after_a_recovery_is_a_new_alert(outbox: Outbox) -> None:
    await outbox.fill(an_alert())
    await outbox.send()
    await outbox.fill(its_end(), an_alert())

    assert await outbox.send() == ["t1 is over", "t1"]


async def test_what_is_over_at_once_is_not_told_twice_within_an_hour(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(lasts=False), an_alert(lasts=False))
    first = await outbox.send()
    await pass_time(pool, 3601)
    await outbox.fill(an_alert(lasts=False))

    assert first == ["t1"]
    assert await outbox.send() == ["t1"]
    assert await outbox.open_keys() == frozenset()


async def test_open_problems_are_known_to_the_next_process(outbox: Outbox) -> None:
    await outbox.fill(an_alert(1), an_alert(2), its_end(1))

    assert await outbox.open_keys() == {"job:2"}


async def test_texts_are_cut_and_cleaned_before_they_are_stored(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(
        an_alert(key="k" * 999, title="t\x00" * 999, body="\ud800" + "b" * 9999),
    )

    ((key, title, body),) = await rows(
        pool, "SELECT length(key), length(title), length(body) FROM alerts"
    )
    assert (key, title, body) == (200, 200, 2000)


# --- recoveries ----------------------------------------------------------------------------------


async def test_a_recovery_is_told_with_the_length_of_the_problem(outbox: Outbox) -> None:
    await outbox.fill(an_alert(), an_alert())
    await outbox.send()
    await outbox.put(Recovery(key="job:1", title="over", at=T0))

    (message,) = await outbox.claim(least="warning")

    assert message.is_recovery
    assert message.severity == "error"
    assert message.body == "It is over: t1. Seen 2 time(s) since 2026-01-24T09:00:00Z."


async def test_a_recovery_of_what_never_was_is_nothing(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(its_end())

    assert await states(pool) == []


async def test_a_recovery_waits_for_its_problem_to_be_told(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert(), its_end())
    first = await outbox.send(error="refused")
    await pass_time(pool, 2)
    second = await outbox.send()

    assert (first, second) == (["t1"], ["t1"])
    assert await outbox.send() == ["t1 is over"]


@pytest.mark.parametrize("least", ["error", "critical"])
async def test_a_recovery_of_a_problem_nobody_was_told_is_not_told(
    outbox: Outbox, pool: Pool, least: Severity
) -> None:
    await outbox.fill(an_alert(severity="warning"))
    await outbox.send(least=least)
    await outbox.fill(its_end())

    assert await outbox.send(least="info") == []
    assert await states(pool) == [
        ("t1", "SUPPRESSED", "below_severity"),
        ("t1 is over", "SUPPRESSED", "problem_not_sent"),
    ]


async def test_a_reminder_is_not_sent_once_the_problem_is_over(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    await outbox.send()
    await pass_time(pool, 901)
    async with pool.transaction() as cur:
        await cur.execute(alert_statements.TELL_AGAIN, {"tell_again_s": list(TELL_AGAIN_S)})
    await outbox.fill(its_end())

    assert await outbox.send() == ["t1 is over"]


# --- attempts ------------------------------------------------------------------------------------


async def test_a_failed_attempt_is_due_again_after_its_wait(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    await outbox.send(error="1:json: refused")
    at_once = await outbox.send()
    await pass_time(pool, 1)

    assert at_once == []
    assert await rows(pool, "SELECT state, attempts, last_error FROM alerts") == [
        ("PENDING", 1, "1:json: refused")
    ]
    assert await outbox.send() == ["t1"]


async def test_after_the_last_attempt_it_is_given_up(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS - 1})
    (message,) = await outbox.claim(least="warning")

    goes_on = await outbox.settle(message, error="refused")

    assert not goes_on
    assert await states(pool) == [("t1", "FAILED", None)]


async def test_a_sender_that_died_leaves_it_to_be_sent_again_once(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    await outbox.claim(least="warning")
    while_alive = await outbox.send()
    await pass_time(pool, 61)

    assert while_alive == []
    assert await outbox.send() == ["t1"]
    assert await outbox.send() == []


async def test_what_a_target_had_before_the_crash_is_remembered(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    (message,) = await outbox.claim(least="warning")
    await outbox.delivered(message.id, target=TARGET)
    await outbox.delivered(message.id, target=TARGET)
    await pass_time(pool, 61)

    (again,) = await outbox.claim(least="warning")

    assert again.delivered_to == {TARGET}
    assert await rows(pool, "SELECT delivered_to FROM alerts") == [([TARGET],)]


async def test_a_sender_taken_for_dead_does_not_speak_for_its_successor(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    (stale,) = await outbox.claim(least="warning")
    await pass_time(pool, 61)
    (present,) = await outbox.claim(least="warning")

    await outbox.settle(stale, error="refused")
    in_between = await states(pool)
    await outbox.settle(present, error=None)

    assert in_between == [("t1", "SENDING", None)]
    assert await states(pool) == [("t1", "SENT", None)]


async def test_a_sender_that_died_at_the_last_attempt_ends_it(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert())
    await outbox.claim(least="warning")
    await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS})
    await pass_time(pool, 61)

    assert await outbox.send() == []
    assert await rows(pool, "SELECT state, last_error FROM alerts") == [("FAILED", "interrupted")]


async def test_the_end_of_what_a_sender_died_with_at_the_last_attempt_is_not_told(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())
    await outbox.claim(least="warning")
    await execute(pool, "UPDATE alerts SET attempts = %(n)s", {"n": MAX_ATTEMPTS})
    await pass_time(pool, 61)
    await outbox.fill(its_end())

    assert await outbox.send() == []
    assert await states(pool) == [
        ("t1", "FAILED", None),
        ("t1 is over", "SUPPRESSED", "problem_not_sent"),
    ]


async def test_of_many_senders_at_once_each_message_has_one(outbox: Outbox) -> None:
    await outbox.fill(*(an_alert(n) for n in range(8)))

    claims = await asyncio.gather(*(outbox.claim(least="warning") for _ in range(4)))
    claims.append(await outbox.claim(least="warning"))

    sent = [message.title for claim in claims for message in claim]
    assert sorted(sent) == [f"t{n}" for n in range(8)]


#: What each step of a claim would change, by how it comes to be.
STEPS = {
    "too mild": "UPDATE alerts SET severity = 'info' WHERE title = 't1'",
    "over before it was told again": (
        "UPDATE alerts SET told_at = now(), recovered_at = now(), tell_again_at = NULL"
        " WHERE title = 't1'"
    ),
    "lost at its last attempt": (
        "UPDATE alerts SET state = 'SENDING', attempts = 99 WHERE title = 't1'"
    ),
    "due": "UPDATE alerts SET occurrences = 2 WHERE title = 't1'",
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_sender_does_not_wait_for_who_writes_an_alert(
    outbox: Outbox, pool: Pool, step: str
) -> None:
    await outbox.fill(an_alert(1), an_alert(2))
    await execute(pool, STEPS[step])

    # Waiting would end in StoreTimeout.
    async with pool.transaction() as booking:
        await booking.execute("SELECT FROM alerts WHERE title = 't1' FOR UPDATE")
        sent = await outbox.send()

    assert sent == ["t2"]


#: What takes an alert out that was due a moment ago.
ENDS = {step: change for step, change in STEPS.items() if step != "due"} | {
    "the end of what nobody was told": (
        "UPDATE alerts SET state = 'FAILED', next_attempt_at = NULL WHERE title = 't2';"
        "UPDATE alerts SET kind = 'RECOVERY', about = two.id, tell_again_at = NULL"
        "  FROM (SELECT id FROM alerts WHERE title = 't2') AS two WHERE title = 't1'"
    ),
}


@pytest.mark.parametrize("end", ENDS)
async def test_what_becomes_needless_in_the_middle_of_a_claim_is_not_sent(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    await outbox.fill(an_alert(1), an_alert(2))
    monkeypatch.setattr(alert_statements, "DUE", f"{ENDS[end]};{alert_statements.DUE}")

    assert "t1" not in await outbox.send()


async def test_giving_up_on_all_does_not_wait_for_who_writes_an_alert(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert(1), an_alert(2))

    async with pool.transaction() as booking:
        await booking.execute("SELECT FROM alerts WHERE title = 't1' FOR UPDATE")
        first = await outbox.suppress_all()
    then = await outbox.suppress_all()

    assert [message.title for message in (*first, *then)] == ["t2", "t1"]


# --- the limit -----------------------------------------------------------------------------------


async def test_a_storm_is_ten_messages_and_the_last_one_carries_the_rest(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(*(an_alert(n) for n in range(30)))

    sent = await outbox.send()

    assert len(sent) == MOST_MESSAGES
    assert sent[-1] == "and 21 more alerts"
    held = await rows(
        pool,
        "SELECT count(*), count(told_at), count(DISTINCT summary) FROM alerts"
        " WHERE state = 'SUPPRESSED' AND reason = 'summarised'",
    )
    assert held == [(21, 21, 1)]


async def test_what_comes_beyond_the_limit_waits_for_the_window_to_move_on(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(*(an_alert(n) for n in range(30)))
    await outbox.send()
    await outbox.fill(an_alert(31), an_alert(32), an_alert(33, severity="critical"))
    within = await outbox.send()
    await pass_time(pool, 601)

    assert within == ["t33"]
    assert await outbox.send() == ["t31", "t32"]


async def test_many_critical_problems_are_one_message_each_time_they_are_told(
    outbox: Outbox, pool: Pool
) -> None:
    """First at once; then again and again, with an error of its own beside them."""
    await outbox.fill(*(an_alert(n, severity="critical") for n in range(25)))
    told = [await outbox.send()]
    for wait_s in TELL_AGAIN_S:
        await pass_time(pool, wait_s + 1)
        told.append(await outbox.send())

    assert told == [["25 critical alerts"]] * 4
    bodies = await rows(pool, "SELECT body FROM alerts WHERE kind = 'SUMMARY'")
    assert [body.count("critical: t") for (body,) in bodies] == [25] * 4


async def test_critical_problems_that_stand_wait_for_the_limit_and_new_ones_do_not(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(*(an_alert(n, severity="critical") for n in range(5)))
    await outbox.send()
    await pass_time(pool, TELL_AGAIN_S[0] + 1)
    await outbox.send()
    await pass_time(pool, TELL_AGAIN_S[1] - 60)
    await outbox.fill(*(an_alert(n) for n in range(50, 80)))
    await outbox.send()
    await pass_time(pool, 120)
    await outbox.fill(an_alert(90, severity="critical"))
    within = await outbox.send()
    await outbox.fill(an_alert(0, severity="critical", body="another cause"))
    another = await outbox.send()
    await pass_time(pool, 601)

    assert (within, another) == (["t90"], ["t0"])
    assert await outbox.send() == ["4 critical alerts"]


async def test_a_summary_of_critical_problems_that_no_address_took_is_tried_until_one_does(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(*(an_alert(n, severity="critical", lasts=False) for n in range(5)))
    for _ in range(MAX_ATTEMPTS):
        await outbox.send(error="down")
        await pass_time(pool, 61)
    given_up = await outbox.send()
    await pass_time(pool, TELL_AGAIN_S[0] + 1)

    assert given_up == []
    assert await outbox.send() == ["5 critical alerts"]
    assert await rows(pool, "SELECT count(told_at) FROM alerts WHERE kind = 'NOTICE'") == [(5,)]


async def test_the_recovery_of_a_problem_told_in_a_summary_is_told(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(*(an_alert(n) for n in range(30)))
    await outbox.send()
    await pass_time(pool, 601)
    await outbox.fill(its_end(29))

    assert await outbox.send() == ["t29 is over"]


# --- no target, and no database ----------------------------------------------------------------


async def test_with_nobody_to_send_to_it_is_suppressed_and_returned_once(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.fill(an_alert())

    messages = await outbox.suppress_all()

    assert [message.title for message in messages] == ["t1"]
    assert await outbox.suppress_all() == ()
    assert await states(pool) == [("t1", "SUPPRESSED", "no_target")]


async def test_what_was_sent_past_the_outbox_is_not_sent_again_and_its_end_is(
    outbox: Outbox, pool: Pool
) -> None:
    await outbox.put(an_alert(), told=True)
    await outbox.fill(its_end())

    assert await states(pool) == [("t1", "SENT", None), ("t1 is over", "PENDING", None)]
    assert await outbox.send() == ["t1 is over"]


# --- in the transaction of the event -----------------------------------------------------------


async def test_an_alert_lives_and_dies_with_the_transaction_of_its_event(pool: Pool) -> None:
    async def cut_off() -> None:
        async with pool.transaction() as cur:
            await put(cur, an_alert())
            raise StoreDown

    with pytest.raises(StoreDown):
        await cut_off()

    assert await states(pool) == []


async def test_an_order_that_becomes_unknown_and_then_fails_is_told_with_its_rows(
    pool: Pool, outbox: Outbox
) -> None:
    orders = PgOrders(pool, notices=order_notices)
    epoch = await PgLease(pool, owner="me", ttl_s=60).acquire()
    await switch(pool, on=True)
    assert epoch is not None
    order = await orders.add(
        an_intent(), identifier="uat-9", decision_id=None, at=T0, epoch=epoch, **BY_SIGNAL
    )
    unknown = order.moved_to(OrderStatus.UNKNOWN)
    failed = unknown.moved_to(OrderStatus.FAILED, reason="not_placed")

    await orders.advance(unknown, seen=OrderStatus.PENDING, at=T0)
    lost_race = await orders.advance(failed, seen=OrderStatus.PENDING, at=T0)
    first = await outbox.send()
    await orders.advance(failed, seen=OrderStatus.UNKNOWN, at=T0)

    assert not lost_race
    assert first == ["A BUY order for KRW-BTC may or may not be on the book"]
    assert await outbox.send() == [
        "The fate of the BUY order for KRW-BTC is known",
        "A BUY order for KRW-BTC failed",
    ]


async def test_switching_trading_is_told_with_the_change_and_not_without_one(
    pool: Pool, outbox: Outbox
) -> None:
    settings = Settings(PgSettingRows(pool, notices=setting_notices), clock := FakeClock())
    for value in (False, True, True, False):
        await settings.change({"trading_enabled": value}, by="cli:me")
    clock.pass_time(1)
    await settings.change({"trading_enabled": True}, by="cli:me")

    # The market's clock may stand still between two of them.
    assert await outbox.send() == [
        "Trading is switched on",
        "Trading is switched off",
        "Trading is switched on",
    ]


# --- the list ------------------------------------------------------------------------------------


async def test_the_list_shows_how_far_each_has_come(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert(1), an_alert(2, severity="info"))
    await outbox.send()
    lists = PgLists(pool)

    page = await lists.alerts(limit=1)
    assert page.last is not None
    rest = await lists.alerts(limit=1, before=PageKey(page.last.at, page.last.id))
    (newest,) = orjson.loads(page.items)
    (oldest,) = orjson.loads(rest.items)

    assert rest.last is None
    assert (newest["state"], newest["reason"]) == ("SUPPRESSED", "below_severity")
    assert newest["next_attempt_at"] is None
    assert oldest["state"] == "SENT"
    assert oldest["delivered_to"] == [TARGET]
    assert oldest["created_at"] == "2026-01-24T09:00:00.000000Z"
    assert oldest["sent_at"].endswith("Z")


async def test_the_list_is_filtered_by_state_and_severity(outbox: Outbox, pool: Pool) -> None:
    await outbox.fill(an_alert(1), an_alert(2, severity="critical"))
    lists = PgLists(pool)

    pages = [
        await lists.alerts(limit=9, state="PENDING"),
        await lists.alerts(limit=9, state="SENT"),
        await lists.alerts(limit=9, severity="critical"),
    ]

    assert [len(orjson.loads(page.items)) for page in pages] == [2, 0, 1]


async def test_looking_for_what_is_due_reads_the_small_index(pool: Pool) -> None:
    await execute(
        pool,
        "INSERT INTO alerts (kind, key, severity, title, body, state, created_at, last_at)"
        " SELECT 'NOTICE', n::text, 'error', 't', '', 'SENT', now(), now()"
        " FROM generate_series(1, 5000) AS n",
    )
    await execute(pool, "ANALYZE alerts")

    plan = str(await rows(pool, f"EXPLAIN {alert_statements.ANY_DUE}"))

    assert "alerts_due" in plan
    assert "alerts_tell_again" in plan
