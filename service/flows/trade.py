"""The trading pipeline of one market: propose, decide, execute."""

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
    OrderRefused,
    TooSoon,
)
from service.domain.markets import Market
from service.domain.risk.verdicts import Allowed, Check, Refused, Verdict
from service.domain.signals import Signal, Trigger
from service.flows.decide import Decider, Decision
from service.flows.execute import Executor
from service.flows.lapsed_decisions import LEASE_LOST
from service.flows.leadership import Leadership
from service.flows.propose import Proposer
from service.ports.clock import MarketClock
from service.ports.store import Signals
from service.settings.settings import Settings
from service.settings.table import SIGNAL_COOLDOWN_MINUTES, SIGNAL_MAX_AGE_SECONDS


@dataclass(slots=True)
class _Progress:
    """A signal and its decision, once there is one."""

    signal: Signal
    decision: Decision | None = None


class TradingPipeline:
    """Runs once at a time per market: a manual signal waits for a scheduled one."""

    def __init__(
        self,
        *,
        proposer: Proposer,
        decider: Decider,
        executor: Executor,
        leadership: Leadership,
        signals: Signals,
        settings: Settings,
        clock: MarketClock,
        deciding: asyncio.Lock,
    ) -> None:
        """Args: deciding: the lock of all verdicts, those on orders by hand included."""
        self._proposer = proposer
        self._decider = decider
        self._executor = executor
        self._leadership = leadership
        self._signals = signals
        self._settings = settings
        self._clock = clock
        self._locks: defaultdict[Market, asyncio.Lock] = defaultdict(asyncio.Lock)
        # One lock for all markets: the rules count orders and money over all of them. Two verdicts
        # on the same count would both pass where only one more order is allowed.
        self._deciding = deciding
        self._unfinished: dict[Market, _Progress] = {}

    async def trade(self, market: Market, *, trigger: Trigger = "schedule") -> Signal | None:
        """Return the new signal, or None when the model's answer was unusable.

        Raises: TooSoon, for a trigger by hand within the cooldown after the last signal.
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

        A market with an unfinished signal has no cooldown.
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
        # A pass that failed half-way continues where it stopped. Asking the model again would
        # cost again and could turn one signal into two orders.
        progress = self._unfinished.pop(market, None)
        if progress is not None:
            await self._finish(progress)
            max_age_s = await self._settings.get(SIGNAL_MAX_AGE_SECONDS)
            if self._age_s(progress.signal) <= max_age_s:
                return progress.signal
        if trigger == "manual":
            await self._check_cooldown(market)
        await self._close_forgotten(market)
        signal = await self._proposer.propose(market, trigger=trigger)
        if signal is not None:
            await self._finish(_Progress(signal))
        return signal

    async def _close_forgotten(self, market: Market) -> None:
        """Refuse old signals without a decision, so that they are never acted upon.

        Either the database's answer to the insert was lost, or the process died before deciding.
        What the rules would have seen then can no longer be read.
        """
        now = self._clock.now()
        max_age_s = await self._settings.get(SIGNAL_MAX_AGE_SECONDS)
        before = now - timedelta(seconds=max_age_s)
        for signal_id in await self._signals.undecided(market, before=before):
            detail = f"no decision was made within {max_age_s} s"
            check = Check(rule="signal_age", passed=False, detail=detail)
            forgotten = Refused(reason=check.rule, detail=detail, checks=(check,))
            await self._signals.add_decision(signal_id=signal_id, verdict=forgotten, at=now)
            logger.bind(
                event="risk", market=str(market), signal_id=signal_id, reason=check.rule
            ).warning("a signal that an outage left without a decision is refused")

    async def _finish(self, progress: _Progress) -> None:
        """Decide and execute. After an outage the signal is kept for a retry, after a bug not."""
        try:
            async with self._deciding:
                await self._execute(progress, await self._verdict(progress))
        except (BoundaryError, asyncio.CancelledError):
            self._unfinished[progress.signal.market] = progress
            raise

    async def _verdict(self, progress: _Progress) -> Verdict:
        if progress.decision is None:
            progress.decision = await self._decider.decide(progress.signal)
            return progress.decision.verdict
        # Allowed earlier, but not executed. The verdict may have changed since: by the operator's
        # switch, a halt, another order, or half an hour.
        return await self._decider.review(progress.signal, progress.decision)

    async def _execute(self, progress: _Progress, verdict: Verdict) -> None:
        if progress.decision is None or not isinstance(verdict, Allowed):
            return
        signal, decision_id = progress.signal, progress.decision.id
        try:
            await self._executor.execute(verdict.intent, decision_id=decision_id)
        except DuplicateOrder as exc:
            # An earlier attempt stored the order, and the reconciler follows it. Or the decision
            # lapsed, when the lease was lost and gained again.
            logger.bind(event="order", signal_id=signal.id, cause=str(exc)).warning(
                "the allowed order is not written"
            )
        except NotLeader as exc:
            # This process must not act on the signal any more.
            await self._signals.lapse(
                decision_id,
                market=signal.market,
                reason=LEASE_LOST,
                detail=str(exc),
                at=self._clock.now(),
            )
            logger.bind(event="order", signal_id=signal.id, cause=str(exc)).warning(
                "the allowed order is not written"
            )
        except OrderRefused as exc:
            # Stored by the insert that refused. The signal is over: what stopped it is newer.
            logger.bind(
                event="risk",
                market=str(signal.market),
                signal_id=signal.id,
                decision_id=decision_id,
                reason=exc.rule,
                detail=str(exc),
            ).warning("an allowed order was refused as it was written")

    def _age_s(self, signal: Signal) -> float:
        return (self._clock.now() - signal.created_at).total_seconds()

    async def _check_cooldown(self, market: Market) -> None:
        """Raises: TooSoon. Only for a trigger by hand: scheduled passes have their own period."""
        left_s = await self._cooldown_left_s(market)
        if left_s > 0:
            minutes = await self._cooldown_minutes()
            raise TooSoon(
                f"the last signal for {market} is younger than {minutes} minutes;"
                f" the next one may be made in {ceil(left_s)} s",
                retry_after_s=left_s,
            )

    async def _cooldown_left_s(self, market: Market) -> float:
        """Return the seconds of market time until a signal by hand is allowed; 0 or less: now."""
        last = await self._signals.last_signal_at(market)
        if last is None:
            return 0.0
        cooldown = timedelta(minutes=await self._cooldown_minutes())
        return (last + cooldown - self._clock.now()).total_seconds()

    async def _cooldown_minutes(self) -> int:
        return await self._settings.get(SIGNAL_COOLDOWN_MINUTES)
