"""One answer of the exchange for many readers, so that readers cannot use up trading's limits."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from service.domain.errors import BoundaryError

#: Real seconds that one answer of the exchange is shown to every reader of the API.
SHOWN_FOR_S: Final = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Shared(Generic[T]):
    value: T
    asked_at: float


class SharedAnswer(Generic[T]):
    """Asks at most once in `max_age_s`, however many want to know.

    Args: seconds: a clock that only goes forward.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[T]],
        *,
        max_age_s: float,
        seconds: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._max_age_s = max_age_s
        self._seconds = seconds
        self._asking = asyncio.Lock()
        self._answer: _Shared[T] | None = None
        self._failure: _Shared[BoundaryError] | None = None

    async def get(self) -> tuple[T, float]:
        """Return the answer and its age in seconds. Raises: BoundaryError, as shared as answers."""
        async with self._asking:
            if self._is_fresh(self._failure):
                assert self._failure is not None  # noqa: S101 - fresh implies it
                raise self._failure.value
            answer = self._answer
            if answer is None or not self._is_fresh(answer):
                answer = await self._asked()
            return answer.value, self._seconds() - answer.asked_at

    async def _asked(self) -> _Shared[T]:
        # Aged from before the request: the answer may have taken seconds.
        asked_at = self._seconds()
        try:
            self._answer = _Shared(await self._ask(), asked_at)
        except BoundaryError as exc:
            self._failure = _Shared(exc, self._seconds())
            raise
        return self._answer

    def _is_fresh(self, answer: "_Shared[T] | _Shared[BoundaryError] | None") -> bool:
        return answer is not None and self._seconds() - answer.asked_at < self._max_age_s
