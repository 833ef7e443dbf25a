"""The stored settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.ports.store import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    key: str
    old: JSON  #: the stored value, or the default where none was stored
    new: JSON  #: equals `old` when the default was stored, which later defaults do not replace
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRule:
    """A rule that several settings must satisfy together, whichever of them changes.

    Attributes:
        keys: the settings it is about.
        check: called with the values to be stored; raises, and then nothing is stored.
    """

    keys: tuple[str, ...]
    check: Callable[[Mapping[str, JSON]], None]


class SettingRows(Protocol):
    async def load(self, key: str) -> tuple[JSON] | None:
        """Return the stored value in a 1-tuple, or None when the operator never set it."""

    async def load_all(self) -> Mapping[str, JSON]:
        """Return every stored value, those of keys that this version does not know as well."""

    async def change(
        self,
        values: Mapping[str, JSON],
        *,
        defaults: Mapping[str, JSON],
        by: str,
        at: datetime,
        request_id: str | None,
        only_absent: bool = False,
        rule: SharedRule | None = None,
    ) -> tuple[SettingChange, ...]:
        """Store all values or none, in one transaction; return the changes.

        The transaction also stores change and audit rows and notifies other processes. A value
        equal to the stored one is no change. With `only_absent`, stored keys stay as they are. Each
        old value is read under its row's lock; for a key without a row it is that of `defaults`.
        Changes under a rule are serialized across all processes.
        """
