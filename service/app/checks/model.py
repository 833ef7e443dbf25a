"""Gemini: whether it answers, takes our key, and has the model. Costs no tokens."""

from collections.abc import Awaitable, Callable
from typing import Final

from service.app.checks.finding import CheckResult, ok, refusal
from service.domain.errors import BoundaryError, ModelRefused

ITEM: Final = "gemini"
REFUSED: Final = "check GEMINI_API_KEY and the setting ai_model"
NETWORK: Final = "check this machine's network, or try again later"


async def model(ping: Callable[[str], Awaitable[None]], name: str) -> CheckResult:
    """Ask for the model's name, as health does."""
    try:
        await ping(name)
    except ModelRefused as exc:
        return refusal(ITEM, exc, remedy=REFUSED, about=name)
    except BoundaryError as exc:
        return refusal(ITEM, exc, remedy=NETWORK, about=name)
    return ok(ITEM, f"{name} is there and the key is taken")
