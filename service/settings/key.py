"""One setting: its name, its type and bounds, its default, and what it is for."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from service.domain.errors import InvalidSetting
from service.ports.store import JSON

T = TypeVar("T")


class Unfit(ValueError):
    """A raw value does not fit its kind; the text adds a detail to the bounds."""


class ValueKind(Protocol[T]):
    """A type of value with its bounds."""

    @property
    def bounds(self) -> str:
        """Return the accepted values, as text after "takes"."""

    def parse(self, raw: JSON) -> T:
        """Return the value, or raise Unfit."""

    def dump(self, value: T) -> JSON:
        """Return the one JSON form of `value`, so that equal values are stored equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Key(Generic[T]):
    """A row of the table in table.py; keys are equal only when they are the same object."""

    name: str
    default: T
    kind: ValueKind[T]
    unit: str  #: empty where the value has none
    sentence: str
    in_effect: bool = True  #: False: stored and checked, but nothing in this version reads it

    @property
    def bounds(self) -> str:
        return self.kind.bounds

    def parse(self, raw: JSON) -> T:
        """Return the typed value. Raises: InvalidSetting, naming the key and its bounds.

        The error does not repeat the value, which came from outside: errors are logged and sent.
        """
        try:
            return self.kind.parse(raw)
        except Unfit as exc:
            detail = f": {exc}" if str(exc) else ""
            raise InvalidSetting(f"{self.name} takes {self.bounds}{detail}") from None

    def dump(self, value: T) -> JSON:
        return self.kind.dump(value)
