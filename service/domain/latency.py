"""Durations in log-spaced buckets: sketches that add up, with percentiles exact within 1 %.

Bucket 0 holds everything up to LEAST_MS, bucket i everything in (LEAST_MS * GAMMA^(i-1),
LEAST_MS * GAMMA^i]; every value is within 1 % of its bucket's middle.
Source: Masson, Rim, Lee, DDSketch (VLDB 2019).
"""

import math
from dataclasses import dataclass, field
from typing import Final

RELATIVE_ERROR: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
LEAST_MS: Final = 0.001
#: About three hours. A longer duration counts in this bucket, and `max_ms` has its exact value.
LAST_BUCKET: Final = 1150
_PER_BUCKET: Final = 1 / math.log(GAMMA)
_SHIFT: Final = -math.log(LEAST_MS) * _PER_BUCKET


def bucket_of(ms: float) -> int:
    if ms <= LEAST_MS:
        return 0
    return min(math.ceil(math.log(ms) * _PER_BUCKET + _SHIFT), LAST_BUCKET)


def middle_of(bucket: int) -> float:
    """Return the value that represents `bucket`, milliseconds."""
    middle: float = LEAST_MS * 2 * GAMMA**bucket / (GAMMA + 1)
    return middle


@dataclass(slots=True)
class Sketch:
    """A histogram of durations. It is mutable, since every request adds to it."""

    count: int = 0
    sum_ms: float = 0.0
    max_ms: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)  #: bucket -> count

    def add(self, ms: float) -> None:
        self.count += 1
        self.sum_ms += ms
        self.max_ms = max(self.max_ms, ms)
        bucket = bucket_of(ms)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: "Sketch") -> None:
        self.count += other.count
        self.sum_ms += other.sum_ms
        self.max_ms = max(self.max_ms, other.max_ms)
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
