"""Halts purchases while the exchange rejects our key, this machine's address or a right."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from loguru import logger

from service.domain.key_answers import KeyAnswer
from service.domain.trading_states import KEY_GUARD, KEY_REJECTED, RIGHT_REJECTED, TradingStatus
from service.ports.clock import MarketClock, RealClock
from service.ports.store import Halt, TradingStates

#: So many refusals within so many real seconds: one may come from a proxy.
REFUSALS: Final = 2
WITHIN_S: Final = 300.0
#: Real seconds without a refusal, in which answers have to come.
RESUME_AFTER_S: Final = 30.0
_EVERY_REQUEST: Final = ""  #: the endpoint of what concerns the key itself


@dataclass(slots=True)
class _Scope:
    """What was heard of the key, or of one endpoint.

    Attributes:
        refused_at: real instants of the last refusals.
        refusal: the last one.
        accepted: answers since then that accepted the key.
        is_due: a halt has to be stored.
    """

    refused_at: deque[float] = field(default_factory=lambda: deque(maxlen=REFUSALS))
    refusal: str = ""
    accepted: int = 0
    is_due: bool = False


class KeyGuard:
    """Halts purchases while they would be refused anyway, and ends only its own halts.

    A refusal of the key or the address ends when any request is accepted for half a minute, that of
    a right when its own endpoint accepts a request. If an operator ends such a halt, the next
    refusal brings it back.

    Args:
        leads: whether this process trades.
    """

    def __init__(
        self,
        *,
        state: TradingStates,
        clock: MarketClock,
        real_clock: RealClock,
        leads: Callable[[], bool],
    ) -> None:
        self._state = state
        self._clock = clock
        self._real_clock = real_clock
        self._leads = leads
        self._scopes: dict[str, _Scope] = {}
        self._may_stand = True  #: a halt of ours, as far as is known

    async def look(self, answers: Sequence[KeyAnswer]) -> None:
        """Take the answers since the last call; halt or resume purchases.

        Call it every few seconds, also without answers. Raises: BoundaryError, when a halt or its
        end cannot be stored; the next call tries again.
        """
        for answer in answers:
            self._hear(answer)
        if not self._leads():
            self._may_stand = True  # the process that trades meanwhile may halt
            return
        if not self._may_stand and not any(scope.is_due for scope in self._scopes.values()):
            return
        ours = [halt for halt in await self._state.standing() if halt.actor == KEY_GUARD]
        self._may_stand = bool(ours)
        for endpoint, scope in self._scopes.items():
            if scope.is_due:
                self._may_stand = True
                await self._halt(endpoint, scope, ours)
                scope.is_due = False
        for halt in ours:
            if self._is_over(halt):
                await self._resume(halt)

    def _hear(self, answer: KeyAnswer) -> None:
        if answer.refusal is None:
            for name in (_EVERY_REQUEST, answer.endpoint):
                scope = self._scopes.setdefault(name, _Scope())
                scope.accepted += 1
                if name:  # a right that is there again needs no second look
                    scope.refused_at.clear()
                    scope.is_due = False
            return
        name = _EVERY_REQUEST if answer.is_of_key else answer.endpoint
        scope, now = self._scopes.setdefault(name, _Scope()), self._real_clock.monotonic()
        scope.refused_at.append(now)
        scope.refusal, scope.accepted = answer.refusal, 0
        if len(scope.refused_at) == REFUSALS and now - scope.refused_at[0] <= WITHIN_S:
            scope.is_due = True

    def _is_over(self, halt: Halt) -> bool:
        scope = self._scopes.get(str(halt.detail.get("endpoint", "")))
        if scope is None or not scope.accepted:
            return False
        if not scope.refused_at:
            return True
        return self._real_clock.monotonic() - scope.refused_at[-1] >= RESUME_AFTER_S

    async def _halt(self, endpoint: str, scope: _Scope, ours: Sequence[Halt]) -> None:
        reason = RIGHT_REJECTED if endpoint else KEY_REJECTED
        if any(halt.reason == reason for halt in ours):
            return
        halted = await self._state.halt(
            kind=TradingStatus.REDUCING,
            reason=reason,
            actor=KEY_GUARD,
            at=self._clock.now(),
            detail={"endpoint": endpoint, "refusal": scope.refusal},
            ends="condition",
        )
        if halted:
            logger.bind(
                event="risk",
                reason=reason,
                actor=KEY_GUARD,
                code=scope.refusal,
                endpoint=endpoint or None,
            ).error("purchases are halted: the exchange rejects our key, our address or a right")

    async def _resume(self, halt: Halt) -> None:
        ended = await self._state.resume(
            reason=halt.reason, actor=KEY_GUARD, at=self._clock.now(), detail=halt.detail
        )
        if ended:
            logger.bind(event="risk", reason=halt.reason, actor=KEY_GUARD).warning(
                "purchases go on: the exchange accepts our key again"
            )
