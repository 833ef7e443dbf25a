"""The jobs that the operator may switch off."""

from dataclasses import dataclass
from typing import Final

from service.ports.store import JSON
from service.settings.key import Unfit

#: An explicit list: a new job is added only if the service is safe without it.
OPTIONAL: Final = (
    "collect_market_data",
    "generate_trading_signal",
    "snapshot_equity",
    "cleanup_old_data",
)
_FOLLOWS_ORDERS: Final = "sync_pending_orders"


@dataclass(frozen=True, slots=True)
class OptionalJob:
    bounds: str = f"one of {', '.join(OPTIONAL)}"

    def parse(self, raw: JSON) -> str:
        if raw == _FOLLOWS_ORDERS:
            raise Unfit(f"{_FOLLOWS_ORDERS} is always on, because orders must be followed")
        if not isinstance(raw, str) or raw not in OPTIONAL:
            raise Unfit
        return raw

    def dump(self, value: str) -> JSON:
        return value
