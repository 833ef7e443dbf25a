"""The settings in force: read through the cache, changed with all checks or not at all."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import orjson
from loguru import logger

from service.domain.errors import BoundaryError, InvalidSetting
from service.ports.clock import MarketClock
from service.ports.health import CacheStats
from service.ports.settings import SettingChange, SettingRows, SharedRule
from service.ports.store import JSON
from service.settings.cache import LoadingCache
from service.settings.checks import check_ascending, key_named, parse_all
from service.settings.key import Key
from service.settings.table import ASCENDING, TABLE

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingView:
    """One setting as it is shown."""

    key: str
    value: JSON
    default: JSON
    unit: str
    sentence: str
    bounds: str
    is_default: bool  #: the value in force equals the default, stored or not
    in_effect: bool  #: False: nothing in this version acts on the value


@dataclass(frozen=True, slots=True)
class _Held(Generic[T]):
    """What the cache keeps of a setting: shown far more often than loaded."""

    value: T
    view: SettingView


class Settings:
    """What the operator may change while the service runs; docs/settings.md."""

    def __init__(
        self, rows: SettingRows, clock: MarketClock, *, cache: LoadingCache | None = None
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._cache = cache or LoadingCache()
        self._changing = asyncio.Lock()
        self.unusable_loads = 0  #: how often a stored value had to be passed over
        self._listeners: list[Callable[[str], Awaitable[None]]] = []

    # --- reading --------------------------------------------------------------------------

    async def get(self, key: Key[T]) -> T:
        """Return the value in force. Raises: StoreBusy, StoreDown, StoreTimeout on a miss."""
        held: _Held[T] = await self._cache.get(key.name, partial(self._loaded, key))
        return held.value

    async def stored(self, key: Key[T]) -> T:
        """Return the value in force, past the cache. Raises: StoreBusy, StoreDown, StoreTimeout."""
        return await self._load(key)

    async def view(self, name: str) -> SettingView:
        """Raises: UnknownSetting; on a miss also the store's errors."""
        key = key_named(name)
        held: _Held[object] = await self._cache.get(key.name, partial(self._loaded, key))
        return held.view

    async def all(self) -> tuple[SettingView, ...]:
        """Return every setting in the table's order. Raises the store's errors on a miss."""
        return tuple([await self.view(name) for name in TABLE])

    def stats(self) -> CacheStats:
        return self._cache.stats()

    async def close(self) -> None:
        """End loads that are still on their way."""
        await self._cache.close()

    # --- the hook -------------------------------------------------------------------------

    def on_change(self, heard: Callable[[str], Awaitable[None]]) -> None:
        """Have `heard` called with each name that may have changed, here or elsewhere.

        A change made here returns after it. Names that are no setting of this version come too.
        `heard` must not raise.
        """
        self._listeners.append(heard)

    async def invalidate(self, name: str) -> None:
        """Forget one cached value: after a change here, on a notification from elsewhere."""
        # A newer version of the service may notify about keys that this one does not have.
        if name in TABLE:
            await self._cache.invalidate(name)
            logger.bind(event="cache", setting=name).debug("setting invalidated")
        await self._tell(name)

    async def invalidate_all(self) -> None:
        """Forget all cached values: notifications may have been missed."""
        await self._forget_all()
        await self._tell_all()

    async def _forget_all(self) -> None:
        for name in TABLE:
            await self._cache.invalidate(name)
        logger.bind(event="cache").info("all settings invalidated")

    async def _tell_all(self) -> None:
        for name in TABLE:
            await self._tell(name)

    async def _load_all(self) -> None:
        """Keep every value by one query. After a failure each is loaded when it is asked for."""
        generations = {name: self._cache.generation(name) for name in TABLE}
        try:
            stored = await self._rows.load_all()
        except BoundaryError as exc:
            logger.bind(event="cache", error=type(exc).__name__, cause=str(exc)).warning(
                "the settings cannot be read at once, each is read when it is needed"
            )
            return
        for name, key in TABLE.items():
            value = self._usable(key, stored[name]) if name in stored else key.default
            await self._cache.keep(name, _held(key, value), generation=generations[name])

    async def _tell(self, name: str) -> None:
        for heard in self._listeners:
            await heard(name)

    def distrust(self) -> None:
        """Read every setting from the database from now on: notifications may be missed."""
        self._cache.is_trusted = False

    async def trust(self) -> None:
        """Keep values again, since each change is notified from here on."""
        await self._forget_all()
        self._cache.is_trusted = True
        await self._load_all()
        await self._tell_all()

    # --- changing -------------------------------------------------------------------------

    async def change(
        self, values: Mapping[str, JSON], *, by: str, request_id: str | None = None
    ) -> tuple[SettingChange, ...]:
        """Store all `values` or none of them; return what really changed.

        Raises: UnknownSetting, InvalidSetting (one sentence for each fault), the store's errors.
        """
        return await self._store(values, by=by, request_id=request_id)

    async def seed(self, values: Mapping[str, JSON], *, by: str) -> tuple[SettingChange, ...]:
        """As `change`, but leave alone what has a stored value."""
        return await self._store(values, by=by, only_absent=True)

    async def _store(
        self,
        values: Mapping[str, JSON],
        *,
        by: str,
        request_id: str | None = None,
        only_absent: bool = False,
    ) -> tuple[SettingChange, ...]:
        parsed = parse_all(values)
        # One at a time, so that changes that hang take one connection.
        async with self._changing:
            try:
                changes = await self._rows.change(
                    {name: TABLE[name].dump(value) for name, value in parsed.items()},
                    defaults={name: TABLE[name].dump(TABLE[name].default) for name in parsed},
                    by=by,
                    at=self._clock.now(),
                    request_id=request_id,
                    only_absent=only_absent,
                    rule=self._rule(parsed.keys()),
                )
            finally:
                # After a failure too: an answer that was lost may have been a commit.
                for name in parsed:
                    await self.invalidate(name)
        for change in changes:
            logger.bind(event="app", setting=change.key, by=by, value=_flat(change.new)).info(
                "setting changed"
            )
        return changes

    def _rule(self, changed: AbstractSet[str]) -> SharedRule | None:
        if not any(key.name in changed for key in ASCENDING):
            return None

        def check(stored: Mapping[str, JSON]) -> None:
            values = {
                key: self._usable(key, stored[key.name]) if key.name in stored else key.default
                for key in ASCENDING
            }
            check_ascending(values, changed=changed)

        return SharedRule(keys=tuple(key.name for key in ASCENDING), check=check)

    async def _loaded(self, key: Key[T]) -> "_Held[T]":
        return _held(key, await self._load(key))

    async def _load(self, key: Key[T]) -> T:
        row = await self._rows.load(key.name)
        return key.default if row is None else self._usable(key, row[0])

    def _usable(self, key: Key[T], stored: JSON) -> T:
        try:
            return key.parse(stored)
        except InvalidSetting as exc:
            # Written past us, or by a version with wider bounds. The service goes on: open
            # positions need it more than this value, and the default is what this version
            # vouches for. For trading_enabled that is off.
            self.unusable_loads += 1
            logger.bind(event="cache", setting=key.name, detail=str(exc)).error(
                "a stored setting is unusable, its default is in force; store it again"
            )
            return key.default


def _held(key: Key[T], value: T) -> _Held[T]:
    is_default, dumped = value == key.default, key.dump(value)
    view = SettingView(
        key=key.name,
        value=dumped,
        default=dumped if is_default else key.dump(key.default),
        unit=key.unit,
        sentence=key.sentence,
        bounds=key.bounds,
        is_default=is_default,
        in_effect=key.in_effect,
    )
    return _Held(value, view)


def _flat(value: JSON) -> str | int | float | bool | None:
    """Return `value` fit for a flat log line."""
    if value is None or isinstance(value, str | int | float):
        return value
    return orjson.dumps(value).decode()
