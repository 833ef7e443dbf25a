"""An operator's own orders: the checks of a signal's order, and one order for one key."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.errors import DuplicateOrder, KeyReused, OrderRefused
from service.domain.markets import Market
from service.domain.orders import Intent, Side
from service.domain.risk.verdicts import Allowed, Refused
from service.domain.trading_states import OrderSource
from service.flows.decide import Decider
from service.flows.execute import Executor
from service.flows.leadership import Leadership
from service.flows.markets import traded
from service.ports.clock import MarketClock
from service.ports.order_requests import OrderRequests
from service.settings.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """Attributes: is_new: whether this request made the order, and no earlier one of its key."""

    id: int
    is_new: bool


class ManualOrders:
    def __init__(
        self,
        *,
        decider: Decider,
        executor: Executor,
        requests: OrderRequests,
        leadership: Leadership,
        settings: Settings,
        collected: Sequence[Market],
        clock: MarketClock,
        deciding: asyncio.Lock,
    ) -> None:
        """Args: deciding: the lock of all verdicts, a signal's ones included."""
        self._decider = decider
        self._executor = executor
        self._requests = requests
        self._leadership = leadership
        self._settings = settings
        self._collected = collected
        self._clock = clock
        self._deciding = deciding

    async def place(self, intent: Intent, *, idempotency_key: str, actor: str) -> PlacedOrder:
        """Place the order, or return the one that an earlier request with the key made.

        A refused request makes no order, so the same key may be tried again. The refusal is a risk
        event: those of the insert are written by the insert.

        Raises: KeyReused, when the key's order is another one; InvalidOrder, for a price that is
            not on the tick; OrderRefused, with the rule; NotLeader; BoundaryError. After an error
            the order may be stored: the same request again finds it.
        """
        # Under the lock from the look-up to the end. A second request with the key waits, and is
        # not refused because the first one's order is open.
        async with self._deciding:
            earlier = await self._earlier(intent, idempotency_key)
            if earlier is not None:
                return earlier
            self._leadership.check()
            verdict = await self._verdict(intent)
            if isinstance(verdict, Refused):
                await self._requests.add_refusal(
                    intent, refused=verdict, actor=actor, at=self._clock.now()
                )
                raise OrderRefused(verdict.detail, rule=verdict.reason)
            try:
                order = await self._executor.execute(
                    verdict.intent,
                    decision_id=None,
                    source=OrderSource.HAND,
                    idempotency_key=idempotency_key,
                    actor=actor,
                )
            except DuplicateOrder:
                # Another process wrote it since the look-up, under a lease that it has lost.
                earlier = await self._earlier(intent, idempotency_key)
                if earlier is None:
                    raise
                return earlier
            return PlacedOrder(id=order.id, is_new=True)

    async def _earlier(self, intent: Intent, idempotency_key: str) -> PlacedOrder | None:
        found = await self._requests.by_key(idempotency_key)
        if found is None:
            return None
        if found.intent != intent:
            raise KeyReused(f"this Idempotency-Key made order {found.id}, which is another one")
        return PlacedOrder(id=found.id, is_new=False)

    async def _verdict(self, intent: Intent) -> Allowed | Refused:
        # What is held may be sold in any market.
        if intent.side is Side.BUY:
            markets = await traded(self._settings, collected=self._collected)
            if intent.market not in markets:
                return Refused(
                    reason="markets",
                    detail=f"{intent.market} is not traded: the setting markets leaves it out",
                    checks=(),
                    limit=",".join(map(str, markets)),
                    actual=str(intent.market),
                )
        return await self._decider.decide_by_hand(intent)
