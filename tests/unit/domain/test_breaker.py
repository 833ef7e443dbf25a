"""The breaker against its rules, by example and by any history at all."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.domain.breaker import (
    MAX_CONSECUTIVE,
    MIN_CALLS,
    ONE_MOMENT_S,
    OPEN_S,
    STREAK_GAP_S,
    Breaker,
    Permit,
)


@dataclass
class Asked:
    """One dependency that is asked one call after the other."""

    breaker: Breaker = field(default_factory=Breaker)
    now: float = 1000.0

    def call(self, *, worked: bool | None, took_s: float = 0.0) -> bool:
        """Return whether the call was let through."""
        begun = self.breaker.begin(self.now)
        if begun is None:
            return False
        self.breaker, permit = begun
        self.now += took_s
        self.breaker = self.breaker.end(permit, self.now, worked=worked)
        return True

    def fail(self, *after_s: float, took_s: float = 0.0) -> None:
        """Fail once after each of the waits."""
        for wait_s in after_s:
            self.now += wait_s
            assert self.call(worked=False, took_s=took_s)

    @property
    def is_open(self) -> bool:
        return self.breaker.wait_s(self.now) > 0


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_the_fifth_failure_in_a_row_opens_it_for_fifteen_seconds(asked: Asked) -> None:
    asked.fail(*[2.0] * 4)
    after_four = asked.is_open
    asked.fail(2.0)

    assert not after_four
    assert asked.breaker.wait_s(asked.now) == 15
    assert not asked.call(worked=True)
    asked.now += 15
    assert asked.call(worked=True)


def test_a_success_begins_the_row_anew(asked: Asked) -> None:
    asked.fail(*[2.0] * 4)
    asked.call(worked=True)
    asked.fail(*[2.0] * 4)

    assert not asked.is_open


def test_a_call_whose_end_says_nothing_changes_nothing(asked: Asked) -> None:
    asked.fail(*[2.0] * 4)
    asked.call(worked=None)
    asked.fail(2.0)

    assert asked.is_open


def test_failures_of_one_moment_count_once(asked: Asked) -> None:
    """Ten markets meet the same hiccup: one failure, and the retries of a pass stay as they are."""
    for wait_s in (0, 1, 2, 4):
        asked.fail(wait_s, *[0.01] * 9)

    assert not asked.is_open


def test_a_pass_and_its_retries_never_open_it_however_many_passes_fail(asked: Asked) -> None:
    for _ in range(10):
        asked.fail(0, 1, 2, 4)
        asked.now += 60 - 7

    assert not asked.is_open


def test_calls_that_hang_one_after_the_other_open_it(asked: Asked) -> None:
    asked.fail(*[0.0] * MAX_CONSECUTIVE, took_s=30)

    assert asked.is_open


@pytest.mark.parametrize(("gap_s", "is_open"), [(STREAK_GAP_S, True), (STREAK_GAP_S + 0.1, False)])
def test_a_row_goes_on_while_the_next_call_begins_soon(
    asked: Asked, gap_s: float, *, is_open: bool
) -> None:
    asked.fail(*[2.0] * 4)
    asked.fail(gap_s)

    assert asked.is_open is is_open


def in_turn(asked: Asked, ends: Iterable[bool], *, every_s: float = 2.0) -> None:
    for worked in ends:
        asked.now += every_s
        asked.call(worked=worked)


def test_half_of_ten_calls_failing_opens_it(asked: Asked) -> None:
    in_turn(asked, [False, True] * 4 + [True])
    before = asked.is_open
    in_turn(asked, [False])

    assert not before
    assert asked.is_open


@pytest.mark.parametrize(
    ("ends", "every_s"),
    [
        ([False, True] * 4 + [False], 2.0),  # nine calls
        ([False, True, True] * 10, 2.0),  # a third
        ([False, True] * 20, 4.0),  # never ten in half a minute
    ],
)
def test_fewer_failures_do_not(asked: Asked, ends: list[bool], every_s: float) -> None:
    in_turn(asked, ends, every_s=every_s)

    assert not asked.is_open


def test_each_probe_in_vain_doubles_the_wait_up_to_a_minute(asked: Asked) -> None:
    asked.fail(*[2.0] * MAX_CONSECUTIVE)
    waits = []
    for _ in range(5):
        waits.append(asked.breaker.wait_s(asked.now))
        asked.now += waits[-1]
        asked.call(worked=False)

    assert waits == [15, 30, 60, 60, 60]


def test_a_probe_that_works_closes_it_and_forgets(asked: Asked) -> None:
    asked.fail(*[2.0] * MAX_CONSECUTIVE)
    asked.fail(15)
    asked.now += 30
    asked.call(worked=True)
    after_probe = asked.breaker
    asked.fail(*[2.0] * 4)
    still_closed = not asked.is_open
    asked.fail(2.0)

    assert after_probe == Breaker(generation=after_probe.generation)
    assert still_closed
    assert asked.breaker.wait_s(asked.now) == 15


def test_one_probe_at_a_time(asked: Asked) -> None:
    asked.fail(*[2.0] * MAX_CONSECUTIVE)
    asked.now += 15
    begun = asked.breaker.begin(asked.now)
    assert begun is not None
    asked.breaker, probe = begun

    second = asked.breaker.begin(asked.now)
    asked.breaker = asked.breaker.end(probe, asked.now, worked=None)

    assert second is None
    assert asked.breaker.begin(asked.now) is not None, "it said nothing: the next one finds out"


def test_an_answer_that_was_on_its_way_before_it_opened_says_nothing_any_more(
    asked: Asked,
) -> None:
    begun = asked.breaker.begin(asked.now)
    assert begun is not None
    asked.breaker, early = begun
    asked.fail(*[2.0] * MAX_CONSECUTIVE)
    opened = asked.breaker

    assert opened.end(early, asked.now, worked=True) == opened
    assert opened.end(early, asked.now, worked=False) == opened


class AnyHistory(RuleBasedStateMachine):
    """Calls that overlap, end as they like and as late as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 0.0
        self.under_way: list[Permit] = []
        self.failed_since_closed = 0
        self.opened_at: float | None = None
        self.openings = 0

    @rule(seconds=st.one_of(st.floats(0, 3), st.floats(0, 90)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        begun = self.breaker.begin(self.now)
        if self.opened_at is not None:
            open_s = OPEN_S[min(self.openings, len(OPEN_S)) - 1]
            too_early = self.now - self.opened_at < open_s - 1e-6
            probe_out = any(
                t.is_probe and t.generation == self.breaker.generation for t in self.under_way
            )
            assert not (begun and (too_early or probe_out))
        if begun is not None:
            self.breaker, permit = begun
            assert permit.is_probe == (self.opened_at is not None)
            self.under_way.append(permit)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), worked=st.sampled_from([True, False, False, None]))
    def a_call_ends(self, data: st.DataObject, worked: bool | None) -> None:
        permit = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(permit)
        before, self.breaker = self.breaker, self.breaker.end(permit, self.now, worked=worked)
        if permit.generation == before.generation and worked is False:
            self.failed_since_closed += 1
        if before.opened_at is None and self.breaker.opened_at is not None:
            assert worked is False, "only a failure opens it"
            assert self.failed_since_closed >= min(MAX_CONSECUTIVE, MIN_CALLS // 2)
            self.opened_at, self.openings = self.now, 1
        elif permit.is_probe and permit.generation == before.generation and worked is False:
            self.opened_at, self.openings = self.now, self.openings + 1
        elif before.opened_at is not None and self.breaker.opened_at is None:
            assert permit.is_probe
            assert worked, "only a probe that works closes it"
            self.opened_at, self.openings, self.failed_since_closed = None, 0, 0

    @invariant()
    def it_always_heals(self) -> None:
        """No caller waits for more than a minute, and then one call is let through."""
        wait_s = self.breaker.wait_s(self.now)
        assert 0 <= wait_s <= OPEN_S[-1]
        if not self.breaker.probing:
            assert self.breaker.begin(self.now + wait_s + 1e-6) is not None
        else:
            assert wait_s == ONE_MOMENT_S

    @invariant()
    def it_is_open_when_the_rules_say_so(self) -> None:
        assert self.breaker.opened_at == self.opened_at


TestAnyHistory = AnyHistory.TestCase
