"""The OpenAPI 3.1 document of the table. Nothing at run time makes it: it is a file of the package.

`python -m tests.api_document` writes it; a test fails while the file differs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, Literal, NamedTuple

from pydantic import TypeAdapter

from service.domain.errors import InvalidRequest, NotAllowed, ServiceError, UnknownMarket
from service.ports.store import JSON
from service.web.contract.parameters import (
    ChoiceParameter,
    InstantParameter,
    MarketParameter,
    NumberParameter,
    Parameter,
)
from service.web.contract.roles import Role
from service.web.contract.route import RouteRow
from service.web.protocol.errors import (
    BodyTooLarge,
    BodyTooSlow,
    CrossSite,
    ExpectationFailed,
    InvalidCursor,
    NoCredentials,
    NotJson,
    Overloaded,
    TooManyTries,
    WrongHost,
)
from service.web.protocol.problems import (
    INTERNAL,
    KINDS,
    PROBLEM_TYPE,
    ProblemBody,
    ProblemKind,
)

Document = dict[str, JSON]
_Mode = Literal["validation", "serialization"]

_RESPONSE: Final = "#/components/responses/"
_REF: Final = "#/components/schemas/{model}"
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_BEFORE_THE_ROUTE: Final[tuple[type[ServiceError], ...]] = (
    InvalidRequest,  # what protocol/framing.py refuses
    ExpectationFailed,
    Overloaded,  # also where no request waits for a place: connections are limited
)
_ALWAYS: Final[tuple[type[ServiceError], ...]] = (
    *_BEFORE_THE_ROUTE,
    WrongHost,
    NoCredentials,
    TooManyTries,
)
_OF_A_BODY: Final[tuple[type[ServiceError], ...]] = (
    NotJson,
    BodyTooLarge,
    BodyTooSlow,
)
#: The form of a variable in an address, by its name.
_VARIABLES: Final[Mapping[str, JSON]] = {
    "id": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    "key": {"type": "string"},
    "name": {"type": "string"},
}


def document(rows: Sequence[RouteRow], *, version: str) -> Document:
    """Return the document of `rows`; JSON, the same for the same rows."""
    schemas = _Schemas(rows)
    refusals = sorted({one for row in rows for one in _refusals(row)})
    paths: Document = {}
    for path, same in groupby(sorted(rows, key=lambda row: row.path), key=lambda row: row.path):
        paths[path] = {row.method.lower(): _operation(row, schemas) for row in same}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "upbit-ai-trader",
            "version": version,
            "description": "Amounts and prices are decimal text; instants are RFC 3339 in UTC.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "responses": {one.name: one.response() for one in refusals},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def problems_of(row: RouteRow) -> list[ProblemKind]:
    """Return what a request of the row may be refused with, by status and slug."""
    if row.path == "/health":  # the middleware answers it first
        return sorted(KINDS[error] for error in _BEFORE_THE_ROUTE)
    return sorted({INTERNAL, *(KINDS[error] for error in (*row.problems, *_usual(row)))})


def _usual(row: RouteRow) -> Iterator[type[ServiceError]]:
    yield from _ALWAYS
    if row.role is Role.ADMIN:
        yield from (NotAllowed, CrossSite)
    if "cursor" in row.forms:
        yield InvalidCursor
    if "market" in row.forms:
        yield UnknownMarket
    if row.body is not None:
        yield from _OF_A_BODY


class _Schemas:
    """The JSON schemas of every type of the table."""

    def __init__(self, rows: Sequence[RouteRow]) -> None:
        kinds = [kind for row in rows for kind in row.answers.values() if kind is not None]
        models = [row.body for row in rows if row.body is not None]
        adapters: list[tuple[int, _Mode, TypeAdapter[Any]]] = [
            *((id(kind), "serialization", _adapter(kind)) for kind in (*kinds, ProblemBody)),
            *((id(model), "validation", _adapter(model)) for model in models),
        ]
        found, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REF)
        self._found = {key: schema for (key, _mode), schema in found.items()}
        named = definitions.get("$defs", {})
        self.named: dict[str, JSON] = {name: _plain(named[name]) for name in sorted(named)}

    def of(self, kind: object) -> JSON:
        return _plain(self._found[id(kind)])


def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type, or a union of types
    return TypeAdapter(kind)


def _plain(schema: Any) -> JSON:  # noqa: ANN401 - JSON of any form
    """Return the schema without pydantic's titles, which only repeat names."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema  # type: ignore[no-any-return]
    return {
        name: {key: _plain(inner) for key, inner in part.items()}
        if name == "properties"
        else _plain(part)
        for name, part in schema.items()
        if name != "title" or not isinstance(part, str)
    }


def _operation(row: RouteRow, schemas: _Schemas) -> Document:
    told = _LINK.sub(r"\1", row.says)
    operation: Document = {
        "operationId": row.name,
        "summary": row.name.replace("_", " ").capitalize(),
        "description": told[0].upper() + told[1:] + ".",
        "tags": [_tag(row.path)],
        "x-role": row.role.value,
        "parameters": [*_path_parameters(row), *_query_parameters(row), *_headers(row)],
        "responses": {
            **_answers(row, schemas),
            **{
                str(one.status): {"$ref": _RESPONSE + one.name}
                for one in _refusals(row)
                if one.status not in row.answers
            },
        },
        "security": _security(row),
    }
    if row.body is not None:
        takes = schemas.of(row.body)
        operation["requestBody"] = {
            "required": _is_required(row),
            "content": {"application/json": {"schema": takes}},
        }
    return operation


def _security(row: RouteRow) -> list[JSON]:
    if row.role is Role.ANONYMOUS:
        return []
    return [{"token": []}, {}] if row.is_local else [{"token": []}]


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[2] if len(parts) > 2 else "service"  # noqa: PLR2004 - api, v1, the tag


def _is_required(row: RouteRow) -> bool:
    """Return whether the body of nothing would be refused."""
    schema = row.body.model_json_schema() if row.body else {}
    return bool({"required", "anyOf", "minProperties"} & schema.keys())


def _path_parameters(row: RouteRow) -> Iterator[JSON]:
    for name in _VARIABLE.findall(row.path):
        yield {"name": name, "in": "path", "required": True, "schema": _VARIABLES[name]}


def _query_parameters(row: RouteRow) -> Iterator[JSON]:
    for parameter in row.query or ():
        shown: Document = {"name": parameter.name, "in": "query", "schema": form_of(parameter)}
        if parameter.says:
            shown["description"] = parameter.says
        yield shown


def form_of(parameter: Parameter) -> JSON:
    match parameter:
        case NumberParameter():
            form: Document = {
                "type": "integer",
                "minimum": parameter.low,
                "maximum": parameter.high,
            }
            return form | ({} if parameter.default is None else {"default": parameter.default})
        case ChoiceParameter():
            choices: Document = {"type": "string", "enum": [one.value for one in parameter.kind]}
            return choices | ({} if parameter.default is None else {"default": parameter.default})
        case InstantParameter():
            return {"type": "string", "format": "date-time"}
        case MarketParameter():
            return {"type": "string", "examples": ["KRW-BTC"]}
        case _:
            return {"type": "string"}


def _headers(row: RouteRow) -> Iterator[JSON]:
    for header in row.headers:
        yield {
            "name": header.name,
            "in": "header",
            "required": True,
            "description": header.says,
            "schema": {"type": "string", "pattern": header.pattern},
        }
    if row.is_revalidated:
        yield {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}


def _answers(row: RouteRow, schemas: _Schemas) -> Document:
    answers: Document = {}
    for status, kind in sorted(row.answers.items()):
        schema: JSON = {} if kind is None else schemas.of(kind)
        told, content = "The answer", {row.media_type: {"schema": schema}}
        for one in _refusals(row):
            if one.status == status:
                told += f", or {one.told}"
                content[PROBLEM_TYPE] = one.content()
        answers[str(status)] = {"description": told, "content": content}
    if row.is_revalidated:
        answers["304"] = {"description": "The caller has it already"}
    return answers


class _Refusal(NamedTuple):
    """What one status of a route may mean; many routes share it."""

    status: int
    slugs: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join((str(self.status), *self.slugs))

    @property
    def told(self) -> str:
        return ", ".join(self.slugs)

    def content(self) -> Document:
        # One type of problem for all: generators would make a class a status and operation.
        return {"schema": {"$ref": _REF.format(model=ProblemBody.__name__)}}

    def response(self) -> Document:
        return {"description": self.told, "content": {PROBLEM_TYPE: self.content()}}


def _refusals(row: RouteRow) -> Iterator[_Refusal]:
    for status, kinds in groupby(problems_of(row), key=lambda kind: kind.status):
        yield _Refusal(status, tuple(kind.slug for kind in kinds))
