"""The day's loss over real PostgreSQL: a deposit, midnight in Korea, a resume, the next process."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest

from service.domain.account import NewDeposit
from service.domain.prices import PriceSource
from service.domain.trading_states import DAILY_LOSS, TradingStatus
from service.flows.alerts.rules import loss_notice, risk_notices
from service.flows.daily_loss import ACTOR, DailyLossGuard
from service.flows.live_prices import LivePrices
from service.flows.trading_switch import TradingSwitch
from service.settings.settings import Settings
from service.store.database.pool import Pool
from service.store.queries.portfolio import PgPortfolio
from service.store.tables.account import PgAccountBooks
from service.store.tables.audit import PgAudit
from service.store.tables.equity import PgEquities
from service.store.tables.loss_days import PgLossDays
from service.store.tables.orders import PgOrders
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC, a_ticker, an_equity
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.setting_rows import FakeSettingRows
from tests.integration.store.seeds import execute, rows

D = Decimal
ADMIN: Final = "admin@127.0.0.1"
#: Ten minutes before midnight in Korea.
EVENING: Final = datetime(2026, 1, 23, 14, 50, tzinfo=UTC)
#: 10 coins, bought for 500,000 KRW.
POSITION: Final = (
    "INSERT INTO positions"
    " (market, volume, cost, realised_pnl, fees_paid, opened_at, updated_at)"
    " VALUES ('KRW-BTC', 10, 500000, 0, 0, '2026-01-23Z', '2026-01-23Z')"
)


class Account:
    """A process over a real database; its account has 500,000 KRW and the position."""

    def __init__(self, pool: Pool, *, clock: FakeClock) -> None:
        self.pool, self.clock = pool, clock
        self.states = PgTradingState(pool, notices=risk_notices)
        self.settings = Settings(FakeSettingRows({"trading_enabled": True}), clock)
        self.prices = LivePrices(clock=clock, settings=self.settings)
        ids = itertools.count(1)
        self.switch = TradingSwitch(
            states=self.states,
            settings=self.settings,
            journal=FakeHaltJournal(),
            audit=PgAudit(pool),
            clock=clock,
            real_clock=clock,
            new_id=lambda: f"h-{next(ids)}",
        )
        self.guard = DailyLossGuard(
            quotes=("KRW",),
            orders=PgOrders(pool),
            days=PgLossDays(pool, notice=loss_notice),
            switch=self.switch,
            states=self.states,
            prices=self.prices,
            exchange=FakeExchange(),
            settings=self.settings,
            clock=clock,
            leads=lambda: True,
        )
        self.prices.subscribe(self.guard.hear)

    async def at(self, price: int, *, cash: int = 500_000, minutes: float = 0) -> TradingStatus:
        """Let time pass, hear `price`, store the account at it, and look; return the state."""
        self.clock.pass_time(60 * minutes)
        now = self.clock.now()
        self.prices.anchor(KRW_BTC, D(price))
        word = a_ticker(price=D(price), low=D(1), traded_at=now)
        self.prices.hear(word, source=PriceSource.STREAM)
        equity = an_equity(
            quote="KRW",
            cash=D(cash),
            coins=D(10 * price),
            realised_pnl=D(0),
            unrealised_pnl=D(10 * price - 500_000),
        )
        await PgEquities(self.pool).add([equity], at=now.replace(second=0, microsecond=0))
        await self.guard.refresh()
        await self.switch.step()
        return self.switch.status()

    async def another(self) -> "Account":
        """Return the next process over the same database."""
        after = Account(self.pool, clock=self.clock)
        await after.switch.load()
        return after


@pytest.fixture
async def account(pool: Pool) -> Account:
    await execute(pool, POSITION)
    account = await Account(pool, clock=FakeClock(at=EVENING)).another()
    await account.at(50_000)
    return account


async def events(pool: Pool) -> Sequence[Any]:
    return await rows(pool, "SELECT event, reason, actor FROM risk_events ORDER BY id")


async def test_midnight_in_korea_ends_one_days_halt_and_begins_another_days_loss(
    account: Account, pool: Pool
) -> None:
    evening = await account.at(45_000, minutes=5)
    just_after = await account.at(45_000, minutes=6)
    same_again = await account.at(42_800, minutes=60)

    # 48,000 KRW since midnight, of 950,000 then.
    later = await account.at(40_200, minutes=60)

    assert evening is TradingStatus.REDUCING
    assert (just_after, same_again) == (TradingStatus.ACTIVE, TradingStatus.ACTIVE)
    assert later is TradingStatus.REDUCING
    assert await events(pool) == [
        ("HALTED", DAILY_LOSS, ACTOR),
        ("RESUMED", DAILY_LOSS, ACTOR),
        ("HALTED", DAILY_LOSS, ACTOR),
    ]
    warned = await rows(pool, "SELECT key FROM alerts WHERE key LIKE 'loss:%' ORDER BY id")
    assert warned == [("loss:KRW:2026-01-23",), ("loss:KRW:2026-01-24",)]


async def test_a_deposit_in_mid_day_hides_no_loss_and_makes_none(
    account: Account, pool: Pool
) -> None:
    await account.at(50_000, minutes=60)
    await account.at(46_000, minutes=60)
    deposit = NewDeposit(
        currency="KRW", amount=D(900_000), at=account.clock.now(), note="", actor=ADMIN
    )
    await PgAccountBooks(pool).add(deposit)
    after = await account.at(46_000, cash=1_400_000, minutes=1)
    withdrawn = await account.at(46_000, cash=1, minutes=1)

    reached = await account.at(45_000, cash=1_400_000, minutes=1)

    assert (after, withdrawn, reached) == (
        TradingStatus.ACTIVE,
        TradingStatus.ACTIVE,
        TradingStatus.REDUCING,
    )


async def test_the_next_process_counts_from_the_same_start_also_after_the_breach(
    account: Account,
) -> None:
    await account.at(50_000, minutes=15)
    await account.at(46_000, minutes=5)
    after = await account.another()
    before_the_breach = await after.at(45_100, minutes=120)

    # The breach came while no process ran.
    late = await (await after.another()).at(44_000, minutes=240)
    again = await after.another()

    assert (before_the_breach, late) == (TradingStatus.ACTIVE, TradingStatus.REDUCING)
    assert again.switch.status() is TradingStatus.REDUCING


async def test_an_operators_resume_holds_for_the_next_process_until_clearly_more_is_lost(
    account: Account,
) -> None:
    await account.at(50_000, minutes=15)
    await account.at(44_000, minutes=5)
    await account.switch.resume(actor=ADMIN, reasons=[DAILY_LOSS])
    resumed = await account.at(44_000)
    after = await account.another()
    still = await after.at(43_100, minutes=5)

    again = await after.at(43_000, minutes=5)

    assert (resumed, still, again) == (
        TradingStatus.ACTIVE,
        TradingStatus.ACTIVE,
        TradingStatus.REDUCING,
    )


async def test_the_day_is_shown_with_the_halt_that_stopped_it(account: Account, pool: Pool) -> None:
    await account.at(50_000, minutes=15)
    await account.at(45_000, minutes=5)

    days = await PgPortfolio(pool).days(quote="KRW", now=account.clock.now(), limit=1)

    assert b"daily_loss_limit" in days.items
