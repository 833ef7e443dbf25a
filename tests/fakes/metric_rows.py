"""The rows of measurements in memory."""

from collections.abc import Sequence
from datetime import datetime

from service.ports.store import JobRun


class FakeMetricRows:
    """Satisfies ports.MetricRows; keeps the passes."""

    def __init__(self) -> None:
        self.runs: list[JobRun] = []

    async def add_job_runs(self, runs: Sequence[JobRun]) -> None:
        self.runs.extend(runs)

    async def add_requests(self, *_: object, **__: object) -> None:
        return

    async def drop_minutes(self, *, before: datetime) -> None:
        return
