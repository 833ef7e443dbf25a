"""The model, in our own words."""

from dataclasses import dataclass
from typing import Protocol

from service.domain.signals import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    system: str
    facts: str


class Model(Protocol):
    """Raises ModelUnavailable or ModelRefused; an unusable answer is a value, not an error."""

    def check(self, model: str) -> None:
        """Raise what `ask` would raise without a request: a wait that the server asked for."""

    async def ask(self, prompt: Prompt, *, model: str) -> Answer: ...
