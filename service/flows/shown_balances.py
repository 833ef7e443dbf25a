"""What the API shows of the exchange's account: one answer for all who look."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.domain.errors import BoundaryError
from service.domain.markets import Balance
from service.ports.clock import RealClock
from service.ports.exchange import Exchange

FRESH_S: Final = 2.0  #: real seconds in which no second question is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class AgedBalances:
    balances: Mapping[str, Balance]
    age_s: float  #: real seconds since the exchange was asked


class ShownBalances:
    """Asks the exchange once, however many read; an answer is shown for FRESH_S.

    Otherwise forty readers would be forty signed calls, in the rate limit that orders use.
    """

    def __init__(self, *, exchange: Exchange, real_clock: RealClock) -> None:
        self._exchange = exchange
        self._real_clock = real_clock
        self._asking = asyncio.Lock()
        self._answer: tuple[Mapping[str, Balance], float] | None = None
        self._failure: tuple[BoundaryError, float] | None = None

    async def read(self) -> AgedBalances:
        """Raises: BoundaryError, the same one in every reader that waited for the question."""
        came_at = self._real_clock.monotonic()
        async with self._asking:
            if self._failure is not None and self._failure[1] >= came_at:
                raise self._failure[0]
            if self._answer is None or self._age_s(self._answer[1]) >= FRESH_S:
                self._answer = await self._ask()
            balances, asked_at = self._answer
        return AgedBalances(balances=balances, age_s=self._age_s(asked_at))

    async def _ask(self) -> tuple[Mapping[str, Balance], float]:
        asked_at = self._real_clock.monotonic()
        try:
            return await self._exchange.balances(), asked_at
        except BoundaryError as exc:
            self._failure = exc, self._real_clock.monotonic()
            raise

    def _age_s(self, asked_at: float) -> float:
        return self._real_clock.monotonic() - asked_at
