"""A repeating job, declared."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from service.domain.signals import Trigger

Period = Callable[[], Awaitable[timedelta]]
Switch = Callable[[], Awaitable[bool]]


def _nothing(_: Trigger) -> None:
    """Most passes begin with their first attempt."""


async def _accepted() -> None:
    """Most jobs can be run by hand at any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One job: `step` does one pass, the runner does the rest.

    Attributes:
        every: asked before each pass, because the operator may change it while we run.
        begin: called once a pass, before its first attempt, with what triggered the pass.
        check_call: asked before a run by hand is accepted; raises the reason of a refusal.
        deadline_s: real seconds one attempt may take before it is cancelled as hung.
        is_job: False for the house's own beats, which write no job line.
        needs_lease: whether only the process that trades does anything in this job.
        enabled: asked before each pass whether the job is on; None: it always is.
        nudge: set it to have the next pass now.
    """

    name: str
    every: Period
    step: Callable[[], Awaitable[None]]
    begin: Callable[[Trigger], None] = _nothing
    check_call: Callable[[], Awaitable[None]] = _accepted
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
