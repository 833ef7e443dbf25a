"""The rows that the store's fakes share, as the tables of one database are shared."""

from collections.abc import Callable
from dataclasses import dataclass, field

from service.ports.store import TradingState
from tests.builders import T0


@dataclass(slots=True)
class LeaseRow:
    owner: str = ""
    epoch: int = 0
    expires_at: float = 0.0  #: by the clock of `Tables.seconds`


@dataclass(slots=True)
class Tables:
    """What a database keeps while processes come and go.

    Attributes:
        seconds: the database's clock, by which leases expire.
    """

    seconds: Callable[[], float] = lambda: 0.0
    lease: LeaseRow = field(default_factory=LeaseRow)
    trading_state: TradingState = field(
        default_factory=lambda: TradingState(state="ACTIVE", reason=None, since=T0)
    )

    def holds(self, epoch: int) -> bool:
        """Whether the lease of `epoch` is in force."""
        return self.lease.epoch == epoch and self.lease.expires_at > self.seconds()
