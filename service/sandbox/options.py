"""The sandbox's options."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from service.domain.errors import ConfigError
from service.domain.markets import Market

_FASTEST = 100_000  #: above it a step of the market is shorter than a network answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """Raises ConfigError for a value that the sandbox does not support."""

    markets: tuple[Market, ...] = (Market("KRW", "BTC"),)
    seed: int = 7
    speed: Decimal = Decimal(1)  #: market seconds a real second; 0 = as fast as possible
    candles: Path | None = None  #: Upbit minute candles to play for one of the markets
    port: int = 0  #: 0 takes any free port
    host: str = "127.0.0.1"
    state_dir: Path | None = None  #: None: nothing is kept after the end
    opening_krw: Decimal = Decimal(10_000_000)
    access_key: str | None = None  #: None: the stored one, else a random one
    secret_key: str | None = field(default=None, repr=False)
    rate_limits: bool | None = None  #: None: enforced at speed 1
    stream_idle_s: float = 120.0  #: real seconds until a silent WebSocket is closed

    def __post_init__(self) -> None:
        foreign = [str(market) for market in self.markets if market.quote != "KRW"]
        if foreign or not self.markets:
            named = ", ".join(foreign) or "none"
            raise ConfigError(f"the sandbox trades KRW markets only, not {named}; name KRW-BTC")
        if not 0 <= self.speed <= _FASTEST:
            raise ConfigError("the sandbox's speed is 0 to 100000 market seconds a second")
        if self.opening_krw < 0:
            raise ConfigError("the opening balance cannot be negative")
