"""Fault injection: which errors a route makes, for how long and how often.

One plan serves the exchange and the model. Tests use the object, an operator
`POST /__sandbox__/faults`.
"""

import base64
import binascii
import random
import time
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from service.domain.errors import InvalidRequest
from service.sandbox.answer_edits import TradesEdit
from service.sandbox.rate_limits import LIMITS, group_of

ModelFault = Literal[
    "rate_limited",  # 429 with a RetryInfo
    "quota",  # 429 of an exhausted day
    "empty",  # 200 without a body
    "blocked",  # no candidate, because of the prompt
    "safety",  # a candidate without content
    "max_tokens",  # all tokens are spent on thoughts
    "cut",  # half the JSON, billed nevertheless
    "prose",
    "fences",  # the JSON in a Markdown fence
    "nonsense",  # JSON, but out of every range
    "thought",  # a good answer after a thought
    "new_finish",  # a finish reason that no SDK knows
    "reckless",  # valid by the schema: always buys with full confidence
    "hostile",  # commands to the reader and HTML in the reasoning
    "huge",  # nearly a megabyte of reasoning in many lines
    "no_usage",  # the answer has no token counts
    "renamed",  # answered by a model that no price table knows
]


class Fault(BaseModel):
    """One fault. Without another effect it only delays by `delay_s`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = "*"
    path: str = "*"  #: glob over the path, e.g. /v1/orders* or */models/*
    group: str | None = None  #: of Upbit's rate limits, e.g. candles: only its requests
    status: Annotated[int, Field(ge=100, le=599)] | None = None  #: answered so, not executed
    headers: Mapping[str, str] = {}  #: of that answer, or of the real one without `status`
    body: str = ""
    body_base64: str | None = None  #: instead of `body`: bytes that are no text
    delay_s: Annotated[float, Field(ge=0, le=3600)] = 0.0  #: real seconds
    phase: Literal["before", "after"] = "before"  #: delayed before or after executing
    drop_before: bool = False  #: the connection breaks before the request is executed
    drop_after: bool = False  #: executed, but no answer arrives
    truncate: bool = False  #: executed, and half the answer arrives
    drip_s: Annotated[float, Field(ge=0, le=3600)] = 0.0  #: executed; real seconds between bytes
    echo: bool = False  #: with `status`: the answer repeats the request, headers and all
    executes: bool = False  #: with `status`: the request is executed all the same
    merge: Mapping[str, Any] = {}  #: put into each object of the real answer, nested ones too
    trades: TradesEdit | None = None  #: what happens to the trades of the real answer
    model: ModelFault | None = None  #: the kind of the model's answer
    every_nth: Annotated[int, Field(ge=1)] = 1
    chance: Annotated[float, Field(gt=0, le=1)] = 1.0  #: of a fault, for each due request
    times: Annotated[int, Field(ge=1)] | None = None  #: afterwards the route works again
    for_s: Annotated[float, Field(gt=0, le=3600)] | None = None  #: real, from the first one on

    @field_validator("group")
    @classmethod
    def _group(cls, value: str | None) -> str | None:
        if value is not None and value not in LIMITS:
            raise ValueError(f"one of {', '.join(LIMITS)}")
        return value

    @field_validator("body_base64")
    @classmethod
    def _base64(cls, value: str | None) -> str | None:
        try:
            base64.b64decode(value or "", validate=True)
        except binascii.Error as exc:
            raise ValueError("no base64") from exc
        return value

    @property
    def payload(self) -> bytes:
        """The scripted answer's body."""
        if self.body_base64 is not None:
            return base64.b64decode(self.body_base64)
        return self.body.encode()

    def concerns(self, method: str, path: str) -> bool:
        if self.method not in ("*", method) or not fnmatchcase(path, self.path):
            return False
        is_upbit = path.startswith("/v1/") and not path.startswith("/v1/models")
        return self.group is None or (is_upbit and group_of(method, path) == self.group)


_PLAN = TypeAdapter(list[Fault])


class Faults:
    """The current plan; of several faults the first that is due on a route counts.

    Args: seed: of the random numbers for `chance`.
    """

    def __init__(self, seed: int = 7, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._plan: list[_Counted] = []
        self._rng = random.Random(seed)  # noqa: S311 - a test must be repeatable
        self._monotonic = monotonic

    def add(self, *faults: Fault) -> None:
        self._plan.extend(_Counted(fault, self._rng, self._monotonic) for fault in faults)

    def clear(self) -> None:
        self._plan.clear()

    def add_json(self, body: bytes) -> int:
        """Add a JSON list of faults; return how many. Raises: InvalidRequest."""
        try:
            faults = _PLAN.validate_json(body, strict=True)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "body"
            raise InvalidRequest(f"{where}: {first['msg']}; send a list of faults") from exc
        self.add(*faults)
        return len(faults)

    def plan(self) -> list[dict[str, Any]]:
        return [
            counted.fault.model_dump(mode="json") | {"seen": counted.seen, "hit": counted.hit}
            for counted in self._plan
        ]

    def due(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, and count it."""
        return _first(counted.due(method, path) for counted in self._plan)


class _Counted:
    def __init__(self, fault: Fault, rng: random.Random, monotonic: Callable[[], float]) -> None:
        self.fault = fault
        self._rng = rng
        self._monotonic = monotonic
        self._over_at: float | None = None  #: known from the first hit on, with `for_s`
        self.seen = 0  #: matching requests
        self.hit = 0  #: requests with the fault

    def due(self, method: str, path: str) -> Fault | None:
        if not self.fault.concerns(method, path) or self._is_over():
            return None
        self.seen += 1
        if self.seen % self.fault.every_nth:
            return None
        if self.fault.chance < 1 and self._rng.random() >= self.fault.chance:
            return None
        self.hit += 1
        if self._over_at is None and self.fault.for_s is not None:
            self._over_at = self._monotonic() + self.fault.for_s
        return self.fault

    def _is_over(self) -> bool:
        is_late = self._over_at is not None and self._monotonic() >= self._over_at
        return is_late or self.hit == self.fault.times


def _first(faults: Iterable[Fault | None]) -> Fault | None:
    return next((fault for fault in faults if fault is not None), None)
