"""A model that answers from a script and records its calls."""

from collections import deque
from dataclasses import replace

from service.domain.errors import BoundaryError
from service.domain.signals import Answer, Usage
from service.ports.model import Prompt
from tests.builders import an_answer

#: At the default model's price 0.0225 USD.
MOST = Usage(input_tokens=10_000, output_tokens=4_000)


class FakeModel:
    """Satisfies ports.Model.

    Answers and errors of the script come in order. After them it answers `default`, under the
    requested model's name.

    Attributes:
        asked: every (prompt, model), in order.
        held: raised by `check` and `ask` while it is set, as during a hold.
    """

    def __init__(self, *script: Answer | BaseException, default: Answer | None = None) -> None:
        self._script = deque(script)
        self.default = default or an_answer()
        self.asked: list[tuple[Prompt, str]] = []
        self.held: BoundaryError | None = None

    def then(self, *script: Answer | BaseException) -> None:
        """Append to the script."""
        self._script.extend(script)

    def check(self, model: str) -> None:
        if self.held is not None:
            raise self.held

    def most_tokens(self, prompt: Prompt) -> Usage:
        return MOST

    async def ask(self, prompt: Prompt, *, model: str) -> Answer:
        self.check(model)
        self.asked.append((prompt, model))
        if not self._script:
            return replace(self.default, model=model)
        answer = self._script.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def prompts(self) -> list[Prompt]:
        return [prompt for prompt, _ in self.asked]
