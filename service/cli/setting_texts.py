"""One setting in words: a line for a pipe, cells for a terminal."""

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from service.settings.settings import SettingView

NOT_IN_EFFECT: Final = "nothing acts on this setting in this version"
CHANGED: Final = "*"
_SHORT: Final = 60  #: characters of a value in the table; the price table has a thousand


def line(view: "SettingView") -> str:
    default = "" if view.is_default else f"  (default {value_text(view.default)})"
    takes = "; ".join(filter(None, (view.unit, view.bounds)))
    note = "" if view.in_effect else f"  ({NOT_IN_EFFECT})"
    value = value_text(view.value)
    return f"{mark(view)} {view.key} = {value}{default}  [{takes}]  {view.sentence}{note}"


def name_and_value(view: "SettingView") -> str:
    lines = [view.key, _short(view.value)]
    if not view.is_default:
        lines.append(f"default {_short(view.default)}")
    return "\n".join(lines)


def words(view: "SettingView") -> str:
    unit = f"Unit: {view.unit}. " if view.unit else ""
    lines = [view.sentence, f"{unit}Takes {view.bounds}."]
    if not view.in_effect:
        lines.append(f"({NOT_IN_EFFECT})")
    return "\n".join(lines)


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = value_text(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]} …"


def mark(view: "SettingView") -> str:
    return " " if view.is_default else CHANGED


def value_text(value: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps(value, ensure_ascii=False)
