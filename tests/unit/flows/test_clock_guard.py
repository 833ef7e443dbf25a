"""A clock that is far off halts trading, certainly and not by chance, and only as long as it is."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat

import pytest

from service.domain.orders import OrderStatus
from service.domain.risk.verdicts import Refused
from service.domain.trading_states import TradingStatus
from service.flows.clock_guard import ACTOR, REASON, ClockGuard
from tests.builders import KRW_BTC, T0, a_halt, an_intent
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.fakes.state import FakeTradingState
from tests.unit.flows.conftest import House

FAR = (41.0,)
EVERY_S = 5


class Post:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.state = FakeTradingState()
        self.leads = True
        self.keeper = self.another()

    def another(self) -> ClockGuard:
        return ClockGuard(
            state=self.state, clock=self.clock, real_clock=self.clock, leads=lambda: self.leads
        )

    async def hear(self, *looks: tuple[float, ...]) -> None:
        for skews_s in looks:
            self.clock.pass_time(EVERY_S)
            await self.keeper.look(skews_s)

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.state.events]


@pytest.fixture
def post() -> Post:
    return Post()


def during(seconds: float, answers: tuple[float, ...]) -> Iterator[tuple[float, ...]]:
    return repeat(answers, int(seconds // EVERY_S))


async def test_a_clock_far_off_halts_purchases_once(post: Post, logs: Logs) -> None:
    await post.hear(*during(120, FAR))

    assert post.state.events == [("HALTED", REASON, ACTOR)]
    assert (post.state.now.state, post.state.now.reason) == ("REDUCING", "clock_skew")
    assert [(line["level"], line["event"], line["skew_s"]) for line in logs.lines] == [
        ("ERROR", "risk", 41.0)
    ]


@pytest.mark.parametrize(
    "looks",
    [
        [FAR],  # one answer
        [FAR * 40],  # many, in one moment
        [FAR, (), (), (), ()],  # one answer, looked at for long
        [FAR * 40, (), (), (), ()],  # many, in one moment, and then silence
        [FAR * 2, FAR * 2, (*FAR, 0.1), FAR * 2, FAR * 2],  # a sane one among them
        [(29.9,)] * 40,
        [(-30.0,)] * 40,
        [()] * 40,
    ],
)
async def test_what_may_be_chance_or_is_not_far_enough_off_halts_nothing(
    post: Post, looks: list[tuple[float, ...]]
) -> None:
    await post.hear(*looks)

    assert post.state.events == []


@pytest.mark.parametrize("skew_s", [30.1, -30.1, -7200.0])
async def test_ahead_and_behind_are_alike(post: Post, skew_s: float) -> None:
    await post.hear(*during(60, (skew_s,)))

    assert post.events == ["HALTED"]


async def test_trading_goes_on_by_itself_once_the_clock_has_been_right_for_a_minute(
    post: Post, logs: Logs
) -> None:
    await post.hear(*during(30, FAR))
    await post.hear(*during(60, (0.2,)))
    early = list(post.events)
    await post.hear((0.2,))

    assert early == ["HALTED"]
    assert post.events == ["HALTED", "RESUMED"]
    assert post.state.now.state == "ACTIVE"
    assert logs.levels == ["ERROR", "WARNING"]


@pytest.mark.parametrize("skew_s", [2.1, -20.0])
async def test_a_clock_that_is_only_less_off_keeps_the_halt(post: Post, skew_s: float) -> None:
    await post.hear(*during(30, FAR), *during(600, (skew_s,)))

    assert post.events == ["HALTED"]


async def test_an_exchange_that_says_nothing_keeps_the_halt(post: Post) -> None:
    await post.hear(*during(30, FAR), *during(600, ()))

    assert post.events == ["HALTED"]


async def test_one_good_moment_and_silence_after_it_keep_the_halt(post: Post) -> None:
    await post.hear(*during(30, FAR), (0.0,) * 40, *during(600, ()))

    assert post.events == ["HALTED"]


async def test_one_odd_answer_begins_the_minute_anew(post: Post) -> None:
    await post.hear(*during(30, FAR), *during(50, (0.0,)), (0.0, 3.0), *during(50, (0.0,)))

    assert post.events == ["HALTED"]


@pytest.mark.parametrize(
    ("reason", "actor"),
    [
        ("by hand", "admin@127.0.0.1"),
        ("clock_skew", "admin@127.0.0.1"),
        ("volatility", "system:volatility"),
    ],
)
async def test_a_halt_of_anybody_else_stands_beside_and_is_never_lifted(
    post: Post, reason: str, actor: str
) -> None:
    theirs = a_halt(reason=reason, actor=actor)
    post.state.halts.append(theirs)

    await post.hear(*during(60, FAR))
    both = len(post.state.halts)
    await post.hear(*during(600, (0.0,)))

    assert both == 2
    assert post.state.events == [("HALTED", REASON, ACTOR), ("RESUMED", REASON, ACTOR)]
    assert post.state.halts == [theirs]


async def test_a_new_process_lifts_the_halt_of_the_last_one(post: Post) -> None:
    await post.hear(*during(30, FAR))
    post.keeper = post.another()

    await post.hear(*during(90, (0.0,)))

    assert post.events == ["HALTED", "RESUMED"]


async def test_a_halt_that_was_lifted_by_hand_comes_back_while_the_clock_is_off(
    post: Post,
) -> None:
    await post.hear(*during(30, FAR))
    await post.state.release(actor="admin@127.0.0.1", at=T0, reasons=[REASON])

    await post.hear(FAR)

    assert post.events == ["HALTED", "RESUMED", "HALTED"]


async def test_a_process_that_does_not_trade_neither_halts_nor_lifts(post: Post) -> None:
    post.leads = False
    await post.hear(*during(60, FAR))
    standby = list(post.events)
    post.leads = True
    await post.hear(())
    post.leads = False
    await post.hear(*during(600, (0.0,)))

    assert standby == []
    assert post.events == ["HALTED"], "what it saw before counts as soon as it trades"


async def test_halted_purchases_mean_no_new_one_and_open_ones_are_followed(house: House) -> None:
    order = await house.executor.execute(an_intent(), decision_id=None)
    house.orders.rows[order.id] = replace(order, status=OrderStatus.SUBMITTED)
    house.state.halts.append(a_halt(kind=TradingStatus.REDUCING, reason=REASON, actor=ACTOR))
    signal = await house.pipeline.trade(KRW_BTC)
    assert signal is not None

    decision = await house.decider.decide(signal)
    moved = await house.reconciler.reconcile()

    assert isinstance(decision.verdict, Refused)
    assert "clock_skew" in decision.verdict.detail
    assert moved == 1
    assert house.orders.rows[order.id].status is OrderStatus.EXECUTED
    assert len(house.exchange.sent) == 1
