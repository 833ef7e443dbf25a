"""Money and coins that came or went without a trade, and what nothing explains."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from aiohttp import web

from service.domain.account import NewDeposit
from service.domain.errors import InvalidRequest
from service.ports.store import JSON
from service.web.keys import ACCOUNT_LISTS, CLOCK, DEPOSITS
from service.web.protocol.audit import audited
from service.web.protocol.auth import CALLER
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query
from service.web.protocol.request_body import json_object
from service.web.protocol.responses import list_response, raw_response

_FIELDS: Final = frozenset({"currency", "amount", "at", "note", "another", "corrects"})
_CURRENCY: Final = re.compile(r"[A-Z0-9]{1,15}")
_AMOUNT: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,18})?")
_LONGEST_NOTE: Final = 500
_ID_BOUND: Final = 2**63


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
    body = await json_object(request)
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


def _deposit(body: Mapping[str, JSON], *, now: datetime, actor: str) -> NewDeposit:
    if unknown := body.keys() - _FIELDS:
        raise InvalidRequest(f"a deposit has no {min(unknown)[:40]!r}")
    currency, amount = _text(body, "currency"), _text(body, "amount")
    note = _text(body, "note") if "note" in body else ""
    if not _CURRENCY.fullmatch(currency):
        raise InvalidRequest("currency is a name like KRW or BTC")
    if not _AMOUNT.fullmatch(amount) or not Decimal(amount):
        raise InvalidRequest('amount is decimal text like "500000" or "-0.25", and not 0')
    is_another = body.get("another", False)
    if not isinstance(is_another, bool):
        raise InvalidRequest("another is true or false")
    corrects = body.get("corrects")
    if not (corrects is None or (type(corrects) is int and 0 < corrects < _ID_BOUND)):
        raise InvalidRequest("corrects is the id of a deposit, a whole number")
    if corrects is not None and ("at" in body or is_another):
        raise InvalidRequest(
            "a correction counts at its deposit's instant: leave at and another out"
        )
    if len(note) > _LONGEST_NOTE or not note.isprintable():
        raise InvalidRequest(f"note is one line of at most {_LONGEST_NOTE} characters")
    return NewDeposit(
        currency=currency,
        amount=Decimal(amount),
        at=_instant(_text(body, "at"), now=now) if "at" in body else now,
        note=note,
        actor=actor,
        is_another=is_another,
        corrects=corrects,
    )


def _text(body: Mapping[str, JSON], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} is a text")
    return value


def _instant(text: str, *, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None and at <= now:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest("at is an instant of the past, like 2026-01-24T09:00:00Z")
