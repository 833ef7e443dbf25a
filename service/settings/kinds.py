"""The types a setting can have, beside numbers: amounts.py."""

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.domain.errors import UnknownMarket
from service.domain.markets import Market
from service.ports.store import JSON
from service.settings.key import Unfit, ValueKind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Switch:
    """true or false; not 1, 0 or a text."""

    bounds: str = "true or false"

    def parse(self, raw: JSON) -> bool:
        if not isinstance(raw, bool):
            raise Unfit
        return raw

    def dump(self, value: bool) -> JSON:  # noqa: FBT001 - a value, not a flag of the call
        return value


@dataclass(frozen=True, slots=True)
class OrOff(Generic[T]):
    """A value of `inner`, or null: switched off."""

    inner: ValueKind[T]

    @property
    def bounds(self) -> str:
        return f"null (off) or {self.inner.bounds}"

    def parse(self, raw: JSON) -> T | None:
        return None if raw is None else self.inner.parse(raw)

    def dump(self, value: T | None) -> JSON:
        return None if value is None else self.inner.dump(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def bounds(self) -> str:
        return f"one of {', '.join(self.options)}"

    def parse(self, raw: JSON) -> str:
        if not isinstance(raw, str) or raw not in self.options:
            raise Unfit
        return raw

    def dump(self, value: str) -> JSON:
        return value


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model's name. It becomes part of an address, so the form is strict."""

    bounds: str = "a model name like gemini-3.8-flash"
    _form: re.Pattern[str] = re.compile(r"[a-z][a-z0-9]*([.-][a-z0-9]+)*")

    def parse(self, raw: JSON) -> str:
        longest = 80
        if not isinstance(raw, str) or len(raw) > longest or not self._form.fullmatch(raw):
            raise Unfit
        return raw

    def dump(self, value: str) -> JSON:
        return value


@dataclass(frozen=True, slots=True)
class MarketCode:
    """A market, written QUOTE-BASE."""

    bounds: str = "a market like KRW-BTC"

    def parse(self, raw: JSON) -> Market:
        try:
            return Market.parse(raw if isinstance(raw, str) else "")
        except UnknownMarket:
            raise Unfit from None

    def dump(self, value: Market) -> JSON:
        return str(value)


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list of different values of one kind, in order."""

    inner: ValueKind[T]
    most: int

    @property
    def bounds(self) -> str:
        return f"a list of at most {self.most}, no two alike, each {self.inner.bounds}"

    def parse(self, raw: JSON) -> tuple[T, ...]:
        if not isinstance(raw, list | tuple) or len(raw) > self.most:
            raise Unfit
        values = tuple(self._item(n, item) for n, item in enumerate(raw, start=1))
        if len(set(values)) < len(values):
            raise Unfit
        return values

    def _item(self, n: int, raw: JSON) -> T:
        try:
            return self.inner.parse(raw)
        except Unfit as exc:
            detail = f", {exc}" if str(exc) else ""
            raise Unfit(f"item {n} does not fit{detail}") from None

    def dump(self, value: tuple[T, ...]) -> JSON:
        return [self.inner.dump(item) for item in value]
