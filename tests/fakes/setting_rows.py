"""The rows of the settings in memory."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import orjson

from service.ports.settings import SettingChange, SharedRule
from service.ports.store import JSON


class FakeSettingRows:
    """Satisfies ports.SettingRows; behaves as jsonb columns do.

    Attributes:
        stored: the rows; a test may change them directly.
        loads: number of loads by key.
        whole_loads: number of loads of all of them.
        history: every real change, oldest first.
        request_ids: of the calls to `change`.
        fail: raised by the next call instead of doing anything.
        lose: raised by the next change after it was stored, as a lost answer would be.
    """

    def __init__(self, stored: Mapping[str, JSON] | None = None) -> None:
        self.stored: dict[str, JSON] = dict(stored or {})
        self.loads: Counter[str] = Counter()
        self.whole_loads = 0
        self.history: list[SettingChange] = []
        self.request_ids: list[str | None] = []
        self.fail: BaseException | None = None
        self.lose: BaseException | None = None
        self._held: list[asyncio.Event] = []
        self.waiting = asyncio.Event()  #: set while a held load waits

    @property
    def load_count(self) -> int:
        return self.loads.total()

    def hold(self) -> asyncio.Event:
        """Let the next load read its row and then wait until the returned event is set."""
        self._held.append(asyncio.Event())
        return self._held[-1]

    async def load(self, key: str) -> tuple[JSON] | None:
        self.loads[key] += 1
        self._raise_failure()
        row = (_as_jsonb(self.stored[key]),) if key in self.stored else None
        if self._held:
            go = self._held.pop(0)
            self.waiting.set()
            await go.wait()
            self.waiting.clear()
            self._raise_failure()
        else:
            await asyncio.sleep(0)  # other tasks run, as during a query
        return row

    async def load_all(self) -> Mapping[str, JSON]:
        self.whole_loads += 1
        self._raise_failure()
        rows = {key: _as_jsonb(value) for key, value in self.stored.items()}
        await asyncio.sleep(0)
        return rows

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
        self._raise_failure()
        await asyncio.sleep(0)
        self.request_ids.append(request_id)
        changes = tuple(
            SettingChange(
                key=key,
                old=_as_jsonb(self.stored.get(key, defaults[key])),
                new=_as_jsonb(new),
                changed_by=by,
                changed_at=at,
            )
            for key, new in sorted(values.items())
            if key not in self.stored or (not only_absent and _text(self.stored[key]) != _text(new))
        )
        would_be = self.stored | {change.key: change.new for change in changes}
        if rule is not None:
            rule.check({key: would_be[key] for key in rule.keys if key in would_be})
        self.stored = would_be
        self.history.extend(changes)
        if self.lose is not None:
            lost, self.lose = self.lose, None
            raise lost
        return changes

    def _raise_failure(self) -> None:
        if self.fail is not None:
            failure, self.fail = self.fail, None
            raise failure


def _text(value: JSON) -> bytes:
    """Return a key by which JSON values differ; in Python True == 1."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _as_jsonb(value: JSON) -> JSON:
    """Return `value` as it comes back: tuples as lists, nothing shared with the caller."""
    return cast(JSON, orjson.loads(_text(value)))
