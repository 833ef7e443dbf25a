"""What no rule sells is shown as such, and no market keeps another one from being sold."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_FOLLOW: Final = "service/flows/follow_exits.py"
_PROTECT: Final = "service/flows/protect.py"
_WATCHED: Final = "service/flows/watched_positions.py"
_OF_FOLLOWING: Final = "tests/unit/flows/test_follow_exits.py"
_OF_PROTECT: Final = "tests/unit/flows/test_protect.py"

UNSOLD: Final = (
    Mutant(
        name="a position that no stop can sell is shown as watched",
        file=_PROTECT,
        old="            return Unwatched.SMALL\n",
        new="            pass\n",
        tests=of(_OF_PROTECT, "test_a_position_that_no_stop_can_sell_is_shown_as_such"),
    ),
    Mutant(
        name="what an exit goes on selling is shown as too small",
        file=_PROTECT,
        old="        if watched.exit is None and watched.is_below(",
        new="        if watched.is_below(",
        tests=of(_OF_PROTECT, "test_a_position_that_is_being_sold_is_not_small"),
    ),
    Mutant(
        name="coins below one step are shown as sold",
        file=_PROTECT,
        old="        return sold > 0 and whole_steps(",
        new="        return whole_steps(",
        tests=of(_OF_PROTECT, "test_coins_below_one_step_are_dust_and_not_sold"),
    ),
    Mutant(
        name="coins below one step are no dust",
        file=_WATCHED,
        old="            self.is_dust = True  #",
        new="            pass  #",
        tests=of(_OF_PROTECT, "test_coins_below_one_step_are_dust_and_not_sold"),
    ),
    Mutant(
        name="a market that is gone costs the others their prices and rules",
        file=_PROTECT,
        old="            failed = exc\n    if",
        new="            raise exc from None\n    if",
        tests=of(
            _OF_PROTECT,
            "test_a_market_without_rules_costs_no_other_its_rules",
            "test_a_market_without_a_price_costs_none_its_rules",
            "test_a_market_that_is_gone_costs_no_other_its_price",
        ),
    ),
    Mutant(
        name="a changed setting sells at a price that is doubted",
        file=_PROTECT,
        old=" and self._prices.doubt(watched.market) in _BELIEVED:\n",
        new=":\n",
        tests=of(
            _OF_PROTECT, "test_a_tighter_setting_sells_nothing_while_the_newest_price_is_doubted"
        ),
    ),
    Mutant(
        name="a purchase ahead of our clock keeps the price of its instant from being judged",
        file=_PROTECT,
        old="min(max(fill.traded_at for fill in event.fills), self._clock.now())",
        new="max(fill.traded_at for fill in event.fills)",
        tests=of(
            _OF_PROTECT,
            "test_a_price_of_the_instant_of_a_purchase_counts_although_our_clock_is_slow",
        ),
    ),
    Mutant(
        name="a position ahead of our clock keeps the price of its start from being judged",
        file=_PROTECT,
        old="bought_at=min(position.opened_at, self._clock.now()),",
        new="bought_at=position.opened_at,",
        tests=of(_OF_PROTECT, "test_a_start_with_a_slow_clock_judges_the_price_of_that_instant"),
    ),
    Mutant(
        name="what an exit left waits although its end is seen",
        file=_FOLLOW,
        old="            one.not_before = 0.0  #",
        new="            pass  #",
        tests=of(
            _OF_FOLLOWING,
            "test_what_an_exit_of_unknown_outcome_left_is_sold_as_soon_as_its_end_is_seen",
        ),
    ),
    Mutant(
        name="a resting sale keeps its coins while the exit cannot leave",
        file=_FOLLOW,
        old="            await self._look_after_others(watched, one)\n            raise\n",
        new="            raise\n",
        tests=of(_OF_FOLLOWING, "test_a_resting_sale_is_asked_to_end_while_the_exit_cannot_leave"),
    ),
    Mutant(
        name="a process without the lease asks resting sales to end",
        file=_FOLLOW,
        old="        except NotLeader:\n            raise  #",
        new="        except ZeroDivisionError:\n            raise  #",
        tests=of(_OF_FOLLOWING, "test_a_process_without_the_lease_asks_no_resting_sale_to_end"),
    ),
    Mutant(
        name="a resting sale is asked to end for an exit that has ended",
        file=_FOLLOW,
        old="        if not self._is_current(watched, one):\n            return\n",
        new="",
        tests=of(_OF_FOLLOWING, "test_a_resting_sale_stays_once_the_exit_has_ended_meanwhile"),
    ),
)
