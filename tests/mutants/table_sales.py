"""Coins are sold once: what every open sale keeps, and when it ends."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_OPEN: Final = "service/flows/open_sales.py"
_FOLLOW: Final = "service/flows/follow_exits.py"
_PROTECT: Final = "service/flows/protect.py"
_LOOKS: Final = "service/flows/sale_looks.py"
_OF_OPEN: Final = "tests/unit/flows/test_open_sales.py"
_OF_FOLLOWING: Final = "tests/unit/flows/test_follow_exits.py"
_OF_PROTECTING: Final = "tests/unit/flows/test_protect.py"
_OF_LOOKS: Final = "tests/unit/flows/test_sale_looks.py"
_LOST_COMMIT: Final = "test_the_lost_answer_of_the_commit_that_books_its_fills_sells_nothing_twice"
_NO_TABLE: Final = "test_an_exit_that_no_table_takes_is_followed_until_its_coins_are_sold_once"

SALES: Final = (
    Mutant(
        name="a sale whose row was being written ends with the next reading of the table",
        file=_OPEN,
        old=" for name, sale in self._sales.items() if not sale.is_in_hand)\n",
        new=" for name in self._sales)\n",
        tests=of(
            _OF_OPEN, "test_a_sale_whose_row_was_written_while_the_table_was_read_stays_counted"
        ),
    ),
    Mutant(
        name="a sale that was given up and is on the book is not counted",
        file=_OPEN,
        old="            self._ended.remove(event.identifier)\n",
        new="            pass\n",
        tests=of(_OF_OPEN, "test_a_sale_that_was_given_up_and_is_on_the_book_is_counted_again"),
    ),
    Mutant(
        name="any news of an open order brings back an ended sale",
        file=_OPEN,
        old="        if event.is_recovered and event.status in OPEN",
        new="        if event.status in OPEN",
        tests=of(_OF_OPEN, "test_a_sale_that_was_given_up_and_is_on_the_book_is_counted_again"),
    ),
    Mutant(
        name="an exit that no table takes stops every sale of its market",
        file=_OPEN,
        old="            and (sale.has_row or sale.is_in_hand)\n",
        new="",
        tests=of(
            _OF_OPEN, "test_an_exit_that_no_table_takes_stops_no_other_sale_and_keeps_its_coins"
        ),
    ),
    Mutant(
        name="an exit of the last process is a sale like any other",
        file=_OPEN,
        old="                    is_exit=row.rule is not None,\n",
        new="                    is_exit=False,\n",
        tests=of(_OF_OPEN, "test_an_exit_of_the_last_process_stops_other_sales_until_it_ends"),
    ),
    Mutant(
        name="a sale that is over is looked up still",
        file=_OPEN,
        old="if sale.market == market and not sale.is_in_hand and not sale.is_over\n",
        new="if sale.market == market and not sale.is_in_hand\n",
        tests=of(_OF_OPEN, "test_a_sale_that_is_over_is_not_looked_up_and_rests_no_more"),
    ),
    Mutant(
        name="a sale that is being followed is looked up as well",
        file=_OPEN,
        old="if sale.market == market and not sale.is_in_hand and not sale.is_over\n",
        new="if sale.market == market and not sale.is_over\n",
        tests=of(_OF_OPEN, "test_a_sale_that_is_over_is_not_looked_up_and_rests_no_more"),
    ),
    Mutant(
        name="a row that was lost and turns up never ends its sale",
        file=_OPEN,
        old="found[name].executed_volume, True\n",
        new="found[name].executed_volume, sale.has_row\n",
        tests=of(_OF_OPEN, "test_a_row_that_turns_up_ends_with_its_row"),
    ),
    Mutant(
        name="a halt that was stored and ended since answers for a new one",
        file="service/flows/trading_switch.py",
        old="            if not pending.is_stored and _identity",
        new="            if _identity",
        tests=of(
            "tests/unit/flows/test_trading_switch.py",
            "test_a_halt_that_was_stored_and_ended_elsewhere_is_stored_anew_when_asked_again",
        ),
    ),
    Mutant(
        name="coins of another open sale are sold by hand as well",
        file="service/flows/execute.py",
        old="        if intent.volume > position.volume - in_other_sales:\n",
        new="        if intent.volume > position.volume:\n",
        tests=of(_OF_OPEN, "test_a_sale_by_hand_leaves_the_coins_of_other_open_sales_alone"),
    ),
    Mutant(
        name="coins whose fills were not heard are sold again",
        file=_OPEN,
        old="        if not sale.left:\n            self._end(identifier)\n",
        new="        self._end(identifier)\n",
        tests=of(_OF_FOLLOWING, _LOST_COMMIT),
    ),
    Mutant(
        name="an order does not say how much of it was executed when it ends",
        file="service/flows/reconcile.py",
        old="            _with_fills(after, (*known, *fills), paid_fee=paid_fee), exchange_uuid",
        new="            after, exchange_uuid",
        tests=of("tests/unit/flows/test_execute.py", "test_an_order_is_returned_as_its_row_has_it"),
    ),
    Mutant(
        name="an event of an order's end does not say how much was executed",
        file=_OPEN,
        old="executed=event.executed_volume)",
        new="executed=ZERO)",
        tests=of(
            _OF_OPEN, "test_a_final_sale_whose_event_says_more_than_was_heard_keeps_its_coins"
        ),
    ),
    Mutant(
        name="a sale ends before the position in memory has its fills",
        file=_OPEN,
        old="            if sale is None or sale.market in differing:\n",
        new="            if sale is None:\n",
        tests=of(_OF_FOLLOWING, _LOST_COMMIT),
    ),
    Mutant(
        name="positions are read before the sales whose fills are in them",
        file=_PROTECT,
        old="        open_orders = await self._orders.open()\n"
        "        return open_orders, await self._orders.positions()\n",
        new="        positions = await self._orders.positions()\n"
        "        return await self._orders.open(), positions\n",
        tests=of(_OF_FOLLOWING, "test_a_sale_that_ends_between_two_reads_of_the_table_is_counted"),
    ),
    Mutant(
        name="a position that was sold meanwhile is sold by a rule as well",
        file=_FOLLOW,
        old="        if not self._is_current(watched, one):\n            return  #",
        new="        if False:\n            return  #",
        tests=of(
            _OF_FOLLOWING,
            "test_coins_that_were_sold_while_an_exit_waited_for_an_answer_are_not_sold_again",
        ),
    ),
    Mutant(
        name="what an exit left waits until the database is back",
        file=_FOLLOW,
        old="        if await self._sale_looks.look(watched.market):\n",
        new="        if False:\n",
        tests=of(_OF_LOOKS, "test_what_an_exit_left_is_sold_while_the_database_is_away"),
    ),
    Mutant(
        name="what an exit sold is forgotten once its end is seen",
        file=_LOOKS,
        old="executed=seen.executed_volume)",
        new="executed=type(seen.executed_volume)(0))",
        tests=of(_OF_LOOKS, "test_what_an_exit_sold_is_not_sold_again_while_the_database_is_away"),
    ),
    Mutant(
        name="a refused exit keeps its coins while its refusal cannot be stored",
        file="service/flows/execute.py",
        old="            self.open_sales.let_go(order.identifier, None)\n            return",
        new="            return",
        tests=of(
            _OF_LOOKS,
            "test_a_refused_exit_is_tried_again_although_its_refusal_cannot_be_stored",
        ),
    ),
    Mutant(
        name="an answer about a sale is believed although it cannot be true",
        file=_LOOKS,
        old="    if contradiction(order, seen, ()) is not None:\n",
        new="    if False:\n",
        tests=of(_OF_LOOKS, "test_an_answer_that_is_no_end_or_cannot_be_true_frees_nothing"),
    ),
    Mutant(
        name="an answer about a sale is believed although its trades are missing",
        file=_LOOKS,
        old="        return what.oddity in _CERTAIN\n",
        new="        return True\n",
        tests=of(_OF_LOOKS, "test_an_answer_that_is_no_end_or_cannot_be_true_frees_nothing"),
    ),
    Mutant(
        name="an empty end of a sale is believed at first sight",
        file=_LOOKS,
        old="    return looks.reached(identifier, NOTHING_LEFT, at=at)\n",
        new="    return True\n",
        tests=of(
            _OF_LOOKS,
            "test_an_empty_end_is_believed_when_it_is_seen_again_two_seconds_later",
        ),
    ),
    Mutant(
        name="an exit that no table takes keeps its coins for ever",
        file="service/flows/unstored_orders.py",
        old="                    self._open_sales.lost_row(unstored.entry.identifier)\n",
        new="",
        tests=of(_OF_LOOKS, _NO_TABLE),
    ),
    Mutant(
        name="what an exit that no table takes has sold is sold again",
        file=_OPEN,
        old="            elif sale.has_row and not sale.is_in_hand:\n",
        new="            elif not sale.is_in_hand:\n",
        tests=of(_OF_LOOKS, _NO_TABLE),
    ),
    Mutant(
        name="a stop of the process cancels the sale that is on its way",
        file=_FOLLOW,
        old="                await asyncio.wait(tasks)\n",
        new="                pass\n",
        tests=of(_OF_FOLLOWING, "test_a_stop_of_the_process_waits_for_the_sale_that_is_on_its_way"),
    ),
    Mutant(
        name="an open order of an exit counts as a failure",
        file=_FOLLOW,
        old="        if order.is_open:\n            self._wait(one, LOOK_AGAIN_S)\n        elif",
        new="        if",
        tests=of(_OF_FOLLOWING, "test_an_order_that_is_open_is_no_failure_and_is_waited_for"),
    ),
    Mutant(
        name="the account is asked before every order of an exit once one failed",
        file=_FOLLOW,
        old="one.failures, one.reads_account, one.not_before = 0, False, 0.0",
        new="one.failures, one.not_before = 0, 0.0",
        tests=of(_OF_FOLLOWING, "test_after_a_sale_the_account_is_not_asked_again"),
    ),
    Mutant(
        name="a resting sale is asked to end at every look",
        file=_FOLLOW,
        old="if resting and now - self._freed_at.get(market, -FREE_AGAIN_S) >= FREE_AGAIN_S:",
        new="if resting:",
        tests=of(_OF_FOLLOWING, "test_a_resting_sale_is_asked_to_end_again_only_after_a_while"),
    ),
    Mutant(
        name="a resting sale is asked to end once only",
        file=_FOLLOW,
        old="if resting and now - self._freed_at.get(market, -FREE_AGAIN_S) >= FREE_AGAIN_S:",
        new="if resting and market not in self._freed_at:",
        tests=of(_OF_FOLLOWING, "test_a_resting_sale_is_asked_to_end_again_only_after_a_while"),
    ),
    Mutant(
        name="a fill that is heard while the table is read is forgotten",
        file=_PROTECT,
        old="        if fills != self._fills:\n",
        new="        if False:\n",
        tests=of(
            _OF_PROTECTING,
            "test_a_fill_that_is_heard_while_the_table_is_read_is_not_forgotten",
        ),
    ),
    Mutant(
        name="coins that are sold while what is held is read are held for ever",
        file=_PROTECT,
        old="        while fills != self._fills:",
        new="        while fills is None:",
        tests=of(
            _OF_PROTECTING, "test_coins_that_are_sold_while_what_is_held_is_read_are_not_held"
        ),
    ),
    Mutant(
        name="an exit is stored some seconds after it began",
        file=_PROTECT,
        old='        self._done_at.pop("save", None)',
        new="        pass",
        tests=of(_OF_PROTECTING, "test_an_exit_is_stored_as_soon_as_it_begins"),
    ),
    Mutant(
        name="a process that has lost the lease begins exits",
        file=_PROTECT,
        old="        return self._leadership.is_last_known_owner and permits(\n",
        new="        return permits(\n",
        tests=of(_OF_PROTECTING, "test_a_process_that_has_lost_the_lease_begins_no_exit"),
    ),
    Mutant(
        name="a purchase that no stop can sell is not told of",
        file=_PROTECT,
        old="        if watched.is_small and not was_small and watched.exit is None:\n",
        new="        if False:\n",
        tests=of(_OF_PROTECTING, "test_a_purchase_that_no_stop_can_sell_is_told_of_once"),
    ),
    Mutant(
        name="a purchase that no stop can sell is told of every second",
        file=_PROTECT,
        old="        if watched.is_small and not was_small and watched.exit is None:\n",
        new="        if watched.is_small and watched.exit is None:\n",
        tests=of(_OF_PROTECTING, "test_a_purchase_that_no_stop_can_sell_is_told_of_once"),
    ),
)
