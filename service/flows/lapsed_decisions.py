"""Allowed decisions that get no order, each with the reason why."""

from typing import Final

from loguru import logger

from service.ports.clock import MarketClock
from service.ports.store import Signals

#: The process that decided ended before it wrote the order.
PROCESS_ENDED: Final = "process_ended"
#: The process that decided lost the trading lease before it wrote the order.
LEASE_LOST: Final = "lease_lost"
_SENTENCE: Final = "the process that allowed it ended, or lost the trading lease, before the order"


async def close_lapsed(signals: Signals, clock: MarketClock) -> None:
    """Record what earlier owners of the lease allowed and did not order. It is never ordered.

    For a new owner, before it trades. Raises: StoreDown and kin.
    """
    lapsed = await signals.lapse_unordered(reason=PROCESS_ENDED, detail=_SENTENCE, at=clock.now())
    if lapsed:
        logger.bind(event="risk", reason=PROCESS_ENDED, decision_ids=lapsed[-20:]).warning(
            "{} allowed decisions were not ordered before this process took over", len(lapsed)
        )
