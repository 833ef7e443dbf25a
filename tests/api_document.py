"""What is written from the table of routes; `python -m tests.api_document` writes it anew.

Two files: the OpenAPI document that the service answers, and the list of routes in docs/api.md.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

import orjson

from service import __version__
from service.web.contract.openapi import document
from service.web.contract.parameters import ChoiceParameter, NumberParameter, Parameter
from service.web.contract.roles import Role
from service.web.contract.route import RouteRow
from service.web.routes import table

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "service" / "web" / "page" / "openapi.json"
PAGE: Final = ROOT / "docs" / "api.md"
_LIST: Final = re.compile(r"^\| method \| address .*?\n\n", re.MULTILINE | re.DOTALL)
_HEAD: Final = "| method | address | role | answers |\n| --- | --- | --- | --- |\n"


def rows() -> tuple[RouteRow, ...]:
    return tuple(table().values())


def openapi_text() -> bytes:
    return orjson.dumps(document(rows(), version=__version__), option=orjson.OPT_INDENT_2) + b"\n"


def list_text() -> str:
    return _HEAD + "".join(_line(row) for row in rows())


def page_text(page: str) -> str:
    """Return docs/api.md with the list as the table has it."""
    return _LIST.sub(lambda _found: f"{list_text()}\n", page, count=1)


def _line(row: RouteRow) -> str:
    role = "anybody" if row.role is Role.ANONYMOUS else row.role.value
    query = f". Query: {', '.join(map(_shown, row.query))}" if row.query else ""
    return f"| {row.method} | `{row.path}` | {role} | {row.says}{query} |\n"


def _shown(parameter: Parameter) -> str:
    match parameter:
        case NumberParameter(name="limit"):
            form = ""
        case NumberParameter(default=None):
            form = f" ({parameter.says})"
        case NumberParameter():
            form = f" ({parameter.low}..{parameter.high}, default {parameter.default})"
        case ChoiceParameter(default=None):
            form = f" ({_choices(parameter)})"
        case ChoiceParameter():
            form = f" ({_choices(parameter)}; default {parameter.default})"
        case _:
            form = ""
    return f"`{parameter.name}`{form}"


def _choices(parameter: ChoiceParameter[StrEnum]) -> str:
    return " ".join(one.value for one in parameter.kind)


def main() -> None:
    DOCUMENT.write_bytes(openapi_text())
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
