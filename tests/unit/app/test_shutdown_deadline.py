"""The stop has one clock, whatever its steps take."""

import asyncio

import pytest

from service.app.shutdown_deadline import (
    ALERTS_BY_S,
    LEASE_BY_S,
    MEASURES_BY_S,
    PASSES_BY_S,
    ShutdownDeadline,
)
from service.store.database.pool import CLOSE_S

GRACE_S = 10.0  #: what containers get, and what operators are promised


class Probe:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_what_one_step_takes_is_gone_for_the_next() -> None:
    watch = Probe()
    ending = ShutdownDeadline(watch)

    ending.begin()
    watch.at += 2
    ending.begin()  # a second SIGTERM gives no time back

    assert ending.left_s(6.0) == pytest.approx(4.0)


def test_a_step_whose_mark_is_over_may_still_do_what_needs_no_waiting() -> None:
    watch = Probe()
    ending = ShutdownDeadline(watch)
    ending.begin()

    watch.at += 60

    assert 0 < ending.left_s(6.0) < 1


def test_a_start_that_failed_ends_by_the_same_marks() -> None:
    assert ShutdownDeadline(Probe()).left_s(6.0) == pytest.approx(6.0)


async def test_a_step_is_cut_off_at_its_mark() -> None:
    watch = Probe()
    ending = ShutdownDeadline(watch)
    ending.begin()
    watch.at += 60

    with pytest.raises(TimeoutError):
        async with ending.by(6.0):
            await asyncio.Event().wait()


def test_the_steps_fit_into_the_grace_one_after_the_other() -> None:
    marks = [PASSES_BY_S, LEASE_BY_S, ALERTS_BY_S, MEASURES_BY_S]

    assert marks == sorted(marks)
    assert marks[-1] + CLOSE_S < GRACE_S
