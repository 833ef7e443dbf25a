"""A jump halts its market at once, once, and only for as long as the settings say."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest

from service.domain.errors import StoreDown
from service.domain.markets import Market
from service.domain.trading_states import VOLATILITY, TradingStatus
from service.flows.trading_switch import TradingSwitch
from service.flows.volatility import ACTOR, VolatilityGuard
from service.settings.settings import Settings
from tests.builders import KRW_BTC, a_candle, a_ticker
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import FakeClock
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.logs import Logs
from tests.fakes.market_data import FakeMarketData
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.state import FakeTradingState

KRW_ETH: Final = Market("KRW", "ETH")
ADMIN: Final = "admin@127.0.0.1"


class Post:
    """A process over one database; `restart()` is the next process over it."""

    def __init__(self) -> None:
        self.clock, self.state = FakeClock(), FakeTradingState()
        self.rows = FakeSettingRows({"trading_enabled": True})
        self.stored, self.journal = FakeMarketData(), FakeHaltJournal()
        self.leads, self.woken = True, 0
        self.price_lasts = timedelta()
        self._ids = itertools.count(1)

    async def restart(self) -> None:
        self.settings = Settings(self.rows, self.clock)
        self.switch = TradingSwitch(
            states=self.state,
            settings=self.settings,
            journal=self.journal,
            audit=FakeAudit(),
            clock=self.clock,
            real_clock=self.clock,
            new_id=lambda: f"h-{next(self._ids)}",
        )
        await self.switch.load()
        self.guard = VolatilityGuard(
            markets=(KRW_BTC, KRW_ETH),
            switch=self.switch,
            states=self.state,
            stored=self.stored,
            settings=self.settings,
            clock=self.clock,
            leads=lambda: self.leads,
            wake=self._wake,
            price_lasts=self.price_lasts,
        )
        await self.guard.begin()

    def _wake(self) -> None:
        self.woken += 1

    def hear(self, *prices: int | str, market: Market = KRW_BTC, every_s: float = 10) -> None:
        for price in prices:
            self.clock.pass_time(every_s)
            self.guard.hear(market, Decimal(price))

    async def set(self, **values: Any) -> None:
        for name, value in values.items():
            self.rows.stored[name] = value
            await self.settings.invalidate(name)

    async def release(self) -> None:
        await self.switch.step()
        await self.switch.resume(actor=ADMIN, reasons=[VOLATILITY])

    def status(self, market: Market = KRW_BTC) -> TradingStatus:
        return self.switch.status(market)

    def stored_halts(self) -> Sequence[tuple[Market | None, str]]:
        return [(halt.market, halt.ends) for halt in self.state.halts]


@pytest.fixture
async def post() -> Post:
    post = Post()
    await post.restart()
    return post


async def test_a_jump_halts_its_market_before_anything_is_awaited(post: Post) -> None:
    post.hear(100_000, 99_000, 102_900)

    assert post.status() is TradingStatus.REDUCING
    assert post.status(KRW_ETH) is TradingStatus.ACTIVE
    assert post.woken == 1
    assert post.state.halts == [], "the next step of the switch stores it"


async def test_a_move_below_the_threshold_halts_nothing(post: Post) -> None:
    post.hear(100_000, 102_999)

    assert post.status() is TradingStatus.ACTIVE
    assert post.guard.moved_pct(KRW_BTC) == Decimal("2.999")


async def test_a_slow_move_is_no_jump(post: Post) -> None:
    post.hear(*range(100_000, 120_000, 1000), every_s=180)

    assert post.status() is TradingStatus.ACTIVE


async def test_one_jump_is_one_halt_however_many_prices_follow(post: Post) -> None:
    post.hear(100, 110, 90, 120)
    await post.switch.step()
    post.hear(80)
    await post.guard.check()
    await post.switch.step()

    assert post.stored_halts() == [(KRW_BTC, "operator")]
    assert [event for event, _, _ in post.state.events] == ["HALTED"]


async def test_a_process_that_does_not_trade_halts_nothing(post: Post) -> None:
    post.leads = False

    post.hear(100, 110)
    await post.guard.check()

    assert post.status() is TradingStatus.ACTIVE


async def test_without_a_time_to_resume_only_an_operator_ends_the_halt(post: Post) -> None:
    post.hear(100, 110)
    post.hear(*[110] * 60, every_s=60)
    await post.guard.check()
    stood = post.status()

    await post.release()

    assert (stood, post.status()) == (TradingStatus.REDUCING, TradingStatus.ACTIVE)


async def test_it_resumes_by_itself_after_its_time_in_a_calm_market(post: Post) -> None:
    await post.set(volatility_auto_resume_minutes=10)
    post.hear(100, 110)
    post.hear(*[110] * 9, every_s=60)
    await post.guard.check()
    early = post.status()
    post.hear(110, every_s=60)

    await post.guard.check()

    assert (early, post.status()) == (TradingStatus.REDUCING, TradingStatus.ACTIVE)
    assert post.state.events[-1] == ("RESUMED", VOLATILITY, ACTOR)


async def test_it_does_not_resume_while_the_price_still_moves(post: Post) -> None:
    await post.set(volatility_auto_resume_minutes=10)
    post.hear(100, 110)
    post.hear(*[110, 115] * 8, every_s=60)

    await post.guard.check()

    assert post.status() is TradingStatus.REDUCING


async def test_it_does_not_resume_without_a_price(post: Post) -> None:
    await post.set(volatility_auto_resume_minutes=10)
    post.hear(100, 110)
    post.clock.pass_time(3600)

    await post.guard.check()

    assert post.status() is TradingStatus.REDUCING
    assert post.guard.doubt(KRW_BTC) == "no_price_in_window"


async def test_the_end_of_its_own_halt_lets_the_next_jump_halt_again(post: Post) -> None:
    await post.set(volatility_auto_resume_minutes=1)
    post.hear(100, 110)
    post.hear(*[110] * 10, every_s=60)
    await post.guard.check()

    post.hear(120)

    assert post.status() is TradingStatus.REDUCING


async def test_a_jump_heard_while_a_halt_ends_halts_again(post: Post) -> None:
    await post.set(volatility_auto_resume_minutes=1)
    post.hear(100, 110)
    await post.switch.step()
    post.hear(*[110] * 10, every_s=60)
    resume = post.state.resume

    async def resuming(**asked: Any) -> bool:
        post.hear(130)
        return await resume(**asked)

    post.state.resume = resuming  # type: ignore[method-assign]
    await post.guard.check()

    assert post.status() is TradingStatus.REDUCING
    await post.switch.step()
    post.hear(130)
    assert post.status() is TradingStatus.REDUCING, "it is no operator's resume"
    assert len(post.stored_halts()) == 1


async def test_after_an_operators_resume_the_same_move_does_not_halt_again(post: Post) -> None:
    post.hear(100, 110)
    await post.release()

    post.hear(110, 111)
    await post.guard.check()

    assert post.status() is TradingStatus.ACTIVE
    post.hear(114)
    assert post.status() is TradingStatus.REDUCING, "a new one does"


async def test_an_operators_resume_counts_for_the_next_process_too(post: Post) -> None:
    post.hear(100, 110)
    post.stored.tickers.append((post.clock.now(), a_ticker(price=Decimal(110))))
    await post.stored.put_candles([a_candle(opened_at=post.clock.now() - timedelta(minutes=1))])
    await post.release()

    await post.restart()

    assert post.status() is TradingStatus.ACTIVE


async def test_a_restart_keeps_the_halt_and_the_last_minutes(post: Post) -> None:
    post.stored.tickers.append((post.clock.now(), a_ticker(price=Decimal(100))))
    post.hear(101)
    post.hear(100, 110, market=KRW_ETH)
    await post.switch.step()

    await post.restart()
    stood = post.status(KRW_ETH)
    post.hear(103)

    assert stood is TradingStatus.REDUCING
    assert post.status() is TradingStatus.REDUCING, "100 was heard by the process before"
    await post.switch.step()
    assert len(post.state.halts) == 2


async def test_a_jump_while_the_service_was_away_halts_at_the_start(post: Post) -> None:
    minute = post.clock.now().replace(second=0)
    await post.stored.put_candles(
        [a_candle(opened_at=minute - timedelta(minutes=2), low=Decimal(97), high=Decimal(100))]
    )

    await post.restart()

    assert post.status() is TradingStatus.REDUCING


async def test_stored_prices_fill_what_was_not_heard(post: Post) -> None:
    post.hear(100)
    post.clock.pass_time(240)
    post.stored.tickers.append((post.clock.now(), a_ticker(price=Decimal(97))))
    post.hear(100)
    quiet = post.status()

    await post.guard.check()

    assert (quiet, post.status()) == (TradingStatus.ACTIVE, TradingStatus.REDUCING)


async def test_a_stored_price_of_the_future_is_left_out(post: Post) -> None:
    ahead = post.clock.now() + timedelta(days=365)
    await post.stored.put_candles([a_candle(opened_at=ahead, low=Decimal(1), high=Decimal(2))])

    await post.restart()
    post.hear(100)
    await post.guard.check()

    assert post.status() is TradingStatus.ACTIVE
    assert post.guard.moved_pct(KRW_BTC) == 0


async def test_a_lower_threshold_takes_effect_at_once(post: Post) -> None:
    post.hear(100, 102)

    await post.set(volatility_threshold_pct="2")

    assert post.status() is TradingStatus.REDUCING


async def test_a_longer_window_is_filled_with_what_is_stored(post: Post) -> None:
    post.stored.tickers.append((post.clock.now(), a_ticker(price=Decimal(100))))
    post.clock.pass_time(1800)
    post.hear(110)
    short = post.status()

    await post.set(volatility_window_minutes=60)

    assert (short, post.status()) == (TradingStatus.ACTIVE, TradingStatus.REDUCING)


async def test_with_the_database_away_a_jump_still_halts(post: Post) -> None:
    post.state.fail = StoreDown("PostgreSQL cannot be reached")

    post.hear(100, 110)

    assert post.status() is TradingStatus.REDUCING


@pytest.mark.proves("FR-012")
async def test_a_halt_and_its_end_are_logged_without_a_price(post: Post, logs: Logs) -> None:
    await post.set(volatility_auto_resume_minutes=1)
    post.hear(100, 110)
    post.hear(*[110] * 10, every_s=60)
    await post.guard.check()

    told = [row for row in logs.lines if row.get("reason") == VOLATILITY]
    assert [(row["level"], row["market"]) for row in told] == [
        ("ERROR", "KRW-BTC"),
        ("WARNING", "KRW-BTC"),
    ]
    assert (told[0]["limit"], told[0]["actual"]) == ("3", "10.00")


async def test_nothing_is_known_before_the_first_price(post: Post) -> None:
    assert post.guard.doubt(KRW_BTC) == "no_price_in_window"
    assert post.guard.moved_pct(KRW_BTC) is None

    post.hear(100)

    assert post.guard.doubt(KRW_BTC) is None


async def test_in_a_fast_market_a_price_that_was_just_heard_is_known() -> None:
    post = Post()
    post.price_lasts = timedelta(minutes=30)
    await post.restart()
    post.hear(100)
    post.clock.pass_time(29 * 60)
    lately = post.guard.doubt(KRW_BTC)

    post.clock.pass_time(120)

    assert (lately, post.guard.doubt(KRW_BTC)) == (None, "no_price_in_window")


async def test_a_pass_with_a_halt_of_ours_or_missing_prices_is_not_idle(post: Post) -> None:
    seen: list[bool] = []

    for _ in range(40):
        post.hear(100_000)
        post.hear(100_000, market=KRW_ETH, every_s=0)
        await post.guard.check()
    seen.append(post.guard.is_idle)
    post.hear(110_000)
    await post.guard.check()
    seen.append(post.guard.is_idle)
    post.hear(110_000, every_s=3600)
    await post.guard.check()
    seen.append(post.guard.is_idle)

    assert seen == [True, False, False]
