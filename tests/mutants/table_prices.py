"""No lie about a price is believed, and no real crash is lost."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_PRICES: Final = "service/domain/prices.py"
_LIVE: Final = "service/flows/live_prices.py"
_PROTECT: Final = "service/flows/protect.py"
_OF_PROTECT: Final = "tests/unit/flows/test_protect.py"
_OF_PRICES: Final = "tests/unit/domain/test_prices.py"
_OF_LIVE: Final = "tests/unit/flows/test_live_prices.py"

PRICES: Final = (
    Mutant(
        name="a price outside its own day's low and high is believed",
        file=_LIVE,
        old="        if not ticker.low <= price <= ticker.high:\n",
        new="        if False:\n",
        tests=of(_OF_LIVE, "test_no_price_outside_its_own_day_is_ever_told"),
    ),
    Mutant(
        name="a jump is believed at its first word",
        file=_LIVE,
        old="            if jump.is_confirmed_by(word):\n",
        new="            if True:\n",
        tests=of(
            _OF_LIVE,
            "test_a_jump_is_refused_warned_about_once_and_forgotten_by_the_next_sane_price",
        ),
    ),
    Mutant(
        name="one trade that is told three times confirms a jump",
        file=_PRICES,
        old="        another = word.traded_at > self.word.traded_at\n",
        new="        another = True\n",
        tests=of(_OF_PRICES, "test_one_trade_that_is_told_again_and_again_stays_one"),
    ),
    Mutant(
        name="another source confirms no crash",
        file=_PRICES,
        old="        if word.source is not self.word.source:\n",
        new="        if False:\n",
        tests=of(_OF_LIVE, "test_a_crash_on_the_stream_is_believed_once_rest_says_the_same"),
    ),
    Mutant(
        name="a candle that contradicts a jump is not heard",
        file=_LIVE,
        old="        known.jump = None\n        known.is_contradicted",
        new="        known.is_contradicted",
        tests=of(
            _OF_LIVE, "test_a_lie_of_the_ticker_that_the_candles_contradict_never_becomes_a_price"
        ),
    ),
    Mutant(
        name="a candle that contradicts a believed price is not heard",
        file=_LIVE,
        old="        if known.is_contradicted:\n            return PriceDoubt.JUMP\n",
        new="",
        tests=of(
            _OF_LIVE, "test_steps_that_are_each_small_are_doubted_once_the_candle_stays_behind"
        ),
    ),
    Mutant(
        name="a trade of the year 9999 makes all others old",
        file=_LIVE,
        old="        traded_at = min(traded_at, now)\n",
        new="",
        tests=of(_OF_LIVE, "test_a_trade_of_the_year_9999_does_not_make_all_others_old"),
    ),
    Mutant(
        name="a word about an older trade replaces the price",
        file=_LIVE,
        old="        if latest is not None and _is_older(traded_at, now, latest):\n",
        new="        if False:\n",
        tests=of(_OF_LIVE, "test_a_word_about_an_older_trade_changes_nothing"),
    ),
    Mutant(
        name="a last trade three days old is no doubt",
        file=_PRICES,
        old="    return now - price.traded_at > limits.max_age\n",
        new="    return False\n",
        tests=of(_OF_LIVE, "test_a_last_trade_beyond_its_age_is_told_and_doubted"),
    ),
    Mutant(
        name="a bug of one subscriber keeps a price from the others",
        file=_LIVE,
        old="            except Exception:  # noqa: BLE001 - a bug of one must not keep",
        new="            except MemoryError:  # noqa: BLE001 - a bug of one must not keep",
        tests=of(_OF_LIVE, "test_a_bug_of_one_subscriber_keeps_no_price_from_the_others"),
    ),
    Mutant(
        name="a position is judged by a price from before its purchase",
        file=_PROTECT,
        old=" or price.traded_at < watched.bought_at:\n",
        new=":\n",
        tests=of(
            _OF_PROTECT,
            "test_a_price_from_before_a_purchase_sells_nothing_however_far_the_market_moved",
        ),
    ),
    Mutant(
        name="a position that grew is judged by a price from before that",
        file=_PROTECT,
        old="            watched.bought_at = max(watched.bought_at, bought_at)\n",
        new="            pass\n",
        tests=of(
            _OF_PROTECT,
            "test_a_price_from_before_a_second_purchase_is_not_held_against_the_new_average",
        ),
    ),
)
