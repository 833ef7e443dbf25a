"""`python -m benchmarks.fastapi_baseline.serve`: print the port, then serve.

BASELINE_DATABASE holds the arguments of asyncpg's `connect` as JSON.
"""

import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload

from benchmarks.fastapi_baseline.pages import page
from benchmarks.fastapi_baseline.schemas import (
    FillBody,
    OrderBody,
    PageBody,
    PriceBody,
    SignalBody,
)
from benchmarks.fastapi_baseline.tables import (
    DecisionModel,
    FillModel,
    OrderModel,
    PriceModel,
    SignalModel,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open as many connections as ours: ten that stay, ten more at need."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args=json.loads(os.environ["BASELINE_DATABASE"]),
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
) -> PageBody[OrderBody]:
    query = select(OrderModel)
    if market is not None:
        query = query.where(OrderModel.market == market)
    if status is not None:
        query = query.where(OrderModel.status == status)
    found, following = await page(
        db, query, (OrderModel.created_at, OrderModel.id), limit=limit, cursor=cursor
    )
    return PageBody(items=[OrderBody.model_validate(row) for row in found], next_cursor=following)


@app.get("/api/v1/trading/fills")
async def fills(
    db: Session, limit: Limit = 50, cursor: str | None = None, market: str | None = None
) -> PageBody[FillBody]:
    query = select(FillModel)
    if market is not None:
        query = query.where(FillModel.market == market)
    found, following = await page(
        db, query, (FillModel.traded_at, FillModel.id), limit=limit, cursor=cursor
    )
    return PageBody(items=[FillBody.model_validate(row) for row in found], next_cursor=following)


@app.get("/api/v1/signals")
async def signals(
    db: Session,
    limit: Limit = 50,
    cursor: str | None = None,
    market: str | None = None,
    action: str | None = None,
) -> PageBody[SignalBody]:
    query = select(SignalModel).options(
        joinedload(SignalModel.decision).selectinload(DecisionModel.orders)
    )
    if market is not None:
        query = query.where(SignalModel.market == market)
    if action is not None:
        query = query.where(SignalModel.action == action)
    found, following = await page(
        db, query, (SignalModel.created_at, SignalModel.id), limit=limit, cursor=cursor
    )
    return PageBody(items=[SignalBody.model_validate(row) for row in found], next_cursor=following)


@app.get("/api/v1/market/history")
async def history(
    db: Session, market: str, limit: Limit = 50, cursor: str | None = None
) -> PageBody[PriceBody]:
    query = select(PriceModel).where(PriceModel.market == market)
    found, following = await page(
        db, query, (PriceModel.collected_at, PriceModel.id), limit=limit, cursor=cursor
    )
    return PageBody(items=[PriceBody.model_validate(row) for row in found], next_cursor=following)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        # The access log is off: it costs the baseline more than ours costs us. Idle connections
        # stay open as long as ours: on a busy machine our round outlasts uvicorn's default of 5 s.
        uvicorn.run(
            app, fd=listening.fileno(), access_log=False, log_level="warning",
            timeout_keep_alive=75,
        )  # fmt: skip


if __name__ == "__main__":
    main()
