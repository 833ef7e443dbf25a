"""Gather what the risk rules need, apply them to a signal, and store their verdict."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.crashpoints import crashpoint
from service.domain.errors import InvalidOrder
from service.domain.markets import Market, MarketRules
from service.domain.orders import Intent
from service.domain.risk.decide import decide, decide_by_hand
from service.domain.risk.facts import Limits
from service.domain.risk.verdicts import Allowed, Refused, Verdict
from service.domain.signals import Action, Signal
from service.domain.trading_states import OrderSource
from service.flows.situations import Situations
from service.ports.clock import MarketClock
from service.ports.store import Signals
from service.settings.settings import Settings
from service.settings.table import (
    MAX_DAILY_ORDER_KRW,
    MAX_EXPOSURE_PCT,
    MAX_ORDER_KRW,
    MAX_ORDERS_PER_HOUR,
    MAX_POSITION_PCT,
    MAX_PRICE_JUMP_PCT,
    MAX_SLIPPAGE_PCT,
    MIN_CONFIDENCE,
    POSITION_SIZE_MAX_PCT,
    POSITION_SIZE_MIN_PCT,
    SIGNAL_MAX_AGE_SECONDS,
    STOP_LOSS_PCT,
    TRADING_ENABLED,
)

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    id: int
    verdict: Verdict


class Decider:
    def __init__(
        self,
        *,
        situations: Situations,
        signals: Signals,
        settings: Settings,
        clock: MarketClock,
    ) -> None:
        self._situations = situations
        self._signals = signals
        self._settings = settings
        self._clock = clock

    async def decide(self, signal: Signal) -> Decision:
        """Return the verdict as stored.

        Raises: BoundaryError, when a fact that the rules need is not available: no rule is skipped.
        """
        verdict = await self._verdict(signal)
        _warn_of_fault(verdict, signal.market)
        crashpoint("intent.before_commit")
        decision_id = await self._signals.add_decision(
            signal_id=signal.id, verdict=verdict, at=self._clock.now()
        )
        crashpoint("intent.after_commit")
        refused = verdict if isinstance(verdict, Refused) else None
        logger.bind(
            event="risk",
            market=str(signal.market),
            signal_id=signal.id,
            decision_id=decision_id,
            verdict=type(verdict).__name__.upper(),
            reason=refused.reason if refused else None,
            detail=refused.detail if refused else None,
        ).info("signal allowed" if isinstance(verdict, Allowed) else "signal not executed")
        return Decision(id=decision_id, verdict=verdict)

    async def review(self, signal: Signal, decision: Decision) -> Verdict:
        """Return the present verdict for an allowed order that was not sent yet.

        The decision's row is not changed; when the present verdict differs, it lapses.
        """
        verdict = await self._verdict(signal)
        if isinstance(verdict, Refused):
            _warn_of_fault(verdict, signal.market)
            await self._signals.lapse(
                decision.id,
                market=signal.market,
                reason=verdict.reason,
                detail=verdict.detail,
                at=self._clock.now(),
                check=verdict.checks[-1],
            )
            logger.bind(
                event="risk",
                market=str(signal.market),
                signal_id=signal.id,
                decision_id=decision.id,
                reason=verdict.reason,
                detail=verdict.detail,
            ).warning("an allowed order is not sent, the rules refuse it by now")
        return verdict

    async def decide_by_hand(self, intent: Intent) -> Allowed | Refused:
        """Return the verdict on an operator's own order; nothing is stored.

        Raises: InvalidOrder, for a price that is not on the tick; BoundaryError, as `decide`.
        """
        now = await self._situations.of(intent.market, source=OrderSource.HAND)
        _check_tick(intent, now.rules, price_now=now.price)
        verdict = decide_by_hand(intent, now, await self._limits())
        if isinstance(verdict, Refused):
            _warn_of_fault(verdict, intent.market)
            logger.bind(
                event="risk",
                market=str(intent.market),
                side=intent.side.value,
                reason=verdict.reason,
                detail=verdict.detail,
            ).info("an order by hand is refused")
        return verdict

    async def _verdict(self, signal: Signal) -> Verdict:
        now = await self._situations.of(
            signal.market,
            source=OrderSource.SIGNAL,
            made_at=signal.created_at,
            is_entry=signal.proposal.action is Action.BUY,
        )
        return decide(signal.proposal, now, await self._limits())

    async def _limits(self) -> Limits:
        get = self._settings.get
        return Limits(
            trading_enabled=await get(TRADING_ENABLED),
            min_confidence=await get(MIN_CONFIDENCE),
            position_size_min_pct=await get(POSITION_SIZE_MIN_PCT),
            position_size_max_pct=await get(POSITION_SIZE_MAX_PCT),
            max_position_pct=await get(MAX_POSITION_PCT),
            max_exposure_pct=await get(MAX_EXPOSURE_PCT),
            max_order_krw=await get(MAX_ORDER_KRW),
            max_daily_order_krw=await get(MAX_DAILY_ORDER_KRW),
            stop_loss_pct=await get(STOP_LOSS_PCT),
            max_slippage_pct=await get(MAX_SLIPPAGE_PCT),
            max_price_jump_pct=await get(MAX_PRICE_JUMP_PCT),
            max_orders_per_hour=await get(MAX_ORDERS_PER_HOUR),
            signal_max_age_s=await get(SIGNAL_MAX_AGE_SECONDS),
        )


def _warn_of_fault(verdict: Verdict, market: Market) -> None:
    if isinstance(verdict, Refused) and verdict.fault is not None:
        logger.bind(
            event="risk", market=str(market), reason=verdict.reason, error=verdict.fault
        ).warning("a check failed, and the order is refused")


def _check_tick(intent: Intent, rules: MarketRules, *, price_now: Decimal) -> None:
    if intent.price is None:
        return
    tick = rules.tick_at(intent.price, now=price_now)
    if intent.price % tick:
        raise InvalidOrder(
            f"{intent.market}: at {intent.price:f} a price is a multiple of {tick:f}, the tick"
        )
