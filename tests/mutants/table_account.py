"""Every change of the account is explained, and nothing is taken for an explanation."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_ACCOUNT: Final = "service/domain/account.py"
_OF_ACCOUNT: Final = "tests/unit/domain/test_account.py"
_BOOK: Final = "service/flows/account_book.py"
_LISTS: Final = "service/adapters/upbit/order_lists.py"
_SWEEP: Final = "service/flows/order_sweep.py"
_OF_SWEEP: Final = "tests/integration/flows/test_order_sweep.py"
_OF_BOOK: Final = "tests/integration/flows/test_account_book.py"
_OF_ACCOUNT_LISTS: Final = "tests/integration/store/queries/test_account.py"
_OF_VERIFY: Final = "tests/integration/store/queries/test_verify.py"
_DEPOSITS: Final = "service/store/queries/deposits.py"
_PORTFOLIO: Final = "service/store/queries/portfolio.py"
_DAYS: Final = "service/store/queries/days.py"
_OF_DAYS: Final = "tests/integration/store/queries/test_account_days.py"
_OF_LISTS: Final = "tests/integration/adapters/test_upbit_order_lists.py"

ACCOUNT: Final = (
    Mutant(
        name="a check of the books that is given up holds its thread for ever",
        file="service/app/verification.py",
        old="        interruption.cut()\n",
        new="        pass\n",
        tests=of(
            "tests/integration/app/test_verification.py",
            "test_the_thread_of_a_check_that_is_given_up_ends_though_its_server_does_not_answer",
        ),
    ),
    Mutant(
        name="one look suffices for a deposit",
        file=_BOOK,
        old="enough = LOOKS_IN_A_ROW if is_whole",
        new="enough = 1 if is_whole",
        tests=of(_OF_BOOK, "test_what_no_fill_explains_is_a_deposit_from_the_second_look_on"),
    ),
    Mutant(
        name="two looks at different amounts count as one finding",
        file=_BOOK,
        old="times + 1 if before == difference else 1",
        new="times + 1",
        tests=of(_OF_BOOK, "test_a_difference_that_changes_is_looked_at_again"),
    ),
    Mutant(
        name="a currency that an order may be moving is judged",
        file=_BOOK,
        old="        for currency in (self.after.keys() | self.balances.keys()) - self.moving:\n",
        new="        for currency in self.after.keys() | self.balances.keys():\n",
        tests=of(_OF_BOOK, "test_a_currency_that_an_order_may_move_is_not_judged"),
    ),
    Mutant(
        name="a trade that is in no list counts as two deposits",
        file=_BOOK,
        old="    return any(mine * other < 0 for other in differences.values())\n",
        new="    return mine == 0\n",
        tests=of(_OF_BOOK, "test_a_trade_that_is_in_no_list_is_no_deposit"),
    ),
    Mutant(
        name="missing coins of ours count as a withdrawal",
        file=_BOOK,
        old=" and look.held.get(currency, ZERO) <= actual\n",
        new="\n",
        tests=of(_OF_BOOK, "test_missing_coins_of_ours_are_no_withdrawal"),
    ),
    Mutant(
        name="orders of other programs explain nothing",
        file=_BOOK,
        old="            lists = await self.take_external(look.at - _WINDOW)\n",
        new="            lists = OrderList()\n",
        tests=of(_OF_BOOK, "test_an_order_of_another_program_explains_what_it_moves"),
    ),
    Mutant(
        name="the books begin while an order may move them",
        file=_BOOK,
        old="        if not (before or await self._orders.open()):\n",
        new="        if True:\n",
        tests=of(_OF_BOOK, "test_the_books_do_not_begin_while_an_order_may_move_them"),
    ),
    Mutant(
        name="the books begin although a trade by hand was a moment ago",
        file=_BOOK,
        old="if any(listed.order.created_at > at - _BALANCES_LAG for listed in lists.external):\n",
        new="if False:\n",
        tests=of(
            _OF_BOOK,
            "test_a_purchase_by_hand_that_the_lists_show_before_the_first_balances_counts_once",
        ),
    ),
    Mutant(
        name="a trade by hand counts twice when the lists show it after the first balances",
        file=_BOOK,
        old="            if currency in late and abs(difference + late[currency]) <= ROUNDING:\n",
        new="            if False:\n",
        tests=of(
            _OF_BOOK,
            "test_a_purchase_by_hand_that_the_first_balances_show_before_the_lists_counts_once",
        ),
    ),
    Mutant(
        name="one side of a trade by hand counts as a deposit while the other moves",
        file=_BOOK,
        old="        if as_deposit and look.moving and looks < LOOKS_WHILE_MOVING:\n",
        new="        if False:\n",
        tests=of(_OF_BOOK, "test_one_side_of_a_trade_by_hand_is_no_deposit_while_the_other_moves"),
    ),
    Mutant(
        name="one look at the other side of a trade is forgotten",
        file=_BOOK,
        old="await self._explain_difference(look, currency, odd, is_whole=is_whole)",
        new="await self._explain_difference(look, currency, sure, is_whole=is_whole)",
        tests=of(_OF_BOOK, "test_one_look_at_the_other_side_suffices_to_see_a_trade"),
    ),
    Mutant(
        name="an order in the exchange's lists counts as absent",
        file=_BOOK,
        old="if any(listed.order.identifier == order.identifier for listed in lists.ours):\n",
        new="if False:\n",
        tests=of(_OF_BOOK, "test_an_order_that_waits_in_a_list_is_not_absent"),
    ),
    Mutant(
        name="an order that moved the account counts as absent",
        file=_ACCOUNT,
        old="    if not money_moved and not coins_moved:\n",
        new="    if True:\n",
        tests=of(_OF_BOOK, "test_an_order_that_is_in_no_list_but_moved_the_account_is_not_absent"),
    ),
    Mutant(
        name="a purchase that the lists show late counts twice where our clock is behind",
        file=_BOOK,
        old="order.created_at > self._began_at + _BALANCES_LAG:\n",
        new="order.created_at > self._began_at:\n",
        tests=of(_OF_BOOK, "test_it_counts_once_too_where_our_clock_is_behind_the_exchanges"),
    ),
    Mutant(
        name="an order whose two currencies moved counts as absent",
        file=_ACCOUNT,
        old="    if money_moved and coins_moved:\n",
        new="    if False:\n",
        tests=of(_OF_ACCOUNT, "test_an_executed_order_is_never_called_absent"),
    ),
    Mutant(
        name="a first fill smaller than the rounding counts as no fill",
        file=_ACCOUNT,
        old=" or not coins\n",
        new=" or True\n",
        tests=of(_OF_ACCOUNT, "test_an_executed_order_is_never_called_absent"),
    ),
    Mutant(
        name="a baseline from after an order proves that it was not executed",
        file=_BOOK,
        old="(book.at > order.created_at and not _blocks_baselines(order))",
        new="False",
        tests=of(_OF_BOOK, "test_books_that_began_while_an_order_was_failed_prove_nothing"),
    ),
    Mutant(
        name="a wrong clock makes a baseline one from after an order",
        file=_BOOK,
        old="(book.at > order.created_at and not _blocks_baselines(order))",
        new="book.at > order.created_at",
        tests=of(_OF_BOOK, "test_a_baseline_of_a_process_whose_clock_is_ahead_is_a_proof"),
    ),
    Mutant(
        name="an order that is written during a look does not block its baselines",
        file=_BOOK,
        old="moving=moving | moving_before |",
        new="moving=moving_before |",
        tests=of(_OF_BOOK, "test_an_order_that_is_written_during_a_look_blocks_its_baselines"),
    ),
    Mutant(
        name="the second page of open orders is not asked for",
        file=_LISTS,
        old="        if not orders:\n            return _list_of(found)\n",
        new="        if not orders or page:\n            return _list_of(found | orders)\n",
        tests=of(_OF_LISTS, "test_open_orders_are_asked_for_until_an_empty_page"),
    ),
    Mutant(
        name="a thousand closed orders count as all of them",
        file=_LISTS,
        old="        end = min([end, *(at + _SECOND for at in made if at >= begin - _SECOND)])\n",
        new="        return _list_of(found)\n",
        tests=of(_OF_LISTS, "test_the_window_of_closed_orders_is_moved_until_nothing_new_comes"),
    ),
    Mutant(
        name="a deposit that is told twice is two",
        file="service/store/tables/account.py",
        old="        ON CONFLICT (currency, amount, at) WHERE source = 'operator' DO UPDATE\n",
        new="        ON CONFLICT (id) DO UPDATE\n",
        tests=of(_OF_ACCOUNT_LISTS, "test_a_deposit_that_is_told_twice_is_one"),
    ),
    Mutant(
        name="a correction hides a later withdrawal of its amount",
        file="service/store/tables/account.py",
        old="CASE WHEN %(corrects)s::bigint IS NOT NULL THEN %(at)s::timestamptz END)",
        new="NULL)",
        tests=of(_OF_BOOK, "test_a_withdrawal_of_the_amount_of_a_correction_is_detected"),
    ),
    Mutant(
        name="more of a deposit is taken back than it was",
        file="service/store/tables/account.py",
        old=" or abs(deposit.amount) > abs(left_over):\n",
        new=":\n",
        tests=of(_OF_ACCOUNT_LISTS, "test_a_correction_that_fits_no_deposit_is_refused"),
    ),
    Mutant(
        name="a deposit told after it was detected counts twice",
        file="service/store/tables/account.py",
        old="            elif not deposit.is_another:\n",
        new="            elif False:\n",
        tests=of(_OF_ACCOUNT_LISTS, "test_a_deposit_that_was_detected_is_not_told_a_second_time"),
    ),
    Mutant(
        name="an order by hand that is listed again counts twice",
        file="service/store/tables/account.py",
        old='            await cur.execute(MOVE_EXTERNAL, {"uuids": uuids, "sign": -1})\n',
        new="",
        tests=of(_OF_ACCOUNT_LISTS, "test_the_sums_of_orders_by_hand_are_those_of_all_of_them"),
    ),
    Mutant(
        name="two looks at once count an order by hand twice",
        file="service/store/tables/account.py",
        old="            await cur.execute(LOCK_MOVES)\n",
        new="",
        tests=of(_OF_ACCOUNT_LISTS, "test_the_sums_of_orders_by_hand_are_those_of_all_of_them"),
    ),
    Mutant(
        name="an older look moves a baseline back",
        file="service/store/tables/account.py",
        old="     WHERE stored.at <= excluded.at\n",
        new="",
        tests=of(_OF_ACCOUNT_LISTS, "test_an_older_look_moves_no_baseline_back"),
    ),
    Mutant(
        name="a difference between books and fills is not told",
        file="service/flows/books_check.py",
        old="        self.disagree = bool(found)\n",
        new="",
        tests=of("tests/unit/flows/test_books_check.py"),
    ),
    Mutant(
        name="positions are not folded again",
        file="service/store/queries/verify.py",
        old="    yield from derived.compare(stored)\n",
        new="    yield from ()\n",
        tests=of(_OF_VERIFY, "test_each_value_that_was_changed_is_found"),
    ),
    Mutant(
        name="the daily check holds all that differs in memory",
        file="service/store/queries/verify.py",
        old="stored, derived in cursor:\n",
        new="stored, derived in cursor.fetchall():\n",
        tests=of(_OF_VERIFY, "test_the_count_of_many_differences_keeps_none_of_them"),
    ),
    Mutant(
        name="verify ends well although books differ",
        file="service/cli/history.py",
        old="        raise typer.Exit(1)\n",
        new="        raise typer.Exit(0)\n",
        tests=of(_OF_VERIFY, "test_the_command_shows_what_differs_and_says_so_by_its_exit_code"),
    ),
    Mutant(
        name="a withdrawal counts as a loss in the drawdown",
        file=_DEPOSITS,
        old="THEN ln(before.equity / (before.equity + value))",
        new="THEN ln(1.0)",
        tests=of(_OF_DAYS, "test_a_withdrawal_is_no_loss_and_a_deposit_hides_none"),
    ),
    Mutant(
        name="a withdrawal is a loss until it is detected",
        file=_DEPOSITS,
        old="- interval '5 minutes' AS begins",
        new="AS begins",
        tests=of(_OF_DAYS, "test_a_withdrawal_that_is_detected_two_minutes_later_is_no_loss"),
    ),
    Mutant(
        name="a withdrawal of everything is a total loss",
        file=_DEPOSITS,
        old="count(*) FILTER (WHERE scale IS NULL) OVER (ORDER BY begins)",
        new="0",
        tests=of(_OF_DAYS, "test_after_everything_was_withdrawn_a_new_curve_begins"),
    ),
    Mutant(
        name="deposits count as profit",
        file=_PORTFOLIO,
        old="WHERE ends > first_at), 0) AS total",
        new="WHERE false), 0) AS total",
        tests=of(_OF_DAYS, "test_a_withdrawal_is_no_loss_and_a_deposit_hides_none"),
    ),
    Mutant(
        name="a deposit is a gain in the equity curve",
        file=_PORTFOLIO,
        old="               round(equity * factor\n",
        new="               round(equity\n",
        tests=of(
            _OF_DAYS, "test_a_deposit_and_a_withdrawal_leave_return_and_drawdown_of_the_curve_alone"
        ),
    ),
    Mutant(
        name="a deposit hides a fall of the equity curve",
        file=_PORTFOLIO,
        old="round(1 - equity * factor / nullif(max(high * factor) OVER upto, 0), 8)\n",
        new="round(1 - equity / nullif(max(high) OVER upto, 0), 8)\n",
        tests=of(_OF_DAYS, "test_the_drawdown_of_each_point_is_without_deposits"),
    ),
    Mutant(
        name="the equity curve tells of no deposit before it is detected",
        file=_PORTFOLIO,
        old="CASE WHEN value > 0 THEN begins ELSE ends END",
        new="ends",
        tests=of(
            _OF_DAYS, "test_a_deposit_and_a_withdrawal_leave_return_and_drawdown_of_the_curve_alone"
        ),
    ),
    Mutant(
        name="a halt belongs to the day on which it began alone",
        file=_DAYS,
        old="                       AND ended_at >= found.begins\n",
        new="                       AND since >= found.begins\n",
        tests=of(_OF_DAYS, "test_a_halt_belongs_to_every_day_on_which_it_stood"),
    ),
    Mutant(
        name="orders without a row are not taken in",
        file=_SWEEP,
        old="    if row is None or row.status is OrderStatus.FAILED:\n",
        new="    if row is None:\n        return True\n    if row.status is OrderStatus.FAILED:\n",
        tests=of(_OF_SWEEP, "test_orders_that_a_restored_database_does_not_know_are_taken_in"),
    ),
    Mutant(
        name="a failed order that arrived late is not looked at",
        file=_SWEEP,
        old="    if row is None or row.status is OrderStatus.FAILED:\n",
        new="    if row is None:\n",
        tests=of(_OF_SWEEP, "test_a_failed_order_that_waits_on_the_book_is_on_it_again"),
    ),
    Mutant(
        name="a final order that disagrees is not looked at",
        file=_SWEEP,
        old="        row.executed_volume == order.executed_volume\n",
        new="        True or row.executed_volume == order.executed_volume\n",
        tests=of(_OF_SWEEP, "test_a_final_order_without_its_fills_gets_them"),
    ),
    Mutant(
        name="the sweep does not reach back to a restored backup",
        file=_SWEEP,
        old="        if swept_until is not None:\n",
        new="        if False:\n",
        tests=of(_OF_SWEEP, "test_a_database_of_a_month_ago_is_swept_from_then_on"),
    ),
    Mutant(
        name="a sale may be taken in before the purchase of its coins",
        file=_SWEEP,
        old="key=lambda listed: listed.order.created_at)",
        new="key=lambda listed: listed.order.created_at, reverse=True)",
        tests=of(_OF_SWEEP, "test_a_sale_is_taken_in_after_the_purchase_of_its_coins"),
    ),
    Mutant(
        name="the exchange's orders are not swept before the first trade",
        file="service/app/bootstrap.py",
        old="        await order_sweep.begin()\n",
        new="",
        tests=of(
            "tests/unit/app/test_bootstrap.py",
            "test_an_order_without_a_row_is_taken_in_before_the_first_trade",
        ),
    ),
    Mutant(
        name="an order that cannot be read hides every difference",
        file="service/flows/account_book.py",
        old="        enough = LOOKS_IN_A_ROW if is_whole else LOOKS_UNREADABLE\n",
        new="        enough = LOOKS_IN_A_ROW if is_whole else 10**9\n",
        tests=of(
            "tests/integration/flows/test_account_book.py",
            "test_an_order_that_cannot_be_read_hides_no_difference_for_long",
        ),
    ),
    Mutant(
        name="a difference that an order may explain is taken for a deposit",
        file="service/flows/account_book.py",
        old="        as_deposit = is_apart and is_whole\n",
        new="        as_deposit = is_apart\n",
        tests=of(
            "tests/integration/flows/test_account_book.py",
            "test_an_order_that_cannot_be_read_hides_no_difference_for_long",
        ),
    ),
    Mutant(
        name="a busy program puts the books off for ever",
        file="service/flows/account_book.py",
        old="            if at - self._put_off_at < _BEGIN_WITHIN:\n",
        new="            if True:\n",
        tests=of(
            "tests/integration/flows/test_account_book.py",
            "test_a_busy_program_beside_us_puts_the_books_off_for_ten_minutes_at_most",
        ),
    ),
    Mutant(
        name="an order that tells no funds explains its coins",
        file=_BOOK,
        old="    return listed.executed_funds is not None or not listed.order.executed_volume\n",
        new="    return True\n",
        tests=of(_OF_BOOK, "test_an_order_that_tells_no_funds_explains_nothing"),
    ),
    Mutant(
        name="a currency whose book moved during the look is judged",
        file=_BOOK,
        old="        return book if self.before.get(currency) == book else None\n",
        new="        return book\n",
        tests=of(_OF_BOOK, "test_a_currency_whose_book_moved_during_the_look_is_not_judged"),
    ),
)
