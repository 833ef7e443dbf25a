"""Selects the traded markets: the operator's choice among the collected ones."""

from collections.abc import Sequence

from service.domain.markets import Market
from service.settings.settings import Settings
from service.settings.table import MARKETS


async def traded(settings: Settings, *, collected: Sequence[Market]) -> Sequence[Market]:
    """Return the collected markets that the setting names, or all of them when it names none.

    The setting can narrow the list of collected markets but not widen it. If it names only markets
    that are not collected, nothing is traded.
    """
    chosen = await settings.get(MARKETS)
    return tuple(m for m in collected if m in chosen) if chosen else tuple(collected)
