"""Holds the JSON of a request against the model of its route; a refusal is one sentence."""

from collections.abc import Mapping
from typing import Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from service.domain.errors import InvalidRequest
from service.ports.store import JSON
from service.web.contract.requests import Body, EmptyBody
from service.web.contract.route import route_of
from service.web.protocol.request_body import json_object

M = TypeVar("M", bound=Body)

_UNKNOWN: Final = "extra_forbidden"
_LONGEST_NAME: Final = 40


async def body_of(request: web.Request, model: type[M]) -> M:
    """Return the body as `model`. Raises: InvalidRequest, and what reading raises."""
    return parsed(await values_of(request, model), model)


async def nothing_of(request: web.Request, why: str) -> None:
    """Read a body that has to be empty. Raises: InvalidRequest, and what reading raises."""
    if await values_of(request, EmptyBody):
        raise InvalidRequest(f"the body is empty: {why}")


async def values_of(request: web.Request, model: type) -> Mapping[str, JSON]:
    """Return the body's object, which the document says has the form of `model`."""
    route = route_of(request)
    if route is None or route.body is not model:
        raise LookupError(f"{model.__name__} is not the body in the row of this route")
    return await json_object(request)


def parsed(values: Mapping[str, JSON], model: type[M]) -> M:
    """Return the values as `model`. Raises: InvalidRequest, which quotes names and no values."""
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_input=False, include_context=False)
    found = next((fault for fault in faults if fault["type"] == _UNKNOWN), faults[0])
    name = str(found["loc"][0])
    raise InvalidRequest(
        unknown_name(name, model) if found["type"] == _UNKNOWN else _sentence(name, model)
    )


def unknown_name(name: str, model: type[Body]) -> str:
    known = ", ".join(model.model_fields)
    return model.unknown.format(name=repr(name[:_LONGEST_NAME]), known=known)


def _sentence(name: str, model: type[Body]) -> str:
    return model.sentences.get(name) or f"{name} is {model.model_fields[name].description}"
