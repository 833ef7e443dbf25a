"""One row of the table of routes: everything that is said about a route is said here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from service.domain.errors import ServiceError, StoreBusy, StoreDown, StoreTimeout
from service.web.contract.parameters import Parameter
from service.web.contract.roles import READING, Role

API: Final = "/api/v1"
#: What a route answers that asks the database.
STORE: Final[tuple[type[ServiceError], ...]] = (StoreBusy, StoreDown, StoreTimeout)
OK, CREATED, ACCEPTED, UNAVAILABLE = 200, 201, 202, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHeader:
    name: str
    says: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RouteRow:
    """Attributes:
    name: of the operation, in the document and in generated clients.
    handler: what answers; stands in one row only.
    says: the line in docs/api.md, in Markdown.
    query: its parameters; None where the query is not read.
    body: what a change takes; None where no body is read.
    answers: the type of the JSON body by status; None for bytes of another kind.
    problems: beyond those that the role, the query, the body and the limits of load bring.
    is_revalidated: the answer has an ETag and may be 304.
    is_queued: waits for a place when there are too many requests.
    is_local: in the sandbox a caller of this machine needs no token.
    """

    method: str
    path: str
    name: str
    handler: Handler
    role: Role
    says: str
    answers: Mapping[int, object]
    query: tuple[Parameter, ...] | None = ()
    headers: tuple[RequestHeader, ...] = ()
    body: type[BaseModel] | None = None
    problems: tuple[type[ServiceError], ...] = ()
    media_type: str = "application/json"
    is_revalidated: bool = False
    is_queued: bool = True
    is_local: bool = False
    forms: Mapping[str, Parameter] = field(init=False)  #: its query parameters by name

    def __post_init__(self) -> None:
        forms = {parameter.name: parameter for parameter in self.query or ()}
        object.__setattr__(self, "forms", forms)


#: By handler. A request finds its row here.
TABLE = web.AppKey[Mapping[Handler, RouteRow]]("table")


def route_of(request: web.Request) -> RouteRow | None:
    """Return the row of the request's route; None where no route has its address and method."""
    return request.app[TABLE].get(request.match_info.handler)


def forms_of(request: web.Request) -> Mapping[str, Parameter]:
    """Return the query parameters of the request's route, by name."""
    return request.app[TABLE][request.match_info.handler].forms


def role_needed(route: RouteRow | None, method: str) -> Role:
    """Return the role; an address that does not exist asks for one like any other."""
    if route is not None:
        return route.role
    return Role.VIEWER if method in READING else Role.ADMIN
