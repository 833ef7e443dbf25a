from decimal import Decimal
from pathlib import Path

import pytest

from service.domain.protection import Unwatched
from service.domain.trading_states import TradingStatus
from service.web.api.protection import protection_bodies
from tests.unit.flows.conftest import House, house
from tests.unit.flows.protecting import PRICE, Guard

__all__ = ["house"]


async def test_each_position_shows_its_stop_its_distance_and_the_age_of_its_price(
    house: House,
) -> None:
    guard = Guard(house)
    await guard.protector.load()
    await guard.buy()
    await house.allow(trailing_stop_pct="2")
    before = protection_bodies(guard.protector)
    guard.hear(PRICE)
    house.clock.pass_time(3)

    (shown,) = protection_bodies(guard.protector)

    assert (before[0]["distance_pct"], before[0]["doubt"]) == (None, "not_heard")
    assert shown == {
        "market": "KRW-BTC",
        "volume": "0.001",
        "stop_price": "98000000",
        "trailing_stop_price": "98000000",
        "take_profit_price": None,
        "distance_pct": "2",
        "watched": True,
        "unwatched_because": None,
        "price_age_seconds": 3.0,
        "doubt": None,
        "selling": None,
        "sold": "0",
        "dust": False,
    }


async def test_a_position_that_no_rule_would_sell_says_why(house: House) -> None:
    guard = Guard(house)
    await guard.protector.load()
    await guard.buy()
    guard.hear(PRICE)
    await house.trading_switch.halt(kind=TradingStatus.HALTED, reason="test", actor="test")

    (shown,) = protection_bodies(guard.protector)

    assert (shown["watched"], shown["unwatched_because"]) == (False, "trading_stopped")


@pytest.mark.parametrize("reason", Unwatched)
def test_each_reason_stands_on_the_page_of_operations(reason: Unwatched) -> None:
    page = Path("docs/operations.md").read_text(encoding="utf-8")

    assert f"| `{reason.value}` |" in page


async def test_a_position_that_is_sold_says_by_which_rule(house: House) -> None:
    guard = Guard(house)
    await guard.protector.load()
    await guard.buy()
    guard.hear(94_000_000)

    (shown,) = protection_bodies(guard.protector)

    assert (shown["selling"], shown["sold"]) == ("STOP_LOSS", "0")


async def test_coins_that_are_sold_and_not_booked_are_shown_as_sold(house: House) -> None:
    """As after a sale from the exit journal, until the database is back."""
    guard = Guard(house)
    await guard.protector.load()
    await guard.buy()
    guard.hear(94_000_000)

    guard.sell_unbooked("uat-x", Decimal("0.0005"))
    (half,) = protection_bodies(guard.protector)
    guard.sell_unbooked("uat-y", Decimal("0.0005"))
    (whole,) = protection_bodies(guard.protector)

    assert (half["selling"], half["sold"]) == ("STOP_LOSS", "0.0005")
    assert (whole["selling"], whole["sold"], whole["volume"]) == (None, "0.001", "0.001")
