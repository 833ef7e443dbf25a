"""Read and change what may change at run time."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.cli.options import AsJson
from service.cli.output import Column, Table, print_json, print_table
from service.cli.resources import open_settings
from service.cli.setting_texts import (
    CHANGED,
    NOT_IN_EFFECT,
    line,
    mark,
    name_and_value,
    value_text,
    words,
)

if TYPE_CHECKING:
    from service.settings.settings import SettingView

_COLUMNS: Final = (
    Column(title="", styles={CHANGED: "bold yellow"}),
    Column(title="setting", lead_style="bold"),
    Column(title="what it is"),
)


def _names() -> list[str]:
    from service.settings.table import TABLE

    return list(TABLE)


Name = Annotated[str, typer.Argument(metavar="KEY", autocompletion=_names)]


def list_settings(*, as_json: AsJson = False) -> None:
    """Print every setting with its value, unit, bounds and sentence; * marks a changed one."""
    import asyncio

    async def views() -> "tuple[SettingView, ...]":
        async with open_settings() as settings:
            return await settings.all()

    shown = asyncio.run(views())
    if as_json:
        from service.web.api.settings import setting_body

        print_json({"items": [setting_body(view) for view in shown], "next_cursor": None})
        return
    rows = [(mark(view), name_and_value(view), words(view)) for view in shown]
    table = Table(columns=_COLUMNS, rows=rows, is_spaced=True)
    print_table(table, plain=[line(view) for view in shown])


def get_setting(key: Name, *, as_json: AsJson = False) -> None:
    """Print one setting's value as JSON; with --json everything that is known of it."""
    import asyncio

    async def found() -> "SettingView":
        async with open_settings() as settings:
            return await settings.view(key)

    view = asyncio.run(found())
    if as_json:
        from service.web.api.settings import setting_body

        print_json(setting_body(view))
        return
    print_json(view.value)
    if not view.in_effect:
        print(f"{key}: {NOT_IN_EFFECT}", file=sys.stderr)


def set_setting(key: Name, value: str, *, as_json: AsJson = False) -> None:
    """Change one setting; running services take it over at once."""
    import asyncio

    async def changed() -> "tuple[SettingView, Any]":
        async with open_settings() as settings:
            changes = await settings.change({key: _json_or_text(value)}, by=f"cli:{_account()}")
            view = await settings.view(key)
            return view, changes

    view, changes = asyncio.run(changed())
    if as_json:
        from service.web.api.settings import changed_setting_body

        print_json(changed_setting_body(view, changes))
        return
    note = "" if view.in_effect else f"  ({NOT_IN_EFFECT})"
    for change in changes:
        old, new = value_text(change.old), value_text(change.new)
        pinned = "  (the default; it is stored now)" if old == new else ""
        print(f"{change.key}: {old} -> {new}{pinned}{note}")
    if not changes:
        print(f"{key}: unchanged{note}")


def _json_or_text(value: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(value)
    except ValueError:
        return value


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # which of them depends on Python's version
        return str(os.getuid())  # a container may run as a number without a name


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "list": list_settings,
    "get": get_setting,
    "set": set_setting,
}
