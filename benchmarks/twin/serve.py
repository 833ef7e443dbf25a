"""`python -m benchmarks.twin.serve`: print the port, then serve. TWIN_DATABASE holds JSON."""

import base64
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from benchmarks.twin.bodies import FillBody, OrderBody, Page, PriceBody, SignalBody
from benchmarks.twin.tables import Decision, Fill, Order, Price, Signal

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """As many connections as ours: ten that stay, ten more when they are needed."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args=json.loads(os.environ["TWIN_DATABASE"]),
        pool_size=10,
        max_overflow=10,
    )
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]
Limit = Annotated[int, Query(ge=1, le=500)]


@app.get("/api/v1/trading/orders")
async def orders(
    db: Session,
    limit: Limit = 50,
    cursor: str | None = None,
    market: str | None = None,
    status: str | None = None,
) -> Page[OrderBody]:
    query = select(Order)
    if market is not None:
        query = query.where(Order.market == market)
    if status is not None:
        query = query.where(Order.status == status)
    found, following = await _page(
        db, query, (Order.created_at, Order.id), limit=limit, cursor=cursor
    )
    return Page(items=[OrderBody.model_validate(row) for row in found], next_cursor=following)


@app.get("/api/v1/trading/fills")
async def fills(
    db: Session, limit: Limit = 50, cursor: str | None = None, market: str | None = None
) -> Page[FillBody]:
    query = select(Fill)
    if market is not None:
        query = query.where(Fill.market == market)
    found, following = await _page(db, query, (Fill.traded_at, Fill.id), limit=limit, cursor=cursor)
    return Page(items=[FillBody.model_validate(row) for row in found], next_cursor=following)


@app.get("/api/v1/signals")
async def signals(
    db: Session,
    limit: Limit = 50,
    cursor: str | None = None,
    market: str | None = None,
    action: str | None = None,
) -> Page[SignalBody]:
    query = select(Signal).options(joinedload(Signal.decision).selectinload(Decision.orders))
    if market is not None:
        query = query.where(Signal.market == market)
    if action is not None:
        query = query.where(Signal.action == action)
    found, following = await _page(
        db, query, (Signal.created_at, Signal.id), limit=limit, cursor=cursor
    )
    return Page(items=[SignalBody.model_validate(row) for row in found], next_cursor=following)


@app.get("/api/v1/market/history")
async def history(
    db: Session, market: str, limit: Limit = 50, cursor: str | None = None
) -> Page[PriceBody]:
    query = select(Price).where(Price.market == market)
    found, following = await _page(
        db, query, (Price.collected_at, Price.id), limit=limit, cursor=cursor
    )
    return Page(items=[PriceBody.model_validate(row) for row in found], next_cursor=following)


async def _page(
    db: AsyncSession,
    query: Select[Any],
    key: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[int]],
    *,
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[Any], str | None]:
    """Return up to `limit` rows, newest first, and the cursor of what follows."""
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


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        # Its access log is left out: it costs the twin more than ours costs us.
        uvicorn.run(app, fd=listening.fileno(), access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
