"""The day's loss stops purchases at its limit, once, until the next Korean day or an operator."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.days import korean_day, korean_midnight
from service.domain.errors import StoreDown
from service.domain.instants import rfc3339
from service.domain.limits.daily_loss import DayStart
from service.domain.markets import Market
from service.domain.prices import LivePrice, PriceSource
from service.domain.trading_states import DAILY_LOSS, TradingStatus
from service.flows.daily_loss import ACTOR, DailyLossGuard, LossShare
from service.flows.live_prices import LivePrices
from service.flows.trading_switch import TradingSwitch
from service.ports.loss_days import LossDay
from service.settings.settings import Settings
from tests.builders import KRW_BTC, a_position, a_ticker
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.logs import Logs
from tests.fakes.loss_days import FakeLossDays
from tests.fakes.orders import FakeOrders
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.state import FakeTradingState

D = Decimal
KRW_ETH: Final = Market("KRW", "ETH")
BTC_ETH: Final = Market("BTC", "ETH")
ADMIN: Final = "admin@127.0.0.1"
NOON: Final = datetime(2026, 1, 24, 3, 0, tzinfo=UTC)  #: of the Korean day


class Positions(FakeOrders):
    """Positions that a test sets.

    Attributes:
        held_up: the next reading, once begun, is answered when this is set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Market, Any] = {}
        self.held_up: asyncio.Event | None = None

    async def positions(self) -> tuple[Any, ...]:
        known = tuple(self.held.values())
        held_up, self.held_up = self.held_up, None
        if held_up is not None:
            await held_up.wait()
        return known


class Post:
    """A process over one database; `restart()` is the next process over it.

    The day began with an equity of 1,000,000 KRW, and with 10 coins bought for 50,000 each.
    """

    def __init__(self) -> None:
        self.clock, self.state = FakeClock(at=NOON), FakeTradingState()
        self.rows = FakeSettingRows({"trading_enabled": True})
        self.orders, self.days = Positions(), FakeLossDays()
        self.journal, self.exchange = FakeHaltJournal(), FakeExchange()
        self.exchange.prices.clear()
        self.leads, self.woken, self.woken_self = True, 0, 0
        self.quotes: tuple[str, ...] = ("KRW",)
        self._ids = itertools.count(1)

    async def restart(self) -> None:
        self.settings = Settings(self.rows, self.clock)
        self.prices = LivePrices(clock=self.clock, settings=self.settings)
        await self.prices.refresh()
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
        self.guard = DailyLossGuard(
            quotes=self.quotes,
            orders=self.orders,
            days=self.days,
            switch=self.switch,
            states=self.state,
            prices=self.prices,
            exchange=self.exchange,
            settings=self.settings,
            clock=self.clock,
            leads=lambda: self.leads,
            wake=self._wake,
            wake_self=self._wake_self,
        )
        self.prices.subscribe(self.guard.hear)

    def _wake(self) -> None:
        self.woken += 1

    def _wake_self(self) -> None:
        self.woken_self += 1

    def begin_day(self, *, quote: str = "KRW", equity: int = 1_000_000, **values: Any) -> None:
        start: dict[str, Any] = {
            "quote": quote,
            "day": korean_day(self.clock.now()),
            "equity": D(equity),
        }
        self.days.begin(LossDay(start=DayStart(**start | {"pnl": D(0)} | values)))

    def hold(self, market: Market = KRW_BTC, **values: Any) -> None:
        asked: dict[str, Any] = {"market": market, "volume": D(10), "cost": D(500_000)}
        self.orders.held[market] = a_position(**asked | values)

    def hear(self, price: int | str, *, market: Market = KRW_BTC) -> None:
        self.clock.pass_time(1)
        at = self.clock.now()
        self.prices.anchor(market, D(price))  # a jump that a candle has confirmed
        word = a_ticker(market=market, price=D(price), low=D("0.001"), high=D(10**9), traded_at=at)
        assert self.prices.hear(word, source=PriceSource.STREAM) is not None

    async def set_limit(self, value: str) -> None:
        self.rows.stored["daily_loss_limit_pct"] = value
        await self.settings.invalidate("daily_loss_limit_pct")

    async def release(self) -> None:
        await self.switch.step()
        await self.switch.resume(actor=ADMIN, reasons=[DAILY_LOSS])

    async def next_day(self, *, hours: float = 12) -> None:
        self.clock.pass_time(hours * 3600)

    @property
    def status(self) -> TradingStatus:
        return self.switch.status()


@pytest.fixture
async def post() -> Post:
    post = Post()
    post.begin_day()
    post.hold()
    await post.restart()
    post.hear(50_000)
    await post.guard.refresh()
    return post


async def test_the_price_that_reaches_the_limit_halts_before_anything_is_awaited(
    post: Post,
) -> None:
    post.hear("45000.01")
    before = post.status

    post.hear(45_000)

    assert (before, post.status) == (TradingStatus.ACTIVE, TradingStatus.REDUCING)
    assert post.woken == 1
    assert post.state.halts == [], "the next step of the switch stores it"


async def test_a_halt_of_the_day_is_one_halt_however_far_it_falls(post: Post) -> None:
    for price in (45_000, 44_000, 50_000, 20_000):
        post.hear(price)
        await post.switch.step()
        await post.guard.refresh()

    assert [event for event, _, _ in post.state.events] == ["HALTED"]
    (halt,) = post.state.halts
    assert (halt.ends, halt.market) == ("condition", None)
    assert halt.detail == {
        "quote": "KRW",
        "day": "2026-01-24",
        "limit": "5",
        "actual": "5.00",
        "until": "2026-01-24T15:00:00.000Z",
    }


async def test_sales_fees_and_open_positions_of_all_markets_add_up(post: Post) -> None:
    post.hold(KRW_ETH, volume=D(1), cost=D(10_000), realised_pnl=D(-20_000), fees_paid=D(20_000))
    post.hear(10_000, market=KRW_ETH)
    await post.guard.refresh()
    post.hear(47_001)
    before = post.status

    post.hear(47_000)

    assert (before, post.status) == (TradingStatus.ACTIVE, TradingStatus.REDUCING)


async def test_what_was_lost_before_today_does_not_count(post: Post) -> None:
    post.begin_day(pnl=D(-300_000))
    post.hold(realised_pnl=D(-300_000))
    await post.guard.refresh()

    post.hear(49_000)

    assert post.status is TradingStatus.ACTIVE
    assert post.guard.shares() == {"KRW": LossShare(used_pct=D(1), left_pct=D(4))}


async def test_a_sale_at_a_loss_is_found_without_a_price(post: Post) -> None:
    post.orders.held[KRW_BTC] = a_position(realised_pnl=D(-50_000))

    await post.guard.refresh()

    assert post.status is TradingStatus.REDUCING


async def test_each_quote_currency_counts_in_its_own_money(post: Post) -> None:
    post.begin_day(quote="BTC", equity=2)
    post.hold(BTC_ETH, volume=D(10), cost=D("0.5"))
    post.hear("0.05", market=BTC_ETH)
    await post.guard.refresh()

    post.hear("0.0401", market=BTC_ETH)
    before = post.status
    post.hear("0.04", market=BTC_ETH)

    assert (before, post.status) == (TradingStatus.ACTIVE, TradingStatus.REDUCING)


async def test_the_alert_is_asked_for_at_80_percent_and_stored_once(post: Post) -> None:
    post.hear("46000.1")
    early = post.woken_self
    post.hear(46_000)
    post.hear(45_900)

    await post.guard.refresh()
    post.hear(45_950)
    await post.guard.refresh()

    assert (early, post.woken_self) == (0, 1)
    assert post.days.warned == [("KRW", korean_day(NOON))]


async def test_the_next_korean_day_ends_the_halt_and_the_next_process_too(post: Post) -> None:
    post.hear(45_000)
    await post.switch.step()
    await post.next_day(hours=11.9)
    await post.guard.refresh()
    same_day = post.status
    post.clock.pass_time(3600)
    post.begin_day(pnl=D(-50_000))
    post.hear(45_000)

    await post.guard.refresh()

    assert (same_day, post.status) == (TradingStatus.REDUCING, TradingStatus.ACTIVE)
    assert post.state.events[-1] == ("RESUMED", DAILY_LOSS, ACTOR)
    post.hear(40_000)
    assert post.status is TradingStatus.REDUCING, "the new day has a limit of its own"


async def test_the_halt_of_yesterday_stands_until_today_is_known(post: Post) -> None:
    post.hear(45_000)
    await post.switch.step()
    await post.next_day(hours=13)
    post.hear(45_000)

    await post.guard.refresh()

    assert post.guard.doubt("KRW") == "no_day_start"
    assert post.status is TradingStatus.REDUCING


async def test_todays_loss_takes_the_place_of_yesterdays_halt(post: Post) -> None:
    post.hear(45_000)
    await post.switch.step()
    await post.next_day(hours=13)
    post.begin_day(pnl=D(50_000), equity=1_100_000)
    post.hear(44_000)

    await post.guard.refresh()

    assert post.status is TradingStatus.REDUCING
    (halt,) = [halt for halt in post.switch.halts() if halt.reason == DAILY_LOSS]
    today = korean_day(post.clock.now())
    assert halt.detail["day"] == today.isoformat()
    assert halt.detail["until"] == rfc3339(korean_midnight(today + timedelta(days=1)))
    await post.switch.step()
    assert post.state.events[-2:] == [
        ("RESUMED", DAILY_LOSS, ACTOR),
        ("HALTED", DAILY_LOSS, ACTOR),
    ]


async def test_nothing_is_bought_while_one_halt_makes_way_for_the_next(post: Post) -> None:
    post.hear(45_000)
    await post.switch.step()
    await post.next_day(hours=13)
    post.begin_day(pnl=D(50_000), equity=1_100_000)
    post.hear(44_000)
    meanwhile: list[str | None] = []
    resume = post.state.resume

    async def resuming(**asked: Any) -> bool:
        meanwhile.append(post.guard.doubt("KRW"))
        return await resume(**asked)

    post.state.resume = resuming  # type: ignore[method-assign]
    await post.guard.refresh()

    assert meanwhile == ["halt_renewed"]
    assert post.guard.doubt("KRW") is None


async def test_a_position_without_a_price_stops_purchases_in_its_own_currency_alone() -> None:
    post = Post()
    post.quotes = ("KRW", "BTC")
    await post.restart()
    post.begin_day()
    post.begin_day(quote="BTC", equity=1)
    post.hold()
    post.hold(BTC_ETH, volume=D(1), cost=D("0.03"))
    post.hear(50_000)

    await post.guard.refresh()

    assert post.guard.doubt("KRW") is None
    assert post.guard.doubt("BTC") == "no_price of BTC-ETH"


async def test_a_position_without_a_price_keeps_no_halt_of_another_currency(post: Post) -> None:
    post.hear(45_000)
    await post.switch.step()
    await post.next_day(hours=13)
    post.begin_day(pnl=D(-50_000))
    post.hold(BTC_ETH, volume=D(1), cost=D("0.03"))
    post.hear(45_000)

    await post.guard.refresh()

    assert post.guard.doubt("BTC") is not None
    assert post.status is TradingStatus.ACTIVE


async def test_a_restart_keeps_the_halt_and_the_start(post: Post) -> None:
    post.hear(45_000)
    await post.switch.step()

    await post.restart()
    stood = post.status
    post.hear(50_000)
    await post.guard.refresh()

    assert (stood, post.status) == (TradingStatus.REDUCING, TradingStatus.REDUCING)


async def test_a_breach_while_the_service_was_away_halts_at_the_start(post: Post) -> None:
    await post.restart()
    post.exchange.set_price(40_000)

    await post.guard.refresh()

    assert post.status is TradingStatus.REDUCING


async def test_after_an_operators_resume_a_fifth_of_the_limit_more_halts_again(
    post: Post,
) -> None:
    post.hear(44_000)
    await post.release()
    await post.guard.refresh()
    post.hear("43000.1")
    after = post.status

    post.hear(43_000)

    assert (after, post.status) == (TradingStatus.ACTIVE, TradingStatus.REDUCING)


async def test_an_operators_resume_is_not_undone_before_it_is_noticed(post: Post) -> None:
    post.hear(44_000)
    await post.release()

    post.hear(43_900)

    assert post.status is TradingStatus.ACTIVE


async def test_an_operators_resume_while_a_pass_is_under_way_is_not_undone_by_it(
    post: Post,
) -> None:
    post.hear(44_000)
    answered = post.orders.held_up = asyncio.Event()

    async with asyncio.TaskGroup() as both:
        both.create_task(post.guard.refresh())
        await asyncio.sleep(0)
        await post.release()
        answered.set()
    after = post.status
    await post.guard.refresh()

    assert (after, post.status) == (TradingStatus.ACTIVE, TradingStatus.ACTIVE)


async def test_an_older_reading_never_comes_after_a_newer_one(post: Post) -> None:
    answered = post.orders.held_up = asyncio.Event()

    async with asyncio.TaskGroup() as both:
        both.create_task(post.guard.refresh())
        await asyncio.sleep(0)
        post.hold(realised_pnl=D(-40_000))
        both.create_task(post.guard.refresh())
        for _ in range(20):
            await asyncio.sleep(0)
        answered.set()

    assert post.guard.shares() == {"KRW": LossShare(used_pct=D(4), left_pct=D(1))}


async def test_an_operators_resume_counts_for_the_next_process(post: Post) -> None:
    post.hear(44_000)
    await post.release()
    await post.restart()
    post.hear(44_000)
    await post.guard.refresh()
    resumed = post.status

    await post.restart()
    post.hear(43_100)
    await post.guard.refresh()

    assert (resumed, post.status) == (TradingStatus.ACTIVE, TradingStatus.ACTIVE)
    post.hear(43_000)
    assert post.status is TradingStatus.REDUCING


async def test_a_loss_booked_into_another_day_is_excused_too(post: Post) -> None:
    post.orders.held[KRW_BTC] = a_position(realised_pnl=D(-60_000))
    await post.guard.refresh()
    halted = post.status
    await post.release()

    await post.guard.refresh()
    await post.guard.refresh()

    assert (halted, post.status) == (TradingStatus.REDUCING, TradingStatus.ACTIVE)
    assert post.guard.shares() == {"KRW": LossShare(used_pct=D(6), left_pct=D(1))}


async def test_a_lower_limit_takes_effect_at_once_and_a_higher_one_ends_no_halt(
    post: Post,
) -> None:
    post.hear(48_000)
    await post.set_limit("2")
    lower = post.status

    await post.set_limit("50")

    assert (lower, post.status) == (TradingStatus.REDUCING, TradingStatus.REDUCING)


async def test_a_deposit_of_the_day_is_neither_gain_nor_room_for_more(post: Post) -> None:
    post.begin_day(deposited=D(900_000))
    await post.guard.refresh()

    post.hear(45_000)

    assert post.status is TradingStatus.REDUCING


async def test_without_a_start_nothing_halts_and_nothing_may_be_bought(post: Post) -> None:
    post.days.rows.clear()
    await post.guard.refresh()

    post.hear(10_000)

    assert post.status is TradingStatus.ACTIVE
    assert post.guard.doubt("KRW") == "no_day_start"


async def test_without_a_price_nothing_halts_and_nothing_may_be_bought(post: Post) -> None:
    post.clock.pass_time(61)

    await post.guard.refresh()

    assert post.status is TradingStatus.ACTIVE
    assert post.guard.doubt("KRW") == "no_price of KRW-BTC"
    assert post.guard.shares() == {"KRW": None}


async def test_where_nothing_is_held_or_traded_no_start_is_needed() -> None:
    post = Post()
    await post.restart()
    unread, unknown = post.guard.doubt("KRW"), post.guard.shares()

    await post.guard.refresh()

    assert (unread, unknown) == ("day_not_read", {"KRW": None})
    assert post.guard.doubt("KRW") is None
    assert post.guard.shares() == {"KRW": LossShare(used_pct=D(0), left_pct=D(5))}
    post.days.traded.add(("KRW", korean_day(NOON)))
    await post.guard.refresh()
    assert post.guard.doubt("KRW") == "no_day_start"


async def test_at_midnight_yesterdays_numbers_are_no_longer_believed(post: Post) -> None:
    await post.next_day()

    assert post.guard.doubt("KRW") == "day_not_read"
    post.guard.hear(
        LivePrice(
            market=KRW_BTC,
            price=D(1),
            traded_at=post.clock.now(),
            heard_at=post.clock.now(),
            source=PriceSource.STREAM,
        )
    )
    assert post.status is TradingStatus.ACTIVE


async def test_a_standby_judges_nothing_and_forgets_what_it_knew(post: Post) -> None:
    post.leads = False
    post.hear(40_000)
    await post.guard.refresh()

    assert post.status is TradingStatus.ACTIVE
    assert post.guard.doubt("KRW") == "day_not_read"


async def test_with_the_database_away_the_limit_still_halts(post: Post) -> None:
    post.days.fail = post.state.fail = StoreDown("PostgreSQL cannot be reached")
    with pytest.raises(StoreDown):
        await post.guard.refresh()

    post.hear(45_000)

    assert post.status is TradingStatus.REDUCING


@pytest.mark.proves("FR-012")
async def test_a_position_that_cannot_be_valued_is_a_warning_once(post: Post, logs: Logs) -> None:
    post.clock.pass_time(61)

    await post.guard.refresh()
    await post.guard.refresh()

    told = [row for row in logs.lines if "cannot be valued" in row["message"]]
    assert [(row["level"], row["market"]) for row in told] == [("WARNING", "KRW-BTC")]


async def test_no_amount_stands_in_the_log(post: Post, logs: Logs) -> None:
    post.hear(45_000)

    (told,) = [row for row in logs.lines if row.get("reason") == DAILY_LOSS]
    assert told["actual"] == "5.00"
    assert "50000" not in str(told)


@given(
    falls=st.lists(st.integers(min_value=-40, max_value=40), min_size=1, max_size=40),
    limit=st.decimals(min_value="0.1", max_value=20, places=2),
)
async def test_purchases_never_go_on_beyond_the_limit(falls: list[int], limit: Decimal) -> None:
    """Whatever the prices do: the first that reaches the limit halts, and none before it does."""
    post = Post()
    post.rows.stored["daily_loss_limit_pct"] = str(limit)
    post.begin_day()
    post.hold()
    await post.restart()
    price, reached = D(50_000), False
    post.hear(str(price))
    await post.guard.refresh()

    for fall in falls:
        price = max(price + 100 * fall, D(100))
        post.hear(str(price))
        reached = reached or (50_000 - price) * 10 >= limit * 10_000

        assert (post.status is TradingStatus.REDUCING) is reached


async def test_a_day_without_a_pass_in_it_still_begins_anew(post: Post) -> None:
    post.hear(45_000)
    await post.switch.step()
    post.clock.pass_time(timedelta(days=3).total_seconds())
    post.begin_day(pnl=D(-50_000))

    await post.restart()
    post.hear(45_000)
    await post.guard.refresh()

    assert post.status is TradingStatus.ACTIVE
