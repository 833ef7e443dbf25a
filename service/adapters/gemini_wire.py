"""Gemini's request format, and its answers as our values.

Source: google-genai 3.6.1 and the Gemini API docs (structured output, thinking, usage metadata).
"""

import re
import unicodedata
from decimal import ROUND_DOWN, Decimal
from typing import Annotated, Final, Literal

from google.genai import types
from pydantic import BaseModel, Field

from service.domain.signals import Action, Answer, Proposal, Usage

MAX_OUTPUT_TOKENS: Final = 4096  #: thoughts included; a small limit leaves none for text
_FRAME_TOKENS: Final = 1024  #: for the schema and the roles, which are some hundred bytes
LONGEST_REASONING: Final = 2000  #: characters
LONGEST_WORD: Final = 64
_BUDGET_OF_2_5: Final = 1024  #: tokens of thought, for models that know no levels
_FIRST_WITH_LEVELS: Final = 3
_STEP: Final = Decimal("0.0001")
_LARGEST_COUNT: Final = 2**31 - 1
_FAMILY: Final = re.compile(r"(?:models/)?gemini-(\d+)(?:\.(\d+))?\b")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class ModelOpinion(BaseModel):
    """The answer's schema, in this order: the reasoning before its conclusions.

    Flat and without defaults: the API has problems with richer schemas.
    """

    reasoning: str
    action: Literal["BUY", "SELL", "HOLD"]
    confidence: Annotated[float, Field(ge=0, le=1, strict=True)]


def config(system: str, *, model: str) -> types.GenerateContentConfig:
    """Return the request's configuration. No temperature or seed: newer models refuse them."""
    return types.GenerateContentConfig(
        system_instruction=system,
        max_output_tokens=MAX_OUTPUT_TOKENS,
        response_mime_type="application/json",
        response_schema=ModelOpinion,
        thinking_config=thinking(model),
        # On by default, with a log line a call and hidden requests that are billed.
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
    )


def thinking(model: str) -> types.ThinkingConfig | None:
    """Return the limit of `model`'s thoughts: a level or a budget, whichever it supports.

    Both together, or the wrong one, is an error 400. A name without a version
    (`gemini-flash-latest`) keeps its default.
    """
    family = _FAMILY.match(model)
    if family is None:
        return None
    if int(family[1]) >= _FIRST_WITH_LEVELS:
        return types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)
    if (family[1], family[2]) == ("2", "5"):
        return types.ThinkingConfig(thinking_budget=_BUDGET_OF_2_5)
    return None


def most_tokens(*texts: str) -> Usage:
    """Return an upper bound of the tokens of one call with `texts`.

    A token is at least one byte of UTF-8. Thoughts count against `max_output_tokens` and are
    billed as output. No token is taken as cached.
    """
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return Usage(input_tokens=size + _FRAME_TOKENS, output_tokens=MAX_OUTPUT_TOKENS)


def answer(response: types.GenerateContentResponse, *, model: str) -> Answer:
    """Return the answer of `model`, usable or not, with its token counts."""
    proposal, why = _proposal(response)
    return Answer(
        proposal=proposal,
        why=why,
        model=clean(response.model_version or "", longest=LONGEST_WORD) or model,
        usage=_usage(response.usage_metadata),
    )


def unusable(why: str, *, model: str) -> Answer:
    """Return the answer that could not be parsed; its token counts are unknown."""
    return Answer(proposal=None, why=why, model=model, usage=Usage())


def _proposal(response: types.GenerateContentResponse) -> tuple[Proposal | None, str | None]:
    """Return (proposal, None) or (None, why); no malformed answer raises here."""
    if not response.candidates:
        feedback = response.prompt_feedback
        blocked = feedback.block_reason if feedback else None
        return None, f"blocked:{_word(blocked)}" if blocked else "empty"
    finish = response.candidates[0].finish_reason
    if finish is not types.FinishReason.STOP:
        return None, f"finish:{_word(finish)}"
    opinion = response.parsed
    if not isinstance(opinion, ModelOpinion):
        return None, "unparsed"
    reasoning = clean(opinion.reasoning, longest=LONGEST_REASONING)
    if not reasoning:
        return None, "no_reasoning"
    confidence = Decimal(repr(opinion.confidence)).quantize(_STEP, ROUND_DOWN)
    return Proposal(action=Action(opinion.action), confidence=confidence, reasoning=reasoning), None


def clean(text: str, *, longest: int) -> str:
    """Return `text` on one line, without invisible characters, cut to `longest`.

    The model's text is shown, logged and stored. A line feed would forge a log line, a direction
    override would hide text, and PostgreSQL refuses NUL and half surrogates.
    """
    spaced = " ".join(text.split())
    seen = "".join(c for c in spaced if unicodedata.category(c) not in _INVISIBLE)
    return " ".join(seen.split())[:longest].strip()


def _word(value: object) -> str:
    """Return an enumeration's value; for an unknown value the SDK makes a member up."""
    word = clean(str(getattr(value, "value", value)), longest=LONGEST_WORD)
    return word if re.fullmatch(r"[A-Z_]+", word) else "UNKNOWN"


def _usage(said: types.GenerateContentResponseUsageMetadata | None) -> Usage:
    if said is None:
        return Usage()
    return Usage(
        input_tokens=_count(said.prompt_token_count),
        output_tokens=_count(said.candidates_token_count),
        thinking_tokens=_count(said.thoughts_token_count),
        cached_tokens=_count(said.cached_content_token_count),
    )


def _count(tokens: int | None) -> int | None:
    return tokens if tokens is not None and 0 <= tokens <= _LARGEST_COUNT else None
