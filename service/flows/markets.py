"""Which markets are traded: the operator's choice among those that are collected."""

from collections.abc import Sequence

from service.domain.markets import Market
from service.settings.settings import Settings
from service.settings.table import MARKETS


async def traded(settings: Settings, *, collected: Sequence[Market]) -> Sequence[Market]:
    """Return the collected markets that the setting names, or all of them when it names none.

    The setting narrows what the process was started for and cannot widen it; one that names
    only markets we do not collect trades nothing.
    """
    chosen = await settings.get(MARKETS)
    return tuple(m for m in collected if m in chosen) if chosen else tuple(collected)
