"""A wait that Gemini asks for holds for every caller (FR-010)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.adapters.gemini import Gemini, open_gemini
from service.adapters.gemini_errors import quota_returns_in_s
from service.domain.errors import BoundaryError, ModelQuotaUsedUp, ModelUnavailable
from service.ports.model import Prompt
from tests.fakes.clock import FakeClock
from tests.integration.adapters.conftest import GEMINI_KEY
from tests.integration.adapters.gemini_stub import GeminiStub, Scene, opinion, refused

PROMPT = Prompt(system="be careful", facts="market: KRW-BTC")
ONE, OTHER = "gemini-3.8-flash", "gemini-3.7-flash"


def quota(*ids: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": each} for each in ids],
    }


def retry(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


PER_MODEL = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
PER_PROJECT = quota("GenerateRequestsPerMinutePerProject")
PER_DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
CAPACITY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "MODEL_CAPACITY_EXHAUSTED",
}


def busy(*details: dict[str, Any], seconds: int | None = None) -> Scene:
    headers = None if seconds is None else {"Retry-After": str(seconds)}
    return refused(429, "RESOURCE_EXHAUSTED", *details, headers=headers)


@pytest.fixture
def clock() -> FakeClock:
    # 20:00 UTC is noon in Los Angeles, twelve hours before the quota's day ends.
    return FakeClock(datetime(2026, 1, 24, 20, 0, tzinfo=UTC))


@pytest.fixture
async def gemini(gemini_stub: GeminiStub, clock: FakeClock) -> AsyncIterator[Gemini]:
    async with open_gemini(
        api_key=GEMINI_KEY, base_url=gemini_stub.address, seconds=clock.monotonic, now=clock.now
    ) as gemini:
        yield gemini


async def failure(gemini: Gemini, model: str = ONE) -> BoundaryError:
    with pytest.raises(BoundaryError) as caught:
        await gemini.ask(PROMPT, model=model)
    return caught.value


async def test_no_caller_is_let_through_before_the_wait_is_over(
    gemini: Gemini, gemini_stub: GeminiStub, clock: FakeClock
) -> None:
    gemini_stub.play(busy(seconds=40), opinion())
    first = await failure(gemini)
    clock.pass_time(15)

    second = await failure(gemini)
    with pytest.raises(ModelUnavailable) as pinged:
        await gemini.ping(ONE)

    assert (first.sent, second.sent) == (True, False)
    assert isinstance(second, ModelUnavailable)
    assert (second.code, second.retry_after_s) == ("rate_limited", 25)
    assert pinged.value.retry_after_s == 25
    assert len(gemini_stub.asked) == 1
    clock.pass_time(25)
    assert (await gemini.ask(PROMPT, model=ONE)).proposal is not None


@pytest.mark.parametrize(
    ("scene", "of_model"),
    [
        (busy(PER_MODEL, retry("34.07s")), True),
        (busy(CAPACITY, retry("30s")), True),
        (busy(PER_PROJECT, retry("34.07s")), False),
        (busy(quota("PerModel", "PerProject"), retry("30s")), False),
        (busy(seconds=30), False),
        (refused(503, "UNAVAILABLE", retry("30s")), False),
    ],
)
async def test_the_hold_is_of_one_model_only_where_the_quota_is(
    gemini: Gemini, gemini_stub: GeminiStub, scene: Scene, of_model: bool
) -> None:
    gemini_stub.play(scene, opinion())
    await failure(gemini)

    assert not (await failure(gemini)).sent
    if of_model:
        assert (await gemini.ask(PROMPT, model=OTHER)).proposal is not None
    else:
        assert not (await failure(gemini, OTHER)).sent


@pytest.mark.parametrize(("first_s", "second_s"), [(40, 7), (7, 40)])
async def test_of_the_servers_wait_and_the_models_the_longest_wins(
    gemini: Gemini, gemini_stub: GeminiStub, clock: FakeClock, first_s: int, second_s: int
) -> None:
    gemini_stub.play(busy(PER_MODEL, retry(f"{first_s}s")), busy(seconds=second_s))
    await failure(gemini, ONE)
    await failure(gemini, OTHER)

    assert (await failure(gemini, ONE)).retry_after_s == max(first_s, second_s)
    assert (await failure(gemini, OTHER)).retry_after_s == second_s


async def test_a_shorter_wait_for_the_same_part_does_not_end_a_longer_one(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    hold = gemini._holds.keep
    hold(ONE, 40, code="rate_limited")
    hold(ONE, 7, code="unavailable")

    error = await failure(gemini)

    assert (error.code, error.retry_after_s) == ("rate_limited", 40)


async def test_a_days_quota_holds_until_its_day_ends_whatever_the_answer_asks(
    gemini: Gemini, gemini_stub: GeminiStub, clock: FakeClock
) -> None:
    gemini_stub.play(busy(PER_DAY, retry("34s")), opinion())
    first = await failure(gemini)
    clock.pass_time(12 * 3600 - 1)

    last = await failure(gemini)

    assert (first.retry_after_s, last.retry_after_s) == (12 * 3600, 1)
    assert isinstance(last, ModelQuotaUsedUp)
    assert (last.sent, last.retryable, last.code) == (False, False, "quota_exhausted")
    clock.pass_time(1)
    assert (await gemini.ask(PROMPT, model=ONE)).proposal is not None


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        (datetime(2026, 1, 24, 8, 0, tzinfo=UTC), 24),  # midnight itself, in winter
        (datetime(2026, 7, 24, 6, 30, tzinfo=UTC), 0.5),  # summer time: midnight is 07:00 UTC
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23),  # the clocks go forward at 10:00 UTC
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), 25),  # and back at 09:00 UTC
    ],
)
def test_the_quotas_day_ends_at_midnight_of_pacific_time(now: datetime, hours: float) -> None:
    assert quota_returns_in_s(now) == timedelta(hours=hours).total_seconds()


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("1h16m0.667s", 4560.667), ("57.238747106s", 57.238747106), ("2m", 120.0), ("9999h", 86_400)],
)
async def test_a_wait_in_hours_and_minutes_is_read(
    gemini: Gemini, gemini_stub: GeminiStub, delay: str, seconds: float
) -> None:
    gemini_stub.play(busy(retry(delay)))

    assert (await failure(gemini)).retry_after_s == pytest.approx(seconds)


@pytest.mark.parametrize("delay", ["", "s", "-3s", "1h 2s", "soon", "1e9s"])
async def test_a_wait_that_cannot_be_read_holds_nothing(
    gemini: Gemini, gemini_stub: GeminiStub, delay: str
) -> None:
    gemini_stub.play(busy(retry(delay)), opinion())

    assert (await failure(gemini)).retry_after_s is None
    assert (await gemini.ask(PROMPT, model=ONE)).proposal is not None
