"""How far our clock is off, from a header with whole seconds and a way there and back."""

from datetime import UTC, datetime, timedelta

import pytest

from service.adapters.upbit.skew import SkewMeter

ASKED = datetime(2026, 11, 22, 20, 55, 1, 500_000, tzinfo=UTC)


def seen(date: str | None, *, took_s: float = 0.1) -> float | None:
    """Return the skew after one answer that came `took_s` after ASKED."""
    instants = iter([ASKED, ASKED + timedelta(seconds=took_s)])
    meter = SkewMeter(now=lambda: next(instants))

    meter.heard(date, asked_at=meter.asked())

    return meter.seconds


def test_before_the_first_answer_nothing_is_known() -> None:
    assert SkewMeter().seconds is None


@pytest.mark.parametrize("date", [None, "", "yesterday", "2026-11-22T20:55:01Z"])
def test_an_answer_without_a_readable_date_says_nothing(date: str | None) -> None:
    assert seen(date) is None


def test_the_fraction_that_the_header_leaves_out_is_no_skew() -> None:
    assert seen("Sun, 22 Nov 2026 20:55:01 GMT") == 0


def test_a_slow_answer_is_no_skew() -> None:
    assert seen("Sun, 22 Nov 2026 20:55:04 GMT", took_s=5) == 0


def test_a_clock_that_is_ahead_counts_from_the_end_of_the_stamped_second() -> None:
    assert seen("Sun, 22 Nov 2026 20:54:51 GMT") == pytest.approx(9.5)


def test_a_clock_that_is_behind_counts_from_the_answer() -> None:
    assert seen("Sun, 22 Nov 2026 20:55:11 GMT") == pytest.approx(-9.4)


def test_the_last_answer_counts_and_an_unreadable_one_leaves_it() -> None:
    now = ASKED
    meter = SkewMeter(now=lambda: now)

    meter.heard("Sun, 22 Nov 2026 20:54:51 GMT", asked_at=now)
    meter.heard("?", asked_at=now)
    first = meter.seconds
    meter.heard("Sun, 22 Nov 2026 20:55:01 GMT", asked_at=now)

    assert first == pytest.approx(9.5)
    assert meter.seconds == 0


def test_what_each_answer_said_is_handed_over_once() -> None:
    now = ASKED
    meter = SkewMeter(now=lambda: now)
    meter.heard("Sun, 22 Nov 2026 20:54:51 GMT", asked_at=now)
    meter.heard("Sun, 22 Nov 2026 20:55:01 GMT", asked_at=now)

    first, second = meter.take(), meter.take()

    assert list(first) == pytest.approx([9.5, 0])
    assert second == ()
    assert meter.seconds == 0


def test_answers_that_nobody_asks_about_are_forgotten() -> None:
    meter = SkewMeter(now=lambda: ASKED)
    for _ in range(1000):
        meter.heard("Sun, 22 Nov 2026 20:55:01 GMT", asked_at=ASKED)

    assert len(meter.take()) < 100
