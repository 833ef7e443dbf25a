"""What an operator does with jobs: switch them off, run one now."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from service.domain.errors import NotFound, TooSoon
from service.domain.markets import Market
from service.flows.flatten import Flattener
from service.flows.leadership import Leadership
from service.flows.reconcile import Reconciler
from service.loops.loop import Loop
from service.loops.runner import Runner
from service.ports.health import JobState
from service.settings.settings import Settings
from service.settings.table import DISABLED_JOBS

FLATTEN: Final = "trading.flatten"


def switchable(loops: Iterable[Loop], settings: Settings) -> Iterator[Loop]:
    """Yield each loop so that the setting `disabled_jobs` is asked before its passes."""
    for loop in loops:

        async def is_on(name: str = loop.name) -> bool:
            return name not in await settings.get(DISABLED_JOBS)

        yield replace(loop, enabled=is_on)


async def reconcile_now(
    leadership: Leadership, reconciler: Reconciler, passing: asyncio.Lock
) -> int:
    """Look every open order up at the exchange; return how many moved.

    It moves orders, so it is trading's work and uses trading's session and limits: what only looks
    must not decide what became of an order. An admin alone may ask, for one pass at a time. So it
    costs no more than the job's own pass, and leaves the API's slots for changes to others.

    Args: passing: held while a pass by hand runs.
    Raises: NotLeader; TooSoon, while another request's pass runs.
    """
    leadership.check()
    if passing.locked():
        raise TooSoon("the open orders are being looked up right now", retry_after_s=1.0)
    async with passing:
        return await reconciler.reconcile()


async def run_job(runner: Runner, leadership: Leadership, name: str) -> JobState:
    """Have a pass of `name` now, or right after the one that runs; return how the job is.

    Raises: NotFound; NotLeader, where the pass would do nothing; what the job itself refuses a
        run by hand with, e.g. TooSoon.
    """
    if name not in {state.name for state in runner.states()}:
        raise NotFound(f"there is no job {name[:40]!r}")
    if runner.needs_lease(name):
        leadership.check()
    await runner.check_call(name)
    runner.call(name)
    return runner.state(name)


async def flatten_now(
    runner: Runner,
    flattener: Flattener,
    markets: Sequence[Market] | None,
    *,
    actor: str,
    request_id: str | None,
) -> None:
    """Begin to flatten, and have its first step made now. Raises: see Flattener.begin."""
    await flattener.begin(markets, actor=actor, request_id=request_id)
    runner.nudge(FLATTEN)
