"""Requests to the model: any spelling of the keys is read, the values are checked strictly.

Keys may be camelCase or snake_case at any depth: the SDK mixes both.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from service.sandbox.gemini_api.errors import bad_request

_BUDGET_ONLY: Final = "gemini-2.5"


def read_body(raw: bytes) -> Mapping[str, Any]:
    """Return the request's fields in camelCase. Raises: Problem (400)."""
    try:
        body = camel(json.loads(raw or b"{}"))
    except (ValueError, RecursionError) as exc:
        raise bad_request("Invalid JSON payload received.") from exc
    if not isinstance(body, dict):
        raise bad_request("Invalid JSON payload received: not an object.")
    return body


def camel(value: Any) -> Any:  # noqa: ANN401  # any JSON, as it came over the wire
    """Return JSON with every key in camelCase; keys of a schema's `properties` stay."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        (name := re.sub(r"_([a-z])", lambda m: m[1].upper(), key)): (
            {inner: camel(schema) for inner, schema in item.items()}
            if name == "properties" and isinstance(item, dict)
            else camel(item)
        )
        for key, item in value.items()
    }


def texts_in(body: Mapping[str, Any]) -> list[str]:
    """Return every text of the contents, then of the system instruction."""
    contents = [*_listed(body.get("contents")), body.get("systemInstruction")]
    return [
        part["text"]
        for content in contents
        if isinstance(content, dict)
        for part in _listed(content.get("parts"))
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def object_in(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object called `name`, empty when it is absent."""
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise bad_request(f"Invalid value at '{name}': not an object.")
    return value


def schema_in(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the requested schema of the answer, empty without one."""
    schema = object_in(config, "responseSchema") or object_in(config, "responseJsonSchema")
    names = schema.get("propertyOrdering") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad_request("Invalid value at 'response_schema.property_ordering'")
    object_in(schema, "properties")
    return schema


def config_in(body: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """Return the generation config. Raises: Problem (400), when `model` does not support it."""
    if not texts_in({"contents": body.get("contents")}):
        raise bad_request("* GenerateContentRequest.contents: contents is not specified")
    config = object_in(body, "generationConfig")
    if schema_in(config) and config.get("responseMimeType") != "application/json":
        raise bad_request("response_schema needs response_mime_type: application/json")
    most = config.get("maxOutputTokens", 1)
    if not isinstance(most, int) or most < 1:
        raise bad_request("max_output_tokens must be positive.")
    _check_thinking(object_in(config, "thinkingConfig"), model)
    return config


def _check_thinking(thinking: Mapping[str, Any], model: str) -> None:
    knows_levels = not model.startswith(_BUDGET_ONLY)
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise bad_request("You can only set one of thinking budget and thinking level.")
    if "thinkingBudget" in thinking and knows_levels:
        raise bad_request(f"thinking_budget is not supported by {model}; use thinking_level.")
    if "thinkingLevel" in thinking and not knows_levels:
        raise bad_request(f"thinking_level is not supported by {model}.")
