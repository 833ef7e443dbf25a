"""How far the sale of everything that this service holds is, market by market."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from service.domain.markets import Market


class FlattenStatus(StrEnum):
    WAITING = "WAITING"
    CANCELLING = "CANCELLING"  #: orders of ours are open here
    SELLING = "SELLING"
    FLAT = "FLAT"
    DUST = "DUST"  #: what is left is worth less than the exchange's smallest order
    STUCK = "STUCK"  #: an operator must look; `detail` says why
    STOPPED = "STOPPED"  #: an operator resumed trading before the market was flat


FINISHED: Final = frozenset(
    {FlattenStatus.FLAT, FlattenStatus.DUST, FlattenStatus.STUCK, FlattenStatus.STOPPED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenedMarket:
    """How far one market is."""

    market: Market
    requested_by: str  #: the operator's name
    status: FlattenStatus = FlattenStatus.WAITING
    detail: str | None = None  #: one sentence without amounts
    failures: int = 0  #: sales that failed
    #: Steps in a row that were refused before a sale. Counted in memory: a restart begins anew.
    refusals: int = field(default=0, compare=False)

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED
