"""The story from market to order, for one market: propose, decide, execute."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from loguru import logger

from service.domain.errors import (
    BoundaryError,
    DuplicateOrder,
    ModelUnavailable,
    NotLeader,
    TooSoon,
)
from service.domain.markets import Market
from service.domain.risk import Allowed, Check, Refused, Verdict
from service.domain.signals import Signal, Trigger
from service.flows.decide import Decider, Decision
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.propose import Proposer
from service.ports.clock import Clock
from service.ports.store import Signals
from service.settings.settings import Settings
from service.settings.table import SIGNAL_COOLDOWN_MINUTES, SIGNAL_MAX_AGE_SECONDS


@dataclass(slots=True)
class _Story:
    """A signal and how far it has come."""

    signal: Signal
    decision: Decision | None = None


class TradingPipeline:
    """Trades one market at a time per market: a manual signal waits for a scheduled one."""

    def __init__(
        self,
        *,
        proposer: Proposer,
        decider: Decider,
        executor: Executor,
        leadership: Leadership,
        journal: Signals,
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
        # Across the markets: the rules count orders and money over all of them, and two verdicts
        # on the same count would both pass where there is room for one.
        self._deciding = asyncio.Lock()
        self._unfinished: dict[Market, _Story] = {}

    async def trade(self, market: Market, *, trigger: Trigger = "schedule") -> Signal | None:
        """Return the signal that was made, or None when the model's answer was unusable.

        Raises: TooSoon, when it is triggered by hand within the cooldown after the last one.
        """
        async with self._locks[market]:
            return await self._trade(market, trigger)

    async def generate(self, market: Market) -> Signal:
        """Make a signal by hand.

        Raises: TooSoon, within the cooldown after the last one; NotLeader, on a standby;
        ModelUnavailable, also when the answer came and was unusable.
        """
        self._leadership.check()
        signal = await self.trade(market, trigger="manual")
        if signal is None:
            raise ModelUnavailable("the model's answer was unusable, no signal was made")
        return signal

    async def check_cooldowns(self, markets: Sequence[Market]) -> None:
        """Raises: TooSoon, when a signal by hand is too early for every one of `markets`.

        A market whose last signal is still to be acted upon can be traded at any time.
        """
        if not markets or any(market in self._unfinished for market in markets):
            return
        left_s = min([await self._cooldown_left_s(market) for market in markets])
        if left_s > 0:
            raise TooSoon(
                f"every traded market had a signal within {await self._cooldown_minutes()} minutes;"
                f" the first may have another one in {ceil(left_s)} s",
                retry_after_s=left_s,
            )

    async def _trade(self, market: Market, trigger: Trigger) -> Signal | None:
        # A pass that failed half-way is taken up where it stopped: asking the model again
        # would cost again and could turn one signal into two orders.
        story = self._unfinished.pop(market, None)
        if story is not None:
            await self._finish(story)
            max_age_s = await self._settings.get(SIGNAL_MAX_AGE_SECONDS)
            if self._age_s(story.signal) <= max_age_s:
                return story.signal
        if trigger == "manual":
            await self._check_cooldown(market)
        await self._close_forgotten(market)
        signal = await self._proposer.propose(market, trigger=trigger)
        if signal is not None:
            await self._finish(_Story(signal))
        return signal

    async def _close_forgotten(self, market: Market) -> None:
        """Decide what nobody remembers: a signal whose row's answer was lost, or whose process
        died before its decision. Nobody knows what the market was then, so it is never acted upon.
        """
        now = self._clock.now()
        max_age_s = await self._settings.get(SIGNAL_MAX_AGE_SECONDS)
        before = now - timedelta(seconds=max_age_s)
        for signal_id in await self._journal.undecided(market, before=before):
            detail = f"no decision was made within {max_age_s} s"
            check = Check(rule="signal_age", passed=False, detail=detail)
            forgotten = Refused(reason=check.rule, detail=detail, checks=(check,))
            await self._journal.add_decision(signal_id=signal_id, verdict=forgotten, at=now)
            logger.bind(
                event="risk", market=str(market), signal_id=signal_id, reason=check.rule
            ).warning("a signal that an outage left without a decision is refused")

    async def _finish(self, story: _Story) -> None:
        """Decide and execute. What an outage cuts short is kept for later, a bug's work is not."""
        try:
            async with self._deciding:
                await self._execute(story, await self._verdict(story))
        except (BoundaryError, asyncio.CancelledError):
            self._unfinished[story.signal.market] = story
            raise

    async def _verdict(self, story: _Story) -> Verdict:
        if story.decision is None:
            story.decision = await self._decider.decide(story.signal)
            return story.decision.verdict
        # Allowed, but not carried out. Much may have happened since: the operator's switch, a
        # halt, another order, half an hour.
        return await self._decider.review(story.signal, story.decision)

    async def _execute(self, story: _Story, verdict: Verdict) -> None:
        if story.decision is None or not isinstance(verdict, Allowed):
            return
        try:
            await self._executor.execute(verdict.intent, decision_id=story.decision.id)
        except (DuplicateOrder, NotLeader) as exc:
            # An earlier attempt wrote the order before it failed, and the reconciler has it; or
            # the lease is gone, and with it the right to act on this signal.
            logger.bind(event="order", signal_id=story.signal.id, cause=str(exc)).warning(
                "the allowed order is not written"
            )

    def _age_s(self, signal: Signal) -> float:
        return (self._clock.now() - signal.created_at).total_seconds()

    async def _check_cooldown(self, market: Market) -> None:
        """Raises: TooSoon. Planned passes need not ask: their period is their own."""
        left_s = await self._cooldown_left_s(market)
        if left_s > 0:
            minutes = await self._cooldown_minutes()
            raise TooSoon(
                f"the last signal for {market} is younger than {minutes} minutes;"
                f" the next one may be made in {ceil(left_s)} s",
                retry_after_s=left_s,
            )

    async def _cooldown_left_s(self, market: Market) -> float:
        """Return the market's seconds until a signal may be made by hand, 0 or less for now."""
        last = await self._journal.last_signal_at(market)
        if last is None:
            return 0.0
        cooldown = timedelta(minutes=await self._cooldown_minutes())
        return (last + cooldown - self._clock.now()).total_seconds()

    async def _cooldown_minutes(self) -> int:
        return await self._settings.get(SIGNAL_COOLDOWN_MINUTES)
