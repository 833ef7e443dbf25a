"""No day loses more than its limit, and no jump is bought into."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_LOSS: Final = "service/flows/daily_loss.py"
_MOVES: Final = "service/flows/volatility.py"
_RULE: Final = "service/domain/limits/daily_loss.py"
_RANGE: Final = "service/domain/limits/volatility.py"
_ROWS: Final = "service/store/tables/loss_days.py"
_OF_LOSS: Final = "tests/unit/flows/test_daily_loss.py"
_OF_MOVES: Final = "tests/unit/flows/test_volatility.py"
_OF_RULE: Final = "tests/unit/domain/limits/test_daily_loss.py"
_OF_RANGE: Final = "tests/unit/domain/limits/test_volatility_rule.py"
_OF_ROWS: Final = "tests/integration/store/tables/test_loss_days.py"

LOSS: Final = (
    Mutant(
        name="a loss that is the limit to the last digit does not halt",
        file=_RULE,
        old="self.loss >= self.limit",
        new="self.loss > self.limit",
        tests=of(_OF_RULE, "test_the_alert_is_at_80_percent_of_the_limit"),
    ),
    Mutant(
        name="a deposit of the day raises its limit",
        file=_RULE,
        old="        if self.deposited > self.equity:\n",
        new="        if True:\n",
        tests=of(_OF_LOSS, "test_a_deposit_of_the_day_is_neither_gain_nor_room_for_more"),
    ),
    Mutant(
        name="after a resume the same loss halts again",
        file=_RULE,
        old="        return max(share, self.excused + share * FURTHER_RATIO)\n",
        new="        return share\n",
        tests=of(_OF_LOSS, "test_after_an_operators_resume_a_fifth_of_the_limit_more_halts_again"),
    ),
    Mutant(
        name="the price that reaches the limit is not judged",
        file=_LOSS,
        old="            ledger.value(live.market, live.price)\n            self._judge(ledger)\n",
        new="            ledger.value(live.market, live.price)\n",
        tests=of(
            _OF_LOSS, "test_the_price_that_reaches_the_limit_halts_before_anything_is_awaited"
        ),
    ),
    Mutant(
        name="an operator's resume is undone by the next price",
        file=_LOSS,
        old="        if loss.is_reached and not self._is_halted:\n",
        new="        if loss.is_reached:\n",
        tests=of(_OF_LOSS, "test_an_operators_resume_is_not_undone_before_it_is_noticed"),
    ),
    Mutant(
        name="a pass that is under way undoes an operator's resume",
        file=_LOSS,
        old="        self._is_halted = stood or self._stands()\n",
        new="        self._is_halted = self._stands()\n",
        tests=of(
            _OF_LOSS, "test_an_operators_resume_while_a_pass_is_under_way_is_not_undone_by_it"
        ),
    ),
    Mutant(
        name="an older reading of the positions comes after a newer one",
        file=_LOSS,
        old="        async with self._refreshing:\n",
        new="        if self._refreshing is not None:\n",
        tests=of(_OF_LOSS, "test_an_older_reading_never_comes_after_a_newer_one"),
    ),
    Mutant(
        name="yesterday's numbers are believed after midnight",
        file=_LOSS,
        old="self._day is not None and self._day == korean_day(self._clock.now())",
        new="self._day is not None",
        tests=of(_OF_LOSS, "test_at_midnight_yesterdays_numbers_are_no_longer_believed"),
    ),
    Mutant(
        name="yesterday's halt ends before today is known",
        file=_LOSS,
        old="        if not earlier or (doubted and not reached):\n",
        new="        if not earlier:\n",
        tests=of(_OF_LOSS, "test_the_halt_of_yesterday_stands_until_today_is_known"),
    ),
    Mutant(
        name="an old price values a position",
        file=_LOSS,
        old="        return age_s is None or age_s > self._price_lasts.total_seconds()\n",
        new="        return age_s is None\n",
        tests=of(_OF_LOSS, "test_without_a_price_nothing_halts_and_nothing_may_be_bought"),
    ),
    Mutant(
        name="the day's start moves with what is stored later",
        file=_ROWS,
        old="        ON CONFLICT (quote, day) DO NOTHING\n",
        new="        ON CONFLICT (quote, day) DO UPDATE SET start_equity = excluded.start_equity\n",
        tests=of(_OF_ROWS, "test_the_start_stays_as_it_was_first_read"),
    ),
    Mutant(
        name="after a gap the older value is the start, whatever was gained in it",
        file=_ROWS,
        old="OR (first.at IS NOT NULL AND before.pnl >= first.pnl)\n",
        new="OR first.at IS NOT NULL\n",
        tests=of(
            _OF_ROWS,
            "test_after_a_gap_what_was_lost_in_it_counts_and_what_was_gained_does_not",
        ),
    ),
    Mutant(
        name="a range never forgets",
        file=_RANGE,
        old="        oldest = minute - self.minutes\n",
        new="        oldest = 0\n",
        tests=of(_OF_RANGE, "test_the_range_is_that_of_all_prices_of_the_window"),
    ),
    Mutant(
        name="a halt for volatility ends while the price moves",
        file=_RANGE,
        old="    if after_minutes is None or not is_calm:\n",
        new="    if after_minutes is None:\n",
        tests=of(_OF_MOVES, "test_it_does_not_resume_while_the_price_still_moves"),
    ),
    Mutant(
        name="the same move halts again after an operator's resume",
        file=_MOVES,
        old="        watch.recent = RecentRange(minutes=watch.recent.minutes)\n",
        new="",
        tests=of(_OF_MOVES, "test_after_an_operators_resume_the_same_move_does_not_halt_again"),
    ),
    Mutant(
        name="a jump while the service was away is not looked for",
        file=_MOVES,
        old="            watch.recent = watch.recent.merge(fresh)\n",
        new="",
        tests=of(_OF_MOVES, "test_a_jump_while_the_service_was_away_halts_at_the_start"),
    ),
    Mutant(
        name="a jump heard while a halt ends is forgotten",
        file=_MOVES,
        old="            self._judge(market, watch)\n        if is_lifted",
        new="        if is_lifted",
        tests=of(_OF_MOVES, "test_a_jump_heard_while_a_halt_ends_halts_again"),
    ),
    Mutant(
        name="a day that a clock ahead began keeps its start",
        file=_ROWS,
        old="       AND (start_at < %(fresh)s OR start_at >= %(midnight)s)\n",
        new="       AND false\n",
        tests=of(_OF_ROWS, "test_a_day_that_a_clock_ahead_began_begins_anew_at_its_midnight"),
    ),
    Mutant(
        name="yesterday's halt hides today's",
        file=_LOSS,
        old="        if not earlier or (doubted and not reached):\n",
        new="        if not earlier or doubted or reached:\n",
        tests=of(_OF_LOSS, "test_todays_loss_takes_the_place_of_yesterdays_halt"),
    ),
    Mutant(
        name="one may buy while one halt makes way for the next",
        file=_LOSS,
        old="        self._is_renewing = True\n",
        new="",
        tests=of(_OF_LOSS, "test_nothing_is_bought_while_one_halt_makes_way_for_the_next"),
    ),
    Mutant(
        name="a stored price of the future is the newest",
        file=_MOVES,
        old="before = _instant(minute + 1)",
        new="before = _instant(minute + 1_000_000)",
        tests=of(_OF_MOVES, "test_a_stored_price_of_the_future_is_left_out"),
    ),
    Mutant(
        name="a limit that cannot be judged lets purchases through",
        file="service/domain/risk/state_rules.py",
        old="    if draft.is_buy and (why := now.doubts.get(reason)) is not None:\n",
        new="    if (why := None) is not None:\n",
        tests=of(
            "tests/unit/domain/test_risk_limits.py",
            "test_a_limit_that_cannot_be_judged_refuses_a_purchase_and_no_sale",
        ),
    ),
)
