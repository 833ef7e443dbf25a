"""What one look came to: a level, a sentence, and what to do about it."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.domain.errors import BoundaryError

LOOK_S: Final = 5.0  #: real seconds that one look may take


class CheckLevel(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Texts are for operators and logs: no secret, no balance, no foreign error text."""

    level: CheckLevel = CheckLevel.OK
    item: str
    text: str
    remedy: str | None = None  #: what to do; None when there is nothing to be done

    @property
    def words(self) -> str:
        return f"{self.text}: {self.remedy}" if self.remedy else self.text

    @property
    def line(self) -> str:
        return f"{self.level:<4} {self.item}: {self.words}"


def ok(item: str, text: str) -> CheckResult:
    return CheckResult(item=item, text=text)


def warn(item: str, text: str, remedy: str) -> CheckResult:
    return CheckResult(level=CheckLevel.WARN, item=item, text=text, remedy=remedy)


def fail(item: str, text: str, remedy: str | None = None) -> CheckResult:
    """Return a failure; an error of ours says its remedy itself."""
    return CheckResult(level=CheckLevel.FAIL, item=item, text=text, remedy=remedy)


def refusal(item: str, exc: BoundaryError, *, remedy: str, about: str = "") -> CheckResult:
    """Return the failure of a call; errors of ours that know the remedy say it after a `;`."""
    text = f"{about}: {exc}" if about else str(exc)
    return fail(item, text, None if ";" in text else remedy)


async def bounded(
    look: Awaitable[CheckResult], *, item: str, remedy: str, within_s: float = LOOK_S
) -> CheckResult:
    """Return what `look` finds, or a failure when it takes too long."""
    try:
        async with asyncio.timeout(within_s):
            return await look
    except TimeoutError:
        return fail(item, f"no answer within {within_s:g} s", remedy)
