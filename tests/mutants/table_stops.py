"""A stop: what watches a position, and what decides that it is sold."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_WIRING: Final = "service/app/protection.py"
_OF_WIRING: Final = "tests/integration/app/test_stops.py"
_PROTECT: Final = "service/flows/protect.py"
_OF_PROTECT: Final = "tests/unit/flows/test_protect.py"
_FOLLOW: Final = "service/flows/follow_exits.py"
_OF_FOLLOWING: Final = "tests/unit/flows/test_follow_exits.py"
_LIVE: Final = "service/flows/live_prices.py"
_OF_LIVE: Final = "tests/unit/flows/test_live_prices.py"
_TABLE: Final = "service/store/tables/protection.py"
_OF_TABLE: Final = "tests/integration/store/tables/test_protection.py"

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
        name="a stop hears of no purchase that was stored and not told",
        file=_WIRING,
        old="    bus.subscribe(FillsFound, protector.found)\n",
        new="",
        tests=of(_OF_WIRING, "test_a_purchase_that_was_stored_and_not_told_is_watched_once_found"),
    ),
    Mutant(
        name="a purchase whose commit gave no answer is not told",
        file="service/flows/reconcile.py",
        old="                self._untold.add(order.identifier)\n",
        new="                pass\n",
        tests=of(
            _OF_PROTECT,
            "test_a_purchase_whose_commit_gave_no_answer_is_watched_from_the_next_look_on",
        ),
    ),
    Mutant(
        name="a purchase heard while the table is read is undone",
        file=_PROTECT,
        old="self._orders.position(event.market)\n",
        new="self._orders.position(event.market)\n                break\n",
        tests=of(_OF_PROTECT, "test_a_purchase_that_was_read_while_it_was_heard_is_counted_once"),
    ),
    Mutant(
        name="what is held at a start is not watched",
        file=_WIRING,
        old="    leadership.settle_first(protector.load)\n",
        new="",
        tests=of(_OF_WIRING, "test_a_position_of_before_a_restart_is_sold_at_its_stop"),
    ),
    Mutant(
        name="crumbs in the account make dust of a whole position",
        file=_FOLLOW,
        old="        elif watched.is_below(rules, price=price):\n",
        new="        elif rules is not None:\n",
        tests=of(
            _OF_FOLLOWING, "test_coins_that_another_order_has_locked_make_no_dust_of_their_position"
        ),
    ),
    Mutant(
        name="dust stays dust whatever it is worth",
        file=_PROTECT,
        old="            watched.is_dust = watched.is_below(watched.rules, price=price.price)\n",
        new="            pass\n",
        tests=of(
            _OF_FOLLOWING,
            "test_dust_that_is_worth_an_order_again_is_protected_again",
            "test_dust_of_before_a_restart_is_protected_once_it_is_worth_an_order",
        ),
    ),
    Mutant(
        name="dust is no dust at the next price",
        file=_PROTECT,
        old="            watched.is_dust = watched.is_below(watched.rules, price=price.price)\n",
        new="            watched.is_dust = False\n",
        tests=of(_OF_FOLLOWING, "test_dust_stays_dust_while_it_is_worth_less_than_an_order"),
    ),
    Mutant(
        name="a clock that was set back keeps every price from being judged",
        file=_PROTECT,
        old="            watched.bought_at = min(price.heard_at, now)\n",
        new="            pass\n",
        tests=of(
            _OF_PROTECT,
            "test_a_clock_that_is_set_back_after_a_purchase_keeps_no_price_from_being_judged",
            "test_a_clock_that_is_set_back_keeps_no_price_from_moving_the_trailing_stop",
        ),
    ),
    Mutant(
        name="a fill that is heard late lets a price from before a purchase be judged",
        file=_PROTECT,
        old="            watched.bought_at = max(watched.bought_at, bought_at)\n",
        new="            watched.bought_at = bought_at\n",
        tests=of(
            _OF_PROTECT, "test_a_fill_that_is_heard_late_opens_no_time_of_before_a_later_purchase"
        ),
    ),
    Mutant(
        name="the first price after a start sells a position whatever it says",
        file=_PROTECT,
        old="            await self._anchor(positions)\n",
        new="",
        tests=of(
            _OF_PROTECT,
            "test_the_first_price_after_a_start_sells_nothing_before_it_is_confirmed",
        ),
    ),
    Mutant(
        name="a stored price that is old is no anchor of a position",
        file=_LIVE,
        old="        stored = await market_data.newest_prices(bare, since=_EVER)\n",
        new="        since = self._clock.now() - ANCHORS_FROM\n"
        "        stored = await market_data.newest_prices(bare, since=since)\n",
        tests=of(
            _OF_LIVE,
            "test_a_position_has_its_newest_stored_price_as_an_anchor_however_old_that_is",
        ),
    ),
    Mutant(
        name="a newer anchor gives way to an older one",
        file=_LIVE,
        old=" if self._known(market).anchor is None]\n",
        new="]\n",
        tests=of(_OF_LIVE, "test_an_anchor_that_is_known_stays"),
    ),
    Mutant(
        name="a price that was believed before there was an anchor goes on being believed",
        file=_LIVE,
        old="            known.latest, known.is_contradicted = None, False\n",
        new="            return\n",
        tests=of(
            _OF_LIVE,
            "test_a_first_price_that_was_believed_without_an_anchor_is_a_jump_once_there_is_one",
        ),
    ),
    Mutant(
        name="a halt that stops stops is not shown",
        file=_PROTECT,
        old="        if not self._switch.permits_exit(watched.market):\n",
        new="        if False:\n",
        tests=of(
            _OF_PROTECT,
            "test_a_position_is_not_watched_while_no_rule_may_sell",
        ),
    ),
    Mutant(
        name="a lapsed lease that stops stops is not shown",
        file=_PROTECT,
        old="        if (reason := self._unprotected(watched.market)) is not None:\n",
        new="        if (reason := None) is not None:\n",
        tests=of(
            _OF_PROTECT,
            "test_a_position_is_not_watched_once_the_lease_has_lapsed",
            "test_a_position_of_the_embedded_server_is_watched_while_its_journal_can_be_written",
        ),
    ),
    Mutant(
        name="a position without a price is not logged",
        file=_PROTECT,
        old="        self._log(silent, undone)\n",
        new="",
        tests=of(
            _OF_PROTECT,
            "test_a_position_without_a_price_and_an_exit_that_takes_long_are_logged_once_each",
        ),
    ),
    Mutant(
        name="a market that does not trade keeps its positions from being judged anew",
        file=_PROTECT,
        old="_BELIEVED: Final = frozenset({None, PriceDoubt.STALE})\n",
        new="_BELIEVED: Final = frozenset({None})\n",
        tests=of(
            _OF_PROTECT,
            "test_a_tighter_setting_sells_at_the_last_price_of_a_market_that_does_not_trade",
        ),
    ),
    Mutant(
        name="the exit of a position sells the next one",
        file="service/flows/watched_positions.py",
        old="            self.exit = None\n",
        new="            pass\n",
        tests=of(_OF_PROTECT, "test_the_exit_of_a_position_is_not_carried_over_to_the_next_one"),
    ),
    Mutant(
        name="a high of before a position was opened raises its trailing stop",
        file=_TABLE,
        old="       AND opened_at >= %(since)s\n",
        new="",
        tests=of(_OF_TABLE, "test_the_highest_of_the_minutes_that_began_since_counts"),
    ),
    Mutant(
        name="coins are worth at the stop what the limit of their purchase was",
        file="service/domain/risk/exchange_rules.py",
        old="    worth = volume * min(price, now.price) * (1",
        new="    worth = volume * price * (1",
        tests=of(
            "tests/unit/domain/test_risk_limits.py",
            "test_a_limit_above_the_market_makes_a_purchase_worth_no_more_at_the_stop",
        ),
    ),
)
