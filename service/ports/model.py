"""The model, in our own terms."""

from dataclasses import dataclass
from typing import Protocol

from service.domain.signals import Answer, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    system: str
    facts: str


class Model(Protocol):
    """Raises ModelUnavailable or ModelRefused; an unusable answer is a value, not an error."""

    def check(self, model: str) -> None:
        """Raise the error that `ask` raises while a hold (a wait the server asked for) lasts."""

    def most_tokens(self, prompt: Prompt) -> Usage:
        """Return an upper bound of the tokens that one call with `prompt` can use."""

    async def ask(self, prompt: Prompt, *, model: str) -> Answer: ...
