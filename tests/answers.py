"""Holds answers against the document of the API: status, media type, and the body to the field."""

import re
from typing import Any, Final

import aiohttp
import jsonschema_rs
import orjson

from service.web.contract.route import RouteRow
from service.web.protocol.problems import PROBLEM_TYPE, TYPE_PREFIX
from tests.api_document import DOCUMENT, rows

_JSON: Final = re.compile(r"application/(?:problem\+)?json")
_VARIABLE: Final = re.compile(r"\\{\w+\\}")


def _closed(schema: Any) -> Any:
    """Return the schema with objects that have no other field than those it names."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        return {"additionalProperties": False, **closed}
    return closed


class Answers:
    """Asks the service and remembers which operation gave which status.

    Attributes:
        seen: name of the operation and status of each answer.
        filled: operations whose list had an item.
    """

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._api: dict[str, Any] = orjson.loads(DOCUMENT.read_bytes())
        schemas = _closed(self._api["components"]["schemas"])
        self._components = {"schemas": schemas, "responses": self._api["components"]["responses"]}
        self.seen: set[tuple[str, int]] = set()
        self.filled: set[str] = set()

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the body of an answer that the document has; asserts that it has it."""
        row = self._row(method, path.partition("?")[0])
        async with self._client.request(method, path, **options) as answer:
            raw, status, media_type = await answer.read(), answer.status, answer.content_type
        self.seen.add((row.name, status))
        response = self._response(row, status)
        media = response.get("content", {})
        if not media:
            assert raw == b"", (row.name, status)
            return None
        assert media_type in media, (row.name, status, media_type)
        if not _JSON.fullmatch(media_type):
            return raw.decode()
        body = orjson.loads(raw)
        faults = self._faults(media[media_type]["schema"], body)
        assert not faults, (row.name, status, faults)
        if media_type == PROBLEM_TYPE:
            slug = body["type"].removeprefix(TYPE_PREFIX)
            assert slug in response["description"].split(", "), (row.name, status, slug)
        if isinstance(body, dict) and body.get("items"):
            self.filled.add(row.name)
        return body

    def _row(self, method: str, path: str) -> RouteRow:
        for row in rows():
            pattern = _VARIABLE.sub("[^/]+", re.escape(row.path))
            if row.method == method and re.fullmatch(pattern, path):
                return row
        raise AssertionError(f"no route has {method} {path}")

    def _response(self, row: RouteRow, status: int) -> dict[str, Any]:
        given = self._api["paths"][row.path][row.method.lower()]["responses"]
        assert str(status) in given, f"{row.name} answered {status}, which is not documented"
        response: dict[str, Any] = given[str(status)]
        if "$ref" in response:
            named = response["$ref"].removeprefix("#/components/responses/")
            response = self._components["responses"][named]
        return response

    def _faults(self, schema: Any, body: Any) -> list[str]:
        whole = {**schema, "components": self._components}
        validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        return [f"{fault.instance_path}: {fault.message}" for fault in validator.iter_errors(body)]
