"""Faults on demand: what a route does wrong, for how long and how often.

One plan for the exchange and the model, as an object in tests and over
`POST /__sandbox__/faults` by hand.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.domain.errors import InvalidRequest

ModelFault = Literal[
    "rate_limited",  # 429 with a RetryInfo
    "quota",  # 429 of an exhausted day
    "empty",  # 200 without a body
    "blocked",  # no candidate, the prompt is at fault
    "safety",  # a candidate without content
    "max_tokens",  # all spent on thoughts
    "cut",  # half the JSON, paid all the same
    "prose",
    "fences",  # the JSON in a Markdown fence
    "nonsense",  # JSON, but out of every range
    "thought",  # well, behind a thought
    "new_finish",  # a finish reason that no SDK knows
]


class Fault(BaseModel):
    """One thing that goes wrong. Without any effect named it only delays by `delay_s`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = "*"
    path: str = "*"  #: glob over the path, e.g. /v1/orders* or */models/*
    status: Annotated[int, Field(ge=100, le=599)] | None = None  #: answered instead of executing
    headers: Mapping[str, str] = {}
    body: str = ""
    delay_s: Annotated[float, Field(ge=0, le=3600)] = 0.0  #: real seconds
    phase: Literal["before", "after"] = "before"  #: delayed before or after executing
    drop_before: bool = False  #: the connection breaks, nothing was executed
    drop_after: bool = False  #: executed, but the answer never arrives
    truncate: bool = False  #: executed, and half the answer arrives
    model: ModelFault | None = None  #: what the model's answer looks like
    every_nth: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] | None = None  #: then the route is well again

    def concerns(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and fnmatchcase(path, self.path)


_PLAN = TypeAdapter(list[Fault])


class Faults:
    """The plan now in force; the first fault that is due on a route wins."""

    def __init__(self) -> None:
        self._plan: list[_Counted] = []

    def add(self, *faults: Fault) -> None:
        self._plan.extend(_Counted(fault) for fault in faults)

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
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0  #: requests that it concerned
        self.hit = 0  #: requests that it spoiled

    def due(self, method: str, path: str) -> Fault | None:
        if not self.fault.concerns(method, path) or self.hit == self.fault.times:
            return None
        self.seen += 1
        if self.seen % self.fault.every_nth:
            return None
        self.hit += 1
        return self.fault


def _first(faults: Iterable[Fault | None]) -> Fault | None:
    return next((fault for fault in faults if fault is not None), None)
