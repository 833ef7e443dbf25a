"""A repeating job, declared."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from service.domain.signals import Trigger

Period = Callable[[], Awaitable[timedelta]]
Switch = Callable[[], Awaitable[bool]]


def _nothing(_: Trigger) -> None:
    """The default of `Loop.begin`: nothing to do before the first attempt."""


def _busy() -> bool:
    """The default of `Loop.is_idle`: each pass does work."""
    return False


async def _accepted() -> None:
    """The default of `Loop.check_call`: a run by hand is always accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One job: `step` does one pass, the runner does the rest.

    Attributes:
        every: the period. It is read before each pass, because the operator may change it.
        begin: called once per pass, before its first attempt, with the pass's trigger.
        check_call: called before a run by hand is accepted; raises the reason of a refusal.
        deadline_s: real seconds one attempt may take before it is cancelled as hung.
        is_job: False for internal maintenance loops; a good pass of theirs is a DEBUG line.
        is_idle: called after a good pass of a job. True: it found no work, and its line is DEBUG.
        needs_lease: whether it does work only in the process that holds the trading lease. A good
            pass without it says nothing of the failures before it.
        enabled: read before each pass; returns whether the job is on. None: it is always on.
        nudge: set it to start the next pass now.
    """

    name: str
    every: Period
    step: Callable[[], Awaitable[None]]
    begin: Callable[[Trigger], None] = _nothing
    check_call: Callable[[], Awaitable[None]] = _accepted
    deadline_s: float = 60.0
    is_job: bool = True
    is_idle: Callable[[], bool] = _busy
    needs_lease: bool = False
    enabled: Switch | None = None
    nudge: asyncio.Event = field(default_factory=asyncio.Event)


def every(**duration: float) -> Period:
    """Return a period that never changes, e.g. `every(seconds=10)`."""
    period = timedelta(**duration)

    async def fixed() -> timedelta:
        return period

    return fixed
