"""The operator's settings, with the history of their changes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson
import psycopg2.errors

from service.domain.alerts import Notice
from service.domain.errors import InvalidSetting
from service.ports.settings import SettingChange, SharedRule
from service.ports.store import JSON
from service.store.database.json_rows import json_text, recordset
from service.store.database.pool import Cursor, Pool
from service.store.tables.alerts import put

CHANNEL: Final = "settings_changed"  #: NOTIFY; the payload is the setting's key

LOAD = """
    SELECT value::text
      FROM system_configs
     WHERE key = %(key)s
"""

LOAD_ALL = """
    SELECT key, value::text
      FROM system_configs
"""

# Held until the commit. Two concurrent changes may each keep to a rule and break it together. A
# row lock does not help, because a setting that was never stored has no row. The key is
# arbitrary; no other lock here uses it.
LOCK_RULES = "SELECT pg_advisory_xact_lock(20261123)"

LOAD_MANY = """
    SELECT key, value::text
      FROM system_configs
     WHERE key = ANY(%(keys)s)
"""

# Waits for a transaction that inserts the same key. Afterwards each key is inserted here, or its
# row exists and can be locked. Values are passed as text: json_to_recordset turns JSON null into
# NULL.
ADD_ABSENT = """
    INSERT INTO system_configs (key, value, updated_by, updated_at)
    SELECT key, value::jsonb, %(by)s, %(at)s
      FROM json_to_recordset(%(given)s::json) AS given (key text, value text)
     ORDER BY key
        ON CONFLICT (key) DO NOTHING
    RETURNING key
"""

LOCK_OTHERS = """
    SELECT key, stored.value::text
      FROM system_configs AS stored
      JOIN json_to_recordset(%(given)s::json) AS given (key text, value text) USING (key)
     WHERE stored.value <> given.value::jsonb
     ORDER BY key
       FOR UPDATE OF stored
"""

RECORD = """
    WITH changed AS (
        SELECT key, was_stored, old::jsonb AS old, new::jsonb AS new
          FROM json_to_recordset(%(changes)s::json)
            AS given (key text, was_stored boolean, old text, new text)
    ), stored AS (
        UPDATE system_configs
           SET value = changed.new, updated_by = %(by)s, updated_at = %(at)s
          FROM changed
         WHERE system_configs.key = changed.key
           AND changed.was_stored
    ), noted AS (
        INSERT INTO config_changes (key, old_value, new_value, changed_by, changed_at, request_id)
        SELECT key, old, new, %(by)s, %(at)s, %(request_id)s
          FROM changed
         ORDER BY key
    ), audited AS (
        INSERT INTO audit_log (at, actor, action, subject, detail, request_id)
        SELECT %(at)s, %(by)s, 'setting.change', key,
               jsonb_build_object('old', old, 'new', new), %(request_id)s
          FROM changed
         ORDER BY key
    )
    SELECT pg_notify(%(channel)s, key)
      FROM changed
     ORDER BY key
"""


Notices = Callable[[SettingChange], Sequence[Notice]]


def _silent(_: SettingChange) -> Sequence[Notice]:
    return ()


class PgSettingRows:
    """Args:
    changing: the pool for changes, which wait for locks; `pool` serves the rest.
    notices: the alerts for a change; queued in its transaction.
    """

    def __init__(
        self, pool: Pool, *, changing: Pool | None = None, notices: Notices = _silent
    ) -> None:
        self._pool = pool
        self._changing = changing or pool
        self._notices = notices

    async def load(self, key: str) -> tuple[JSON] | None:
        async with self._pool.cursor() as cur:
            await cur.execute(LOAD, {"key": key})
            row = await cur.fetchone()
            return None if row is None else (_value(row[0]),)

    async def load_all(self) -> Mapping[str, JSON]:
        async with self._pool.cursor() as cur:
            await cur.execute(LOAD_ALL)
            return {key: _value(text) for key, text in await cur.fetchall()}

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
        """Store all values or none; return the changes, in the order of their keys.

        Raises: InvalidSetting, when a text holds what PostgreSQL cannot store; what `rule` raises.
        """
        try:
            new = {key: json_text(value) for key, value in values.items()}
            unstored = {key: json_text(defaults[key]) for key in values}
        except orjson.JSONEncodeError as exc:
            raise InvalidSetting("a setting's value must be JSON in well-formed Unicode") from exc
        given = recordset({"key": key, "value": text} for key, text in new.items())
        who = {"by": by, "at": at, "request_id": request_id, "channel": CHANNEL}
        try:
            async with self._changing.transaction() as cur:
                if rule is not None:
                    await cur.execute(LOCK_RULES)
                stored = await _taken(cur, who | {"given": given}, only_absent=only_absent)
                old = {key: text or unstored[key] for key, text in stored.items()}
                if old:
                    rows = recordset(
                        {"key": k, "was_stored": bool(stored[k]), "old": old[k], "new": new[k]}
                        for k in old
                    )
                    await cur.execute(RECORD, who | {"changes": rows})
                if rule is not None:
                    await _check(cur, rule)
                changes = tuple(
                    SettingChange(
                        key=key, old=_value(old[key]), new=values[key], changed_by=by, changed_at=at
                    )
                    for key in sorted(old)
                )
                for notice in [n for change in changes for n in self._notices(change)]:
                    await put(cur, notice)
        except psycopg2.errors.UntranslatableCharacter as exc:
            raise InvalidSetting("a setting's text must not hold the NUL character") from exc
        return changes


async def _taken(
    cur: Cursor, args: Mapping[str, object], *, only_absent: bool
) -> dict[str, str | None]:
    """Lock the row of each key that changes; return the old values, None for a new key."""
    await cur.execute(ADD_ABSENT, args)
    old: dict[str, str | None] = {key: None for (key,) in await cur.fetchall()}
    if not only_absent:
        await cur.execute(LOCK_OTHERS, args)
        old.update(await cur.fetchall())
    return old


async def _check(cur: Cursor, rule: SharedRule) -> None:
    await cur.execute(LOAD_MANY, {"keys": list(rule.keys)})
    rule.check({key: _value(text) for key, text in await cur.fetchall()})


def _value(text: str | None) -> JSON:
    try:
        value: JSON = None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        # jsonb can hold numbers and nesting that orjson cannot read: the text fits no setting.
        return text
    return value
