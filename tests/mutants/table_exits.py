"""A rule's sale without the database: on the disk first, sent once, stored once, or not at all."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_UNSTORED: Final = "service/flows/unstored_orders.py"
_FILE: Final = "service/adapters/exit_journal.py"
_OF_UNSTORED: Final = "tests/unit/flows/test_unstored_orders.py"
_FOLLOW: Final = "service/flows/follow_exits.py"
_OPEN: Final = "service/flows/open_sales.py"
_OF_OPEN: Final = "tests/unit/flows/test_open_sales.py"
_OF_FOLLOWING: Final = "tests/unit/flows/test_follow_exits.py"
_SWITCH: Final = "service/flows/trading_switch.py"
_OF_SWITCH: Final = "tests/unit/flows/test_trading_switch.py"
_IN_DOUBT: Final = "test_a_doubt_permits_what_the_worst_it_can_mean_does_and_the_sale_of_a_rule"
_OF_PROTECT: Final = "tests/unit/flows/test_protect.py"
_OF_JOBS: Final = "tests/unit/app/test_jobs.py"
_OF_FILE: Final = "tests/unit/adapters/test_exit_journal.py"

EXITS: Final = (
    Mutant(
        name="coins that were sold since the verdict are sold again",
        file="service/flows/execute.py",
        old="        if intent.volume > position.volume - in_other_sales:\n",
        new="        if False:\n",
        tests=of(_OF_OPEN, "test_coins_that_were_sold_since_the_verdict_are_not_sold_again"),
    ),
    Mutant(
        name="coins that a rule sells are sold by another as well",
        file=_OPEN,
        old="        if not is_exit and self._is_exiting(intent.market):\n",
        new="        if False:\n",
        tests=of(_OF_OPEN, "test_nothing_else_sells_the_coins_while_a_rule_does"),
    ),
    Mutant(
        name="coins of an open sale are sold by a rule as well",
        file=_FOLLOW,
        old="whole_steps(watched.position.volume) - in_sales",
        new="whole_steps(watched.position.volume)",
        tests=of(_OF_FOLLOWING),
    ),
    Mutant(
        name="a rule sells more coins than the account has",
        file=_FOLLOW,
        old="            left = min(left, account)\n",
        new="            pass\n",
        tests=of(_OF_FOLLOWING),
    ),
    Mutant(
        name="dust is offered for ever",
        file=_FOLLOW,
        old="            _leave(watched)\n",
        new="            pass\n",
        tests=of(_OF_FOLLOWING),
    ),
    Mutant(
        name="a refused exit is sent again without a pause",
        file=_FOLLOW,
        old="        self._wait(one, max(wait_s, at_least_s))\n",
        new="        self._wait(one, at_least_s)\n",
        tests=of(_OF_FOLLOWING),
    ),
    Mutant(
        name="a resting sale keeps the coins of an exit",
        file=_FOLLOW,
        old="            await self._cancels.take_off(resting, by=ACTOR)\n",
        new="            pass\n",
        tests=of(_OF_FOLLOWING),
    ),
    Mutant(
        name="the stream of prices is closed once the lease has lapsed",
        file="service/app/live.py",
        old="            leads=lambda: leadership.is_last_known_owner,\n",
        new="            leads=lambda: leadership.is_leader,\n",
        tests=of(_OF_JOBS, "test_the_stream_of_prices_is_kept_while_the_lease_has_only_lapsed"),
    ),
    Mutant(
        name="a jump waits for a database that is away",
        file="service/app/jobs.py",
        old="    if services.leadership.is_last_known_owner:\n        await services.live",
        new="    if services.leadership.is_leader:\n        await services.live",
        tests=of(
            _OF_JOBS,
            "test_a_jump_is_asked_about_while_the_database_is_away_and_the_lease_has_lapsed",
        ),
    ),
    Mutant(
        name="a doubt about the trading state stops a stop",
        file=_SWITCH,
        old="            is_permitted = self.permits_exit(market)\n",
        new="            is_permitted = permits(status, source, OrderAct.of(side))\n",
        tests=of(_OF_UNSTORED, "test_a_doubt_about_the_trading_state_does_not_stop_a_stop"),
    ),
    Mutant(
        name="a rule sells although the trading state was never read",
        file=_SWITCH,
        old="        return self._reading is not None and permits(\n",
        new="        return permits(\n",
        tests=of(_OF_SWITCH, "test_a_state_that_was_never_read_permits_no_rule_to_sell"),
    ),
    Mutant(
        name="a doubt about trading_enabled halts everything",
        file=_SWITCH,
        old="        if self._reading is None or TRADING_STATE in self._doubted:\n",
        new="        if self._reading is None or self._doubted:\n",
        tests=of(_OF_SWITCH, _IN_DOUBT),
    ),
    Mutant(
        name="a doubt about trading_enabled is none",
        file=_SWITCH,
        old="        return strictest((known, TradingStatus.DISABLED)) if self._doubted else",
        new="        return known if self._doubted else",
        tests=of(_OF_SWITCH, _IN_DOUBT),
    ),
    Mutant(
        name="a position that a halt keeps from being sold is not told of",
        file=_UNSTORED,
        old="        return {one: TRADING_STOPPED for one in held if not self._switch.perm",
        new="        return {one: TRADING_STOPPED for one in () if not self._switch.perm",
        tests=of(_OF_UNSTORED, "test_a_position_that_a_halt_keeps_from_being_sold_is_unprotected"),
    ),
    Mutant(
        name="a database that hangs holds up an exit that has coins freed",
        file="service/flows/order_cancels.py",
        old="            async with asyncio.timeout(STORE_WITHIN_S):\n",
        new="            async with asyncio.timeout(None):\n",
        tests=of(
            "tests/unit/flows/test_order_cancels.py",
            "test_a_database_that_hangs_does_not_hold_up_an_exit_that_has_coins_freed",
        ),
    ),
    Mutant(
        name="a database that hangs holds up the trading state that memory knows",
        file="service/web/api/risk.py",
        old="        async with asyncio.timeout(READ_WITHIN_S):\n",
        new="        async with asyncio.timeout(None):\n",
        tests=of(
            "tests/unit/web/api/test_risk.py",
            "test_a_database_that_never_answers_does_not_hold_up_the_state",
        ),
    ),
    Mutant(
        name="a sale leaves before it is in the exit journal",
        file=_UNSTORED,
        old="                await self._write(unstored)\n                await self._send(",
        new="                await self._send(",
        tests=of(_OF_UNSTORED, "test_it_is_on_the_disk_before_it_is_sent"),
    ),
    Mutant(
        name="a sale leaves although the exit journal cannot be written",
        file=_UNSTORED,
        old="            self._open_sales.let_go(entry.identifier, None)\n            raise\n",
        new="            self._open_sales.let_go(entry.identifier, None)\n",
        tests=of(
            _OF_UNSTORED, "test_what_cannot_be_written_down_is_not_sent_and_the_operator_is_told"
        ),
    ),
    Mutant(
        name="on a given server a sale leaves after the lease has lapsed",
        file="service/flows/leadership.py",
        old="        if not is_alone and not self.is_leader:\n",
        new="        if False:\n",
        tests=of(_OF_UNSTORED, "test_on_a_given_server_nothing_leaves_after_the_lease_has_lapsed"),
    ),
    Mutant(
        name="a sale leaves without the database although the lease is another's",
        file="service/flows/leadership.py",
        old="        if self._epoch is None or not self._settled:\n",
        new="        if False:\n",
        tests=of(_OF_UNSTORED, "test_on_the_embedded_server_too_a_lease_that_was_lost_is_anothers"),
    ),
    Mutant(
        name="the lease is not looked at again where a sale of the exit journal leaves",
        file=_UNSTORED,
        old="        if held != epoch:\n",
        new="        if False:\n",
        tests=of(_OF_UNSTORED, "test_a_new_epoch_meanwhile_sends_nothing"),
    ),
    Mutant(
        name="a sale of the exit journal leaves however late",
        file=_UNSTORED,
        old="        if self._real_clock.monotonic() - written_at > SEND_WITHIN_S:\n",
        new="        if False:\n",
        tests=of(_OF_UNSTORED, "test_a_request_that_would_leave_late_is_not_sent"),
    ),
    Mutant(
        name="a market has two open orders without a row",
        file=_UNSTORED,
        old="        self._check_only(market)\n",
        new="",
        tests=of(_OF_UNSTORED, "test_without_the_database_a_market_has_one_open_order"),
    ),
    Mutant(
        name="coins that were sold without a row are sold again",
        file=_UNSTORED,
        old="self._open_sales.begin(entry.identifier, entry.intent, source=OrderSource.RULE)",
        new="pass",
        tests=of(_OF_UNSTORED, "test_coins_that_were_sold_without_a_row_are_not_there_to_be_sold"),
    ),
    Mutant(
        name="the sweep adopts an order of the exit journal",
        file=_UNSTORED,
        old="        self._reconciler.take(entry.identifier)\n",
        new="",
        tests=of(_OF_UNSTORED, "test_the_sweep_does_not_adopt_what_has_no_row_yet"),
    ),
    Mutant(
        name="a new leader of the embedded server does not wait for the exit journal",
        file=_UNSTORED,
        old="            if self._is_alone:\n",
        new="            if False:\n",
        tests=of(
            _OF_UNSTORED,
            "test_a_new_leader_of_the_embedded_server_waits_for_the_old_ones_file",
        ),
    ),
    Mutant(
        name="the next process trades without a look into the exit journal",
        file=_UNSTORED,
        old="            await self._read()\n        await self.store()\n",
        new="            pass\n",
        tests=of(
            _OF_UNSTORED, "test_the_next_process_stores_what_the_dead_one_left_before_it_trades"
        ),
    ),
    Mutant(
        name="an exit whose insert got no answer is another order in the exit journal",
        file="service/flows/exits.py",
        old="                identifier=identifier,\n",
        new="",
        tests=of(_OF_UNSTORED, "test_an_insert_whose_answer_was_lost_is_the_same_order"),
    ),
    Mutant(
        name="the row of a sale that was sent without one is written twice",
        file="service/store/tables/orders.py",
        old="            ON CONFLICT (identifier) DO NOTHING\n        RETURNING id, ident",
        new="        RETURNING id, ident",
        tests=of(
            "tests/integration/store/tables/test_orders.py",
            "test_an_exit_that_was_sent_without_a_row_has_one_event_of_its_time",
        ),
    ),
    Mutant(
        name="a database that hangs holds a stop up",
        file="service/flows/execute.py",
        old="        async with asyncio.timeout(WRITE_EXIT_WITHIN_S):\n",
        new="        async with asyncio.timeout(None):\n",
        tests=of(
            "tests/integration/app/test_unstored_exits.py",
            "test_a_hung_server_holds_a_stop_up_for_no_longer_than_its_bound",
        ),
    ),
    Mutant(
        name="an unprotected position is not told of",
        file=_UNSTORED,
        old="        unprotected |= await self._blocked(held)\n",
        new="",
        tests=of(
            _OF_UNSTORED,
            "test_with_the_lease_lapsed_each_open_position_is_unprotected_until_it_is_ours_again",
        ),
    ),
    Mutant(
        name="an order of the exit journal is stored while it is being sent",
        file=_UNSTORED,
        old="                if unstored.is_in_hand:\n                    continue\n",
        new="",
        tests=of(_OF_UNSTORED, "test_an_order_that_is_being_sent_is_not_stored_meanwhile"),
    ),
    Mutant(
        name="the first end that is told of a sale without a row frees its coins",
        file=_UNSTORED,
        old="        if not self._is_believed(entry, seen):\n",
        new="        if False:\n",
        tests=of(
            _OF_UNSTORED,
            "test_an_end_that_does_not_add_up_frees_no_coins_while_the_database_is_away",
        ),
    ),
    Mutant(
        name="what an ended sale without a row has left is not free",
        file=_UNSTORED,
        old="self._open_sales.ended_at(entry.identifier, executed=seen.executed_volume)",
        new="pass",
        tests=of(_OF_UNSTORED, "test_what_an_ended_sale_left_is_free_while_the_database_is_away"),
    ),
    Mutant(
        name="a power cut may lose the exit journal's name",
        file=_FILE,
        old="            if is_new:\n",
        new="            if False:\n",
        tests=of(_OF_FILE, "test_a_new_files_name_is_on_the_disk_with_its_first_order"),
    ),
    Mutant(
        name="a power cut may undo that a damaged exit journal was put aside",
        file=_FILE,
        old="self._path.with_name(self._path.name + ASIDE))\n            self._sync_folder()\n",
        new="self._path.with_name(self._path.name + ASIDE))\n",
        tests=of(_OF_FILE, "test_the_name_of_a_file_that_is_put_aside_is_on_the_disk"),
    ),
    Mutant(
        name="a damaged exit journal is emptied once what can be read is settled",
        file=_FILE,
        old="    return not content.unsettled and content.fault is None\n",
        new="    return not content.unsettled\n",
        tests=of(_OF_FILE, "test_a_damaged_file_is_not_emptied_once_its_orders_are_settled"),
    ),
    Mutant(
        name="a position that was sold without the database is told as unsold",
        file="service/flows/protect.py",
        old="            if not one.is_dust and not self._is_sold(one.position)\n",
        new="            if not one.is_dust\n",
        tests=of(_OF_PROTECT, "test_a_position_that_is_sold_and_not_booked_is_no_alert"),
    ),
    Mutant(
        name="a sale that may go on counts as sold",
        file="service/flows/open_sales.py",
        old="if one.market == market and one.is_over),\n",
        new="if one.market == market),\n",
        tests=of(
            _OF_OPEN, "test_coins_are_sold_once_their_sale_has_ended_and_until_its_fills_are_heard"
        ),
    ),
    Mutant(
        name="an exit journal that is soon full is told of by its refusals alone",
        file=_FILE,
        old="            if os.fstat(file).st_size > _SOON_FULL:\n",
        new="            if False:\n",
        tests=of(_OF_FILE, "test_a_file_that_is_soon_full_is_told_of_while_it_takes_orders"),
    ),
    Mutant(
        name="orders take the room in which the exit journal settles them",
        file=_FILE,
        old="            if begin > most:\n",
        new="            if False:\n",
        tests=of(_OF_FILE, "test_a_full_file_takes_no_order_and_can_be_emptied"),
    ),
    Mutant(
        name="two processes write the exit journal",
        file=_FILE,
        old="                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        new="                pass\n",
        tests=of(_OF_FILE, "test_one_process_at_a_time_writes"),
    ),
    Mutant(
        name="a line of the exit journal that is not whole is believed",
        file=_FILE,
        old="    if len(checksum) != _DIGITS or int(checksum, 16) != zlib.crc32(text):\n",
        new="    if False:\n",
        tests=of(_OF_FILE, "test_a_flipped_bit_never_makes_another_order_of_one"),
    ),
    Mutant(
        name="what a full disk left of a line stays in the exit journal",
        file=_FILE,
        old="                    os.ftruncate(file, begin)\n",
        new="                    pass\n",
        tests=of(_OF_FILE, "test_a_full_disk_refuses_the_order"),
    ),
)
