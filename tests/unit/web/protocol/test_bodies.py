"""Bodies of changes: the models of the table refuse what they do not know, and change nothing."""

from typing import Any, Final

import pytest
from pydantic import BaseModel, RootModel

from service.domain.errors import InvalidRequest
from service.web.contract.requests import (
    Body,
    HaltRequestBody,
    LimitOrderBody,
    MarketSaleBody,
    NewDepositBody,
)
from service.web.contract.roles import READING
from service.web.protocol.bodies import parsed
from tests.api_document import rows
from tests.unit.web.world import Client, World

LIMIT: Final = {
    "market": "KRW-BTC",
    "side": "BUY",
    "type": "LIMIT",
    "price": "90000000",
    "volume": "0.001",
}
SALE: Final = {"market": "KRW-BTC", "side": "SELL", "type": "MARKET", "volume": "0.001"}
DEPOSIT: Final = {"currency": "KRW", "amount": "500000"}


def models() -> set[type[BaseModel]]:
    """Return the models of all bodies, those of a choice one by one."""
    found: set[type[BaseModel]] = set()
    for row in rows():
        if row.body is not None and issubclass(row.body, Body):
            found.add(row.body)
    return found | {LimitOrderBody, MarketSaleBody}


def test_every_change_has_a_body_in_its_row() -> None:
    assert all(row.body is not None for row in rows() if row.method not in READING)
    assert all(row.body is None for row in rows() if row.method in READING)


@pytest.mark.parametrize("model", sorted(models(), key=str))
def test_an_unknown_name_is_refused_by_every_body(model: type[Body]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed({"surprise": 1}, model)

    assert str(refused.value)


def test_every_fault_of_a_field_has_its_sentence() -> None:
    """A field without one would be answered with the text "is None"."""
    for model in models():
        for name, field in model.model_fields.items():
            is_choice = name in {"side", "type"}
            told = field.description or getattr(model, "sentences", {}).get(name)
            assert told or is_choice or issubclass(model, RootModel), (model, name)


@pytest.mark.parametrize(
    ("model", "body", "sentence"),
    [
        (LimitOrderBody, LIMIT | {"price": 90000000}, "price is decimal text"),
        (LimitOrderBody, LIMIT | {"price": "9e7"}, "price is decimal text"),
        (LimitOrderBody, LIMIT | {"price": "NaN"}, "price is decimal text"),
        (LimitOrderBody, LIMIT | {"price": "90000000\n"}, "price is decimal text"),
        (LimitOrderBody, LIMIT | {"price": "\uff19"}, "price is decimal text"),
        (LimitOrderBody, LIMIT | {"volume": "0.000"}, "volume is decimal text"),
        (LimitOrderBody, LIMIT | {"volume": "-1"}, "volume is decimal text"),
        (LimitOrderBody, LIMIT | {"volume": None}, "volume is decimal text"),
        (LimitOrderBody, LIMIT | {"market": ["KRW-BTC"]}, "market is a text"),
        (MarketSaleBody, SALE | {"volume": 0.001}, "volume is decimal text"),
        (NewDepositBody, DEPOSIT | {"amount": 500000}, "amount is decimal text"),
        (NewDepositBody, DEPOSIT | {"amount": "0.0"}, "amount is decimal text"),
        (NewDepositBody, DEPOSIT | {"currency": "krw"}, "currency is a name"),
        (NewDepositBody, DEPOSIT | {"another": 1}, "another is true or false"),
        (NewDepositBody, DEPOSIT | {"another": "true"}, "another is true or false"),
        (NewDepositBody, DEPOSIT | {"corrects": True}, "corrects is the id"),
        (NewDepositBody, DEPOSIT | {"corrects": 1.0}, "corrects is the id"),
        (NewDepositBody, DEPOSIT | {"corrects": 2**63}, "corrects is the id"),
        (NewDepositBody, DEPOSIT | {"note": "a\nb"}, "note is one line"),
        (NewDepositBody, DEPOSIT | {"at": None}, "at is an instant"),
        (HaltRequestBody, {"reason": "x", "protection": None}, "protection is true"),
        (HaltRequestBody, {"reason": "x", "protection": 0}, "protection is true"),
    ],
)
def test_no_value_is_made_of_another_kind(
    model: type[Body], body: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{sentence}") as refused:
        parsed(body, model)

    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_a_reason_is_taken_without_the_blanks_around_it() -> None:
    assert parsed({"reason": " maintenance "}, HaltRequestBody).reason == "maintenance"


async def test_a_refused_order_says_what_its_kind_takes(client: Client, world: World) -> None:
    both = LIMIT | {"funds": "5000"}

    answer = await client.post(
        "/api/v1/trading/orders", json=both, headers={"Idempotency-Key": "k-1"}
    )

    assert answer.status == 400
    assert "price and volume" in (await answer.json())["detail"]
    assert world.exchange.sent == []
    assert world.audit.rows == []
