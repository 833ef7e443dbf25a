"""The trading state in memory: a halt is in force at once, outlives everything, and ends nowhere
but in the database.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from service.domain.errors import JournalDown, StoreDown, TradingStopped
from service.domain.markets import Market
from service.domain.orders import Side
from service.domain.trading_states import OrderSource, TradingStatus
from service.flows.trading_switch import HaltReceipt, TradingSwitch
from service.ports.store import TRADING_STATE, Halt, TradingState
from service.settings.settings import Settings
from tests.builders import KRW_BTC, a_halt
from tests.fakes.audit import FakeAudit
from tests.fakes.clock import FakeClock
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.logs import Logs
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.state import FakeTradingState

_T: Final = TradingStatus
KRW_ETH: Final = Market("KRW", "ETH")
ADMIN: Final = "admin@127.0.0.1"


class Post:
    """A process over one database and one file; `another()` is the next process over both."""

    def __init__(self) -> None:
        self.clock, self.state, self.audit = FakeClock(), FakeTradingState(), FakeAudit()
        self.journal = FakeHaltJournal()
        self.rows = FakeSettingRows({"trading_enabled": True})
        self._ids = itertools.count(1)
        self.switch = self.another()

    def another(self) -> TradingSwitch:
        self.settings = Settings(self.rows, self.clock)
        return TradingSwitch(
            states=self.state,
            settings=self.settings,
            journal=self.journal,
            audit=self.audit,
            clock=self.clock,
            real_clock=self.clock,
            new_id=lambda: f"h-{next(self._ids)}",
        )

    async def halt(self, **values: Any) -> HaltReceipt:
        asked: dict[str, Any] = {"kind": _T.HALTED, "reason": "by hand", "actor": ADMIN}
        return await self.switch.halt(**asked | values)

    def database_away(self) -> None:
        self.state.fail = StoreDown("PostgreSQL cannot be reached")

    def permits(self, side: Side = Side.BUY, *, market: Market = KRW_BTC, **values: Any) -> bool:
        try:
            self.switch.check(
                source=values.get("source", OrderSource.SIGNAL), side=side, market=market
            )
        except TradingStopped:
            return False
        return True


@pytest.fixture
async def post() -> Post:
    post = Post()
    await post.switch.load()
    return post


async def test_before_the_state_was_read_nothing_is_permitted() -> None:
    post = Post()
    before = post.permits()

    await post.switch.load()

    assert not before
    assert post.permits()


async def test_a_database_that_is_away_at_the_start_permits_nothing_until_it_was_read() -> None:
    post = Post()
    post.database_away()
    await post.switch.load()
    away = post.permits()
    post.state.fail = None

    await post.switch.step()

    assert not away
    assert post.permits()


async def test_a_halt_is_in_force_stored_audited_and_no_entry_is_left(post: Post) -> None:
    receipt = await post.halt(request_id="r-1")

    assert receipt == HaltReceipt(in_database=True, in_journal=True)
    assert post.switch.summary().reason == "by hand", "before it was read back"
    assert not post.permits()
    assert not post.permits(Side.SELL)
    assert post.permits(Side.SELL, source=OrderSource.FLATTEN)
    assert [halt.reason for halt in post.state.halts] == ["by hand"]
    assert [(row["action"], row["actor"], row["request_id"]) for row in post.audit.rows] == [
        ("risk.halt", ADMIN, "r-1")
    ]
    assert post.journal.entries == []


async def test_a_milder_halt_stops_purchases_alone(post: Post) -> None:
    await post.halt(kind=_T.REDUCING)

    assert not post.permits(Side.BUY)
    assert post.permits(Side.SELL)


async def test_a_halt_of_one_market_leaves_the_others_alone(post: Post) -> None:
    post.database_away()
    await post.halt(market=KRW_ETH)

    assert not post.permits(market=KRW_ETH)
    assert post.permits(market=KRW_BTC)
    assert post.switch.status() is _T.ACTIVE


async def test_with_the_database_away_a_halt_is_in_force_and_in_the_file(post: Post) -> None:
    post.database_away()

    receipt = await post.halt()

    assert receipt == HaltReceipt(in_database=False, in_journal=True)
    assert not post.permits()
    assert [halt.reason for halt in post.switch.halts()] == ["by hand"]
    summary = post.switch.summary()
    assert (summary.status, summary.reason) == (_T.HALTED, "by hand")


async def test_a_database_that_hangs_does_not_hold_up_the_answer(post: Post) -> None:
    """The answer comes within STORE_WITHIN_S, here cut to nothing."""
    post.audit.fail = TimeoutError()

    receipt = await post.halt()

    assert receipt == HaltReceipt(in_database=False, in_journal=True)
    assert not post.permits()


async def test_the_database_gets_a_halt_as_soon_as_it_is_back_and_once(post: Post) -> None:
    post.database_away()
    await post.halt(request_id="r-1")
    with pytest.raises(StoreDown):
        await post.switch.step()
    post.state.fail = None

    await post.switch.step()
    await post.switch.step()

    assert [event for event, _, _ in post.state.events] == ["HALTED"]
    assert len(post.audit.rows) == 1
    assert post.journal.entries == []
    assert not post.permits()
    assert post.switch.unstored() == ()


async def test_an_audit_row_whose_answer_was_lost_is_not_written_again(post: Post) -> None:
    post.audit.lose = StoreDown("the answer was lost")
    receipt = await post.halt(request_id="r-1")
    post.clock.pass_time(2)

    await post.switch.step()

    assert not receipt.in_database
    assert len(post.audit.rows) == 1
    assert [halt.reason for halt in post.state.halts] == ["by hand"]


async def test_a_halt_that_the_file_still_has_is_not_audited_again_by_the_next_process(
    post: Post,
) -> None:
    """The first one ended between the database's commit and the note in the file."""
    post.database_away()
    await post.halt(request_id="r-1")
    left = list(post.journal.entries)
    post.state.fail = None
    await post.switch.step()
    post.journal.entries = left

    post.switch = post.another()
    post.clock.pass_time(60)
    await post.switch.load()

    assert len(post.audit.rows) == 1
    assert post.journal.entries == []


async def test_the_next_process_reads_the_file_before_anything_else(post: Post) -> None:
    post.database_away()
    await post.halt()

    post.switch = post.another()
    await post.switch.load()
    away = post.permits()
    post.state.fail = None
    await post.switch.step()

    assert not away
    assert not post.permits()
    assert [halt.actor for halt in post.state.halts] == [ADMIN]


async def test_the_same_halt_again_is_one_line_of_the_file(post: Post) -> None:
    post.database_away()

    await post.halt()
    await post.halt()

    assert len(post.journal.entries) == 1


async def test_a_halt_that_no_disk_takes_is_in_force_and_says_so(post: Post, logs: Logs) -> None:
    post.database_away()
    post.journal.fail = JournalDown("the halt journal cannot be read or written")

    receipt = await post.halt()

    assert receipt == HaltReceipt(in_database=False, in_journal=False)
    assert not post.permits()
    assert "ERROR" in logs.levels


async def test_a_damaged_file_halts_trading_until_an_operator_resumes(post: Post) -> None:
    post.journal.fault = "ValueError"

    post.switch = post.another()
    await post.switch.load()
    permitted = post.permits()
    (halt,) = post.state.halts
    await post.switch.resume(actor=ADMIN)

    assert not permitted
    assert (halt.kind, halt.reason, halt.ends) == (
        _T.HALTED,
        "halt_journal_unreadable",
        "operator",
    )
    assert (await post.journal.read()).fault is None, "set aside once the database has the halt"
    assert post.permits()


async def test_a_damaged_file_halts_trading_with_the_database_away_too(post: Post) -> None:
    post.database_away()
    post.journal.fault = "ValueError"
    post.switch = post.another()

    await post.switch.load()

    assert not post.permits()
    assert post.journal.fault is not None, "kept until the database has the halt"


async def test_an_operator_ends_halts_and_trading_goes_on_at_once(post: Post) -> None:
    await post.halt()
    await post.halt(kind=_T.REDUCING, reason="careful")

    ended = await post.switch.resume(actor=ADMIN, request_id="r-2")

    assert [halt.reason for halt in ended] == ["by hand", "careful"]
    assert post.permits()
    assert post.audit.rows[-1]["action"] == "risk.resume"


async def test_a_condition_stands_after_a_resume_unless_it_is_named(post: Post) -> None:
    skew = a_halt(kind=_T.REDUCING, reason="clock_skew", actor="system:clock", ends="condition")
    post.state.halts.append(skew)
    await post.switch.step()

    unnamed = await post.switch.resume(actor=ADMIN)
    still = post.switch.halts()
    named = await post.switch.resume(actor=ADMIN, reasons=["clock_skew"])

    assert unnamed == []
    assert list(still) == list(named) == [skew]
    assert post.permits()


async def test_nothing_ends_while_the_database_is_away(post: Post) -> None:
    await post.halt()
    post.database_away()

    with pytest.raises(StoreDown, match="trading stays as it is"):
        await post.switch.resume(actor=ADMIN)

    assert not post.permits()


async def test_a_halt_not_yet_stored_is_not_lost_by_a_resume(post: Post) -> None:
    """It is stored first, so that its beginning and its end are both on record."""
    post.database_away()
    await post.halt()
    post.state.fail = None

    await post.switch.resume(actor=ADMIN)

    assert [event for event, _, _ in post.state.events] == ["HALTED", "RESUMED"]
    assert post.permits()


async def test_a_halt_of_another_process_is_in_force_once_heard_of(post: Post) -> None:
    post.state.halts.append(a_halt())
    unheard = post.permits()

    await post.settings.invalidate(TRADING_STATE)

    assert unheard
    assert not post.permits()


async def test_news_that_cannot_be_read_permit_nothing_until_they_are(post: Post) -> None:
    post.database_away()
    await post.settings.invalidate(TRADING_STATE)
    unread = post.permits()
    post.state.fail = None

    await post.switch.step()

    assert not unread
    assert post.permits()


SIDES: Final = tuple(itertools.product(OrderSource, Side))
_RULE_SELLS: Final = {(OrderSource.RULE, Side.SELL)}
_REDUCES: Final = {(OrderSource.FLATTEN, Side.SELL)} | _RULE_SELLS


@pytest.mark.parametrize(
    ("name", "status", "permitted"),
    [
        (TRADING_STATE, _T.HALTED, _REDUCES),
        ("trading_enabled", _T.DISABLED, _REDUCES | {(OrderSource.HAND, Side.SELL)}),
    ],
)
async def test_a_doubt_permits_what_the_worst_it_can_mean_does_and_the_sale_of_a_rule(
    post: Post, name: str, status: TradingStatus, permitted: set[tuple[OrderSource, Side]]
) -> None:
    """A stop that waits for a database that is away would leave the position to its loss."""
    post.database_away()

    await post.settings.invalidate(name)

    assert {(s, side) for s, side in SIDES if post.permits(side, source=s)} == permitted
    summary = post.switch.summary()
    assert (summary.status, summary.reason) == (status, "state_unknown")


@pytest.mark.parametrize("name", [TRADING_STATE, "trading_enabled"])
async def test_a_full_halt_that_is_known_stops_a_rule_through_every_doubt(
    post: Post, name: str
) -> None:
    await post.halt(market=KRW_BTC)
    post.database_away()

    await post.settings.invalidate(name)

    assert not post.permits(Side.SELL, source=OrderSource.RULE)
    assert not post.switch.permits_exit(KRW_BTC)
    assert post.permits(Side.SELL, source=OrderSource.RULE, market=KRW_ETH)
    assert post.switch.permits_exit(KRW_ETH)


async def test_a_state_that_was_never_read_permits_no_rule_to_sell() -> None:
    post = Post()

    assert not post.permits(Side.SELL, source=OrderSource.RULE)
    assert not post.switch.permits_exit(KRW_BTC)


async def test_both_doubts_end_with_one_reading(post: Post) -> None:
    post.database_away()
    for name in (TRADING_STATE, "trading_enabled"):
        await post.settings.invalidate(name)
    post.state.fail = None

    await post.switch.refresh()

    assert post.permits()
    assert post.switch.status() is _T.ACTIVE


async def test_the_switch_set_here_is_in_force_before_the_change_returns(post: Post) -> None:
    await post.settings.change({"trading_enabled": False}, by=ADMIN)

    assert not post.permits(Side.SELL)
    assert post.permits(Side.SELL, source=OrderSource.RULE)
    summary = post.switch.summary()
    assert (summary.status, summary.reason) == (_T.DISABLED, "trading_enabled is false")


@pytest.mark.parametrize("tell", [Settings.invalidate_all, None])
async def test_the_switch_set_elsewhere_is_read_past_the_cache(
    post: Post, tell: Callable[[Settings], Any] | None
) -> None:
    """By the reconnected LISTEN, or by the next look without it."""
    post.rows.stored["trading_enabled"] = False

    await (tell(post.settings) if tell else post.switch.step())

    assert not post.permits()


async def test_a_reading_that_began_before_the_halt_does_not_hide_it(post: Post) -> None:
    await post.switch.step()
    post.database_away()
    await post.halt()
    post.state.fail = None

    await post.switch.refresh()

    assert not post.permits(), "the database did not have it when it was read"


class ReadSlowly(FakeTradingState):
    """Its reading sees what stood as it began, and ends when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_slow, self.reads, self.go_on = False, asyncio.Event(), asyncio.Event()

    async def trading_state(self) -> TradingState:
        began = await super().trading_state()
        if self.is_slow:
            self.reads.set()
            await self.go_on.wait()
        return began

    async def standing(self) -> Sequence[Halt]:
        return () if self.is_slow else await super().standing()


async def test_a_halt_stored_while_a_reading_is_under_way_is_not_taken_for_read(
    post: Post,
) -> None:
    post.state = ReadSlowly()
    post.switch = post.another()
    await post.switch.load()
    post.state.is_slow = True
    reading = asyncio.create_task(post.switch.refresh())
    await post.state.reads.wait()

    receipt = await post.halt()
    post.state.go_on.set()
    await reading

    assert receipt.in_database
    assert not post.permits(), "the reading began before the halt was stored"


async def test_a_database_that_never_answers_does_not_hold_up_the_answer(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(**_: object) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr("service.flows.trading_switch.STORE_WITHIN_S", 0)
    monkeypatch.setattr(post.state, "halt", hang)

    async with asyncio.timeout(10):
        receipt = await post.halt()

    assert receipt == HaltReceipt(in_database=False, in_journal=True)
    assert not post.permits()


# --- halts of a rule -----------------------------------------------------------------------------

RULE: Final[dict[str, Any]] = {"reason": "volatility", "actor": "system:volatility"}


async def test_a_rule_halts_without_waiting_for_anything(post: Post) -> None:
    post.database_away()

    assert post.switch.impose(**RULE, market=KRW_ETH)

    assert not post.permits(market=KRW_ETH)
    assert post.permits(Side.SELL, market=KRW_ETH)
    assert post.permits(market=KRW_BTC)
    assert not post.switch.impose(**RULE, market=KRW_ETH), "it stands already"


async def test_the_next_step_stores_the_halt_of_a_rule_without_an_audit_row(post: Post) -> None:
    post.switch.impose(**RULE, detail={"moved_pct": "3.1"})

    await post.switch.step()

    (halt,) = post.state.halts
    assert (halt.ends, halt.kind, halt.detail) == ("condition", _T.REDUCING, {"moved_pct": "3.1"})
    assert post.audit.rows == []
    assert post.journal.entries == []
    assert post.switch.stands(**RULE)


async def test_a_halt_of_a_rule_outlives_the_process_while_the_database_is_away(
    post: Post,
) -> None:
    post.switch.impose(**RULE)
    post.database_away()
    with pytest.raises(StoreDown):
        await post.switch.step()
    post.state.fail = None

    post.switch = post.another()
    await post.switch.load()

    assert not post.permits()
    assert [halt.ends for halt in post.state.halts] == ["condition"]


async def test_a_rule_lifts_its_own_halt_alone(post: Post) -> None:
    post.switch.impose(**RULE)
    await post.halt(kind=_T.REDUCING)

    lifted = await post.switch.lift(**RULE)

    assert lifted
    assert [halt.reason for halt in post.switch.halts()] == ["by hand"]
    assert not await post.switch.lift(**RULE)


async def test_a_halt_that_was_lifted_is_not_written_again(post: Post) -> None:
    post.switch.impose(**RULE)

    await post.switch.lift(**RULE)
    await post.switch.step()

    assert post.state.halts == []
    assert post.permits()


async def test_a_halt_that_was_stored_and_ended_elsewhere_is_stored_anew_when_asked_again(
    post: Post,
) -> None:
    """The first one was not read back yet: its receipt would be of a halt that is gone."""
    await post.halt()
    await post.state.release(actor="another", at=post.clock.now(), reasons=None)

    receipt = await post.halt()
    await post.switch.step()

    assert receipt.in_database
    assert post.switch.status() is TradingStatus.HALTED
    assert [halt.reason for halt in post.state.halts] == ["by hand"]
