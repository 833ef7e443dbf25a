"""A repeating job, declared."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

Period = Callable[[], Awaitable[timedelta]]
Switch = Callable[[], Awaitable[bool]]


def _nothing() -> None:
    """Most passes begin with their first attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One job: `step` does one pass, the runner does the rest.

    Attributes:
        every: asked before each pass, because the operator may change it while we run.
        begin: called once a pass, before its first attempt.
        deadline_s: real seconds one attempt may take before it is cancelled as hung.
        is_job: False for the house's own beats, which write no job line.
        needs_lease: whether only the process that trades does anything in this job.
        enabled: asked before each pass whether the job is on; None: it always is.
        nudge: set it to have the next pass now.
    """

    name: str
    every: Period
    step: Callable[[], Awaitable[None]]
    begin: Callable[[], None] = _nothing
    deadline_s: float = 60.0
    is_job: bool = True
    needs_lease: bool = False
    enabled: Switch | None = None
    nudge: asyncio.Event = field(default_factory=asyncio.Event)


def every(**duration: float) -> Period:
    """Return a period that never changes, e.g. `every(seconds=10)`."""
    period = timedelta(**duration)

    async def fixed() -> timedelta:
        return period

    return fixed
