"""The story from market to order, for one market: propose, decide, execute."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from service.domain.errors import DuplicateOrder, ModelUnavailable, NotLeader, TooSoon
from service.domain.markets import Market
from service.domain.risk import Allowed
from service.domain.signals import Signal
from service.flows.decide import Decider, Decision
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.propose import Proposer, Trigger
from service.ports import Clock, Journal
from service.settings.settings import Settings
from service.settings.table import SIGNAL_COOLDOWN_MINUTES, SIGNAL_MAX_AGE_SECONDS


@dataclass(slots=True)
class _Story:
    """A signal and how far it has come."""

    signal: Signal
    decision: Decision | None = None


class Desk:
    """Trades one market at a time per market: a manual signal waits for a scheduled one."""

    def __init__(
        self,
        *,
        proposer: Proposer,
        decider: Decider,
        executor: Executor,
        leadership: Leadership,
        journal: Journal,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._proposer = proposer
        self._decider = decider
        self._executor = executor
        self._leadership = leadership
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._locks: defaultdict[Market, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unfinished: dict[Market, _Story] = {}

    async def trade(self, market: Market, *, trigger: Trigger = "schedule") -> Signal | None:
        """Return the signal that was made, or None when the model's answer was unusable."""
        async with self._locks[market]:
            return await self._trade(market, trigger)

    async def generate(self, market: Market) -> Signal:
        """Make a signal by hand.

        Raises: TooSoon, within the cooldown after the last one; NotLeader, on a standby;
        ModelUnavailable, also when the answer came and was unusable.
        """
        if not self._leadership.may_trade:
            raise NotLeader("this process does not trade; ask the one that does")
        async with self._locks[market]:
            await self._check_cooldown(market)
            signal = await self._trade(market, "manual")
        if signal is None:
            raise ModelUnavailable("the model's answer was unusable, no signal was made")
        return signal

    async def _trade(self, market: Market, trigger: Trigger) -> Signal | None:
        # A pass that failed half-way is taken up where it stopped: asking the model again
        # would cost again and could turn one signal into two orders.
        story = self._unfinished.get(market)
        if story is not None:
            await self._finish(story)
            max_age_s = await self._settings.get(SIGNAL_MAX_AGE_SECONDS)
            if self._age_s(story.signal) <= max_age_s:
                return story.signal
        signal = await self._proposer.propose(market, trigger=trigger)
        if signal is not None:
            self._unfinished[market] = story = _Story(signal)
            await self._finish(story)
        return signal

    async def _finish(self, story: "_Story") -> None:
        if story.decision is None:
            story.decision = await self._decider.decide(story.signal)
        verdict = story.decision.verdict
        if isinstance(verdict, Allowed):
            try:
                await self._executor.execute(verdict.intent, decision_id=story.decision.id)
            except DuplicateOrder as exc:
                # The earlier attempt wrote its order before it failed; the reconciler has it.
                logger.bind(event="order", signal_id=story.signal.id, cause=str(exc)).warning(
                    "this decision's order exists already, it is not written twice"
                )
        del self._unfinished[story.signal.market]

    def _age_s(self, signal: Signal) -> float:
        return (self._clock.now() - signal.created_at).total_seconds()

    async def _check_cooldown(self, market: Market) -> None:
        minutes = await self._settings.get(SIGNAL_COOLDOWN_MINUTES)
        cooldown = timedelta(minutes=minutes)
        last = await self._journal.last_signal_at(market)
        if last is None:
            return
        left = cooldown - (self._clock.now() - last)
        if left > timedelta():
            seconds = left.total_seconds()
            raise TooSoon(
                f"the last signal for {market} is younger than {minutes} minutes",
                retry_after_s=seconds,
            )
