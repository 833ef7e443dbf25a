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
    new: JSON  #: equals `old` when the default was stored: a later default does not replace it
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRule:
    """What must hold of several settings together, whoever changes which of them.

    Attributes:
        keys: the settings it is about.
        check: gets what would be stored of them; raises to have nothing stored.
    """

    keys: tuple[str, ...]
    check: Callable[[Mapping[str, JSON]], None]


class SettingRows(Protocol):
    async def load(self, key: str) -> tuple[JSON] | None:
        """Return the stored value in a 1-tuple, or None when the operator never set it."""

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
        """Store all values or none, with their change and audit rows and the notification to
        other processes, in one transaction. A value equal to the stored one is no change.
        `only_absent` leaves alone what is already stored. Returns what really changed, each old
        value read under the lock of its row; of a key without a row it is the one in `defaults`.
        Changes under a rule come one after the other, in all processes together.
        """
