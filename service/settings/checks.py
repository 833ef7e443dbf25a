"""Checks of settings before they are stored."""

import difflib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from itertools import pairwise
from typing import Any

from service.domain.errors import InvalidSetting, UnknownSetting
from service.ports.store import JSON
from service.settings.key import Key
from service.settings.table import TABLE


def key_named(name: str) -> Key[Any]:
    """Return the key called `name`. Raises: UnknownSetting, with the nearest name."""
    if name in TABLE:
        return TABLE[name]
    near = difflib.get_close_matches(name[:60], TABLE, n=1)
    hint = f"did you mean {near[0]}?" if near else "see docs/settings.md"
    raise UnknownSetting(f"no setting is called {name[:60]!r}; {hint}")


def parse_all(values: Mapping[str, JSON]) -> dict[str, object]:
    """Return the typed values by name.

    Raises: UnknownSetting for the first unknown name, else InvalidSetting with all faults.
    """
    keys = [key_named(name) for name in values]
    parsed: dict[str, object] = {}
    faults = []
    for key in keys:
        try:
            parsed[key.name] = key.parse(values[key.name])
        except InvalidSetting as exc:
            faults.append(str(exc))
    if faults:
        raise InvalidSetting("; ".join(faults))
    return parsed


def check_ascending(values: Mapping[Key[Decimal], Decimal], *, changed: AbstractSet[str]) -> None:
    """Raise InvalidSetting when a changed value is above the next one or below the last one.

    A pair without a changed value is not checked, so that an earlier mistake can be mended one key
    at a time.
    """
    faults = [
        f"{low.name} must not exceed {high.name}: {values[low]:f} > {values[high]:f}"
        for low, high in pairwise(values)
        if values[low] > values[high] and {low.name, high.name} & changed
    ]
    if faults:
        raise InvalidSetting("; ".join(faults))
