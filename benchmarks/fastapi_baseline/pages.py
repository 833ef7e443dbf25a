"""Keyset pagination with the cursors of our API: microseconds since 1970 and the row's id."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import HTTPException
from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


async def page(
    db: AsyncSession,
    query: Select[Any],
    key: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[int]],
    *,
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[Any], str | None]:
    """Return up to `limit` rows, newest first, and the cursor of the next page."""
    at, row_id = key
    if cursor is not None:
        query = query.where(tuple_(at, row_id) < _decoded(cursor))
    query = query.order_by(at.desc(), row_id.desc()).limit(limit + 1)
    rows = (await db.scalars(query)).all()
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    plain = f"{(getattr(last, at.key) - _EPOCH) // _MICROSECOND}:{last.id}"
    return rows[:limit], base64.urlsafe_b64encode(plain.encode()).rstrip(b"=").decode()


def _decoded(cursor: str) -> tuple[datetime, int]:
    try:
        plain = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        micros, _, row_id = plain.partition(":")
        return _EPOCH + int(micros) * _MICROSECOND, int(row_id)
    except ValueError as exc:
        raise HTTPException(400, "this cursor is not one of ours") from exc
