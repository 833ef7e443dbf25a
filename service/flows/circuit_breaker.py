"""A circuit breaker for calls to a dependency. ADR 0015 says which calls, and why no others."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from loguru import logger

from service.domain.breaker import Breaker, Permit
from service.domain.errors import BoundaryError, OutcomeUnknown

_CODE: Final = "circuit_open"


class Circuit:
    """One dependency's breaker with its clock.

    Args:
        name: as in a sentence, e.g. the model.
        error: class raised while the circuit is open; its errors are retryable.
        seconds: a monotonic clock, the one that waits between attempts are counted by.
    """

    def __init__(
        self, name: str, *, error: type[BoundaryError], seconds: Callable[[], float]
    ) -> None:
        self._name = name
        self._error = error
        self._seconds = seconds
        self._breaker = Breaker()

    @property
    def is_open(self) -> bool:
        """Whether calls are refused right now."""
        return self._breaker.wait_s(self._seconds()) > 0

    def check(self) -> None:
        """Raise the error of an open circuit; unlike `call`, begin nothing."""
        if self.is_open:
            raise self._refusal()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Note how one call inside the block ends.

        Raises: the given error class, while the circuit is open. Its `retry_after_s` lasts until
            the circuit lets a call through, so that one retry is enough.
        """
        begun = self._breaker.begin(self._seconds())
        if begun is None:
            raise self._refusal()
        self._breaker, permit = begun
        worked: bool | None = None
        try:
            yield
            worked = True
        except BoundaryError as exc:
            worked = _is_alive(exc) if exc.sent else None
            raise
        except asyncio.CancelledError:
            worked = False  # a call is cancelled only when it took too long
            raise
        finally:
            self._note(permit, worked)

    def _note(self, permit: Permit, worked: bool | None) -> None:  # noqa: FBT001 - see Breaker
        before = self._breaker
        self._breaker = after = before.end(permit, self._seconds(), worked=worked)
        if after.generation == before.generation:
            return
        line = logger.bind(
            event="app", circuit=self._name, wait_s=round(after.wait_s(self._seconds()), 1)
        )
        if after.opened_at is None:
            line.info("the circuit is closed: calls succeed again")
        else:
            line.warning("the circuit is open: calls fail too often")

    def _refusal(self) -> BoundaryError:
        wait_s = self._breaker.wait_s(self._seconds())
        return self._error(
            f"{self._name} failed too often; nothing is asked for {wait_s:.0f} s",
            code=_CODE,
            retry_after_s=wait_s,
            sent=False,
        )


class ModelCircuits:
    """A circuit for each model: one that is overloaded does not keep the next one from answering.

    Args: seconds: as of `Circuit`.
    """

    def __init__(self, *, error: type[BoundaryError], seconds: Callable[[], float]) -> None:
        self._error = error
        self._seconds = seconds
        self._each: dict[str, Circuit] = {}

    @property
    def is_open(self) -> bool:
        """Whether no model of the settings may be asked right now."""
        return bool(self._each) and all(circuit.is_open for circuit in self._each.values())

    def of(self, model: str) -> Circuit:
        if model not in self._each:
            self._each[model] = Circuit(
                f"the model {model}", error=self._error, seconds=self._seconds
            )
        return self._each[model]

    def keep(self, models: Sequence[str]) -> None:
        """Forget the circuits of models that are no longer in the settings."""
        self._each = {model: self.of(model) for model in models}


def _is_alive(error: BoundaryError) -> bool:
    """Whether `error` is an answer of a live server: a refusal, or one with a Retry-After."""
    is_lost = error.retryable or isinstance(error, OutcomeUnknown)
    return not is_lost or error.retry_after_s is not None
