"""What is counted of requests, minute by minute and since the start."""

from datetime import timedelta

from service.ops.metrics.requests import BOUNDS_S, RequestMeter
from service.ports.store import RequestSlot
from tests.builders import T0
from tests.fakes.clock import FakeClock

MINUTE = timedelta(minutes=1)


def answered(
    meter: RequestMeter, clock: FakeClock, seconds: float = 0.0, *, status: int = 200
) -> None:
    began = meter.began()
    clock.pass_time(seconds)
    meter.answered(began, route="/x", method="GET", status=status)


def in_short(slots: "list[RequestSlot] | tuple[RequestSlot, ...]") -> list[tuple[object, int, int]]:
    return [(slot.minute, slot.status_class, slot.sketch.count) for slot in slots]


def test_a_request_belongs_to_the_minute_it_was_answered_in() -> None:
    clock = FakeClock(at=T0 + timedelta(seconds=50))
    meter = RequestMeter(clock)

    answered(meter, clock, 4)
    answered(meter, clock, 12)
    answered(meter, clock, 60)

    slots = [*meter.take()]
    assert in_short(slots) == [(T0, 2, 1), (T0 + MINUTE, 2, 1), (T0 + 2 * MINUTE, 2, 1)]
    assert [round(slot.sketch.max_ms) for slot in slots] == [4_000, 12_000, 60_000]


def test_what_was_taken_is_not_handed_out_again() -> None:
    clock = FakeClock()
    meter = RequestMeter(clock)
    answered(meter, clock, 1)

    first, second = [*meter.take()], [*meter.take()]
    answered(meter, clock, 1)
    third = [*meter.take()]

    assert in_short(first) == in_short(third) == [(T0, 2, 1)]
    assert second == []


def test_statuses_of_a_class_are_one_slot() -> None:
    clock = FakeClock()
    meter = RequestMeter(clock)
    for status in (200, 201, 404, 503):
        answered(meter, clock, status=status)

    assert in_short([*meter.take()]) == [(T0, 2, 2), (T0, 4, 1), (T0, 5, 1)]


def test_counts_since_the_start_stay_when_minutes_are_taken() -> None:
    clock = FakeClock()
    meter = RequestMeter(clock)
    for seconds in (0.0, BOUNDS_S[0], 0.3, 99.0):
        answered(meter, clock, seconds)
        meter.take()

    ((labels, series),) = meter.series()
    assert labels == ("/x", "GET", 200)
    assert series.count == 4
    # A bound belongs to its own bucket, what is beyond the last one to +Inf. FakeClock's floats
    # put the second sample a hair beside the bound.
    assert sum(series.bounded[:2]) == 2
    assert (series.bounded[9], series.bounded[-1]) == (1, 1)
    assert round(series.sum_s, 4) == 99.3005
