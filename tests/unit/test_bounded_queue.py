"""How long callers wait for a place, by the queue's last half minute."""

import asyncio

import pytest

from service.bounded_queue import FEWEST, WINDOW_S, WaitStatistics
from service.domain.errors import StoreBusy
from service.store.database.pool_queue import PoolQueue


class Time:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def waits(time: Time) -> WaitStatistics:
    return WaitStatistics(now=time)


def waited(waits: WaitStatistics, time: Time, *seconds: float) -> None:
    for wait_s in seconds:
        began = waits.began()
        time.at += wait_s
        waits.ended(began)


def test_of_a_hundred_waits_five_are_longer(waits: WaitStatistics, time: Time) -> None:
    waited(waits, time, *(n / 1000 for n in range(1, 101)))

    assert waits.p95_ms() == pytest.approx(95, abs=1)
    assert waits.waited == 100
    assert waits.waited_s == pytest.approx(5.05)


def test_a_percentile_of_a_few_says_nothing(waits: WaitStatistics, time: Time) -> None:
    waited(waits, time, *[0.5] * (FEWEST - 1))
    few = waits.p95_ms()
    waits.none()

    assert few is None
    assert waits.p95_ms() == pytest.approx(500)


def test_waits_of_long_ago_are_over(waits: WaitStatistics, time: Time) -> None:
    waited(waits, time, *[0.5] * FEWEST)
    time.at += WINDOW_S

    for _ in range(FEWEST):
        waits.none()

    assert waits.p95_ms() == 0


async def test_a_wait_is_measured_and_a_place_that_was_free_counts_as_none(
    waits: WaitStatistics, time: Time
) -> None:
    places = PoolQueue(1, max_waiting=100, wait_s=20, waits=waits)

    async def enter() -> None:
        async with places:
            pass

    async with places:
        waiting = [asyncio.ensure_future(enter()) for _ in range(FEWEST)]
        await asyncio.sleep(0)
        assert places.waiting == FEWEST
        time.at += 0.25
    await asyncio.gather(*waiting)

    assert waits.p95_ms() == pytest.approx(250)


async def test_a_wait_that_times_out_counts(waits: WaitStatistics, time: Time) -> None:
    places = PoolQueue(1, max_waiting=100, wait_s=0.001, waits=waits)
    waited(waits, time, *[1.0] * (FEWEST - 2))

    async with places:
        with pytest.raises(StoreBusy):
            async with places:
                pass

    assert waits.p95_ms() == pytest.approx(1000), "twenty by now"
