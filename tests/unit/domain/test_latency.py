import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.latency import (
    LAST_BUCKET,
    LEAST_MS,
    RELATIVE_ERROR,
    Sketch,
    bucket_of,
    middle_of,
)

DURATIONS = st.floats(min_value=LEAST_MS, max_value=9_000_000)


@given(ms=DURATIONS)
def test_every_duration_is_within_one_percent_of_its_buckets_middle(ms: float) -> None:
    assert middle_of(bucket_of(ms)) == pytest.approx(ms, rel=RELATIVE_ERROR * 1.000_001)


@given(shorter=DURATIONS, longer=DURATIONS)
def test_a_longer_duration_is_never_in_a_lower_bucket(shorter: float, longer: float) -> None:
    low, high = sorted((shorter, longer))

    assert bucket_of(low) <= bucket_of(high)


@pytest.mark.parametrize(
    ("ms", "bucket"), [(0.0, 0), (-1.0, 0), (LEAST_MS, 0), (1e12, LAST_BUCKET)]
)
def test_what_lies_beyond_the_buckets_is_in_the_outermost(ms: float, bucket: int) -> None:
    assert bucket_of(ms) == bucket


@given(parts=st.lists(st.lists(DURATIONS, max_size=20), max_size=5))
def test_merging_says_the_same_as_counting_all_in_one(parts: list[list[float]]) -> None:
    merged, whole = Sketch(), Sketch()
    for part in parts:
        sketch = Sketch()
        for ms in part:
            sketch.add(ms)
            whole.add(ms)
        merged.merge(sketch)

    assert (merged.count, merged.max_ms, merged.buckets) == (
        whole.count,
        whole.max_ms,
        whole.buckets,
    )
    assert merged.sum_ms == pytest.approx(whole.sum_ms)
