"""A stop: what watches a position, and what decides that it is sold."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_WIRING: Final = "service/app/protection.py"
_OF_WIRING: Final = "tests/integration/app/test_stops.py"

STOPS: Final = (
    Mutant(
        name="a stop hears no price",
        file=_WIRING,
        old="    live_prices.subscribe(protector.hear)\n",
        new="",
        tests=of(
            _OF_WIRING,
            "test_a_purchase_is_watched_at_its_fill_and_sold_by_the_price_that_reaches_its_stop",
        ),
    ),
    Mutant(
        name="a stop hears of no fill",
        file=_WIRING,
        old="    bus.subscribe(OrderFilled, protector.filled)\n",
        new="",
        tests=of(
            _OF_WIRING,
            "test_a_purchase_is_watched_at_its_fill_and_sold_by_the_price_that_reaches_its_stop",
        ),
    ),
    Mutant(
        name="what is held at a start is not watched",
        file=_WIRING,
        old="    leadership.settle_first(protector.load)\n",
        new="",
        tests=of(_OF_WIRING, "test_a_position_of_before_a_restart_is_sold_at_its_stop"),
    ),
)
