"""The account and quotation APIs of the self-check, in memory."""

from datetime import datetime

from service.domain.errors import BoundaryError
from service.domain.key_answers import KeyAnswer
from service.domain.markets import Market
from tests.builders import KRW_BTC


class FakeAccount:
    """Satisfies checks.exchange.Account and .Exchange; set the fields freely."""

    def __init__(self) -> None:
        self.clock_skew_s: float | None = 0.0
        self.ends_at: datetime | None = None
        self.traded = frozenset({KRW_BTC})
        self.error: BoundaryError | None = None
        self.asked = 0
        self.key_answers: list[KeyAnswer] = []

    def take_clock_skews_s(self) -> tuple[float, ...]:
        """Return the skew of one answer, if any answer had a time."""
        return () if self.clock_skew_s is None else (self.clock_skew_s,)

    def take_key_answers(self) -> tuple[KeyAnswer, ...]:
        """Return and clear the answers that a test wrote."""
        answers, self.key_answers = tuple(self.key_answers), []
        return answers

    async def markets(self) -> frozenset[Market]:
        self._ask()
        return self.traded

    async def balances(self) -> object:
        self._ask()
        return {}

    async def key_expires_at(self) -> datetime | None:
        self._ask()
        return self.ends_at

    def _ask(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error
