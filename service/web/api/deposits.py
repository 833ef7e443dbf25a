"""Money and coins that came or went without a trade, and what nothing explains."""

from datetime import UTC, datetime
from decimal import Decimal

from aiohttp import web

from service.domain.account import NewDeposit
from service.domain.errors import InvalidRequest
from service.web.contract.requests import NewDepositBody
from service.web.keys import ACCOUNT_LISTS, CLOCK, DEPOSITS
from service.web.protocol.audit import audited
from service.web.protocol.auth import CALLER
from service.web.protocol.bodies import body_of
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query
from service.web.protocol.responses import list_response, raw_response


async def deposits(request: web.Request) -> web.Response:
    """Deposits and withdrawals (negative), the newest first."""
    page = window(Query(request))
    return page_response(
        await request.app[ACCOUNT_LISTS].deposits(limit=page.limit, before=page.before)
    )


async def add_deposit(request: web.Request) -> web.Response:
    """Store what the operator knows: a deposit to come, or the correction of a detected one.

    The same currency, amount and instant told again is the same deposit. One of the same amount
    that was detected within a week of it is refused, unless the body says that it is another.
    A correction names the deposit that it takes back.
    """
    Query(request)
    body = await body_of(request, NewDepositBody)
    deposit = _deposit(body, now=request.app[CLOCK].now(), actor=request[CALLER].name)
    # Without the amount: the deposit's own row has it.
    await audited(request, action="deposit.add", subject=deposit.currency)
    deposit_id = await request.app[DEPOSITS].add(deposit)
    row = await request.app[ACCOUNT_LISTS].deposit(deposit_id)
    return raw_response(row or b"null", status=201)


async def differences(request: web.Request) -> web.Response:
    """What the account should hold and what it holds, where nothing explains the difference."""
    Query(request)
    return list_response(await request.app[ACCOUNT_LISTS].differences())


def _deposit(body: NewDepositBody, *, now: datetime, actor: str) -> NewDeposit:
    has_instant = "at" in body.model_fields_set
    if body.corrects is not None and (has_instant or body.another):
        raise InvalidRequest(
            "a correction counts at its deposit's instant: leave at and another out"
        )
    return NewDeposit(
        currency=body.currency,
        amount=Decimal(body.amount),
        at=_instant(body.at, now=now) if has_instant else now,
        note=body.note,
        actor=actor,
        is_another=body.another,
        corrects=body.corrects,
    )


def _instant(text: str, *, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None and at <= now:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest("at is an instant of the past, like 2026-01-24T09:00:00Z")
