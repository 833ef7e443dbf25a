"""A key that the exchange rejects halts purchases, certainly and not by chance, while it does."""

import pytest

from service.domain.errors import StoreDown
from service.domain.key_answers import KeyAnswer
from service.domain.trading_states import KEY_GUARD, KEY_REJECTED, RIGHT_REJECTED
from service.flows.key_guard import RESUME_AFTER_S, WITHIN_S, KeyGuard
from tests.builders import T0, a_halt
from tests.fakes.clock import FakeClock
from tests.fakes.logs import Logs
from tests.fakes.state import FakeTradingState

ACCOUNTS, ORDERS = "GET /v1/accounts", "POST /v1/orders"
REJECTED = KeyAnswer(endpoint=ACCOUNTS, refusal="expired_access_key")
NO_RIGHT = KeyAnswer(endpoint=ORDERS, refusal="out_of_scope", is_of_key=False)
ACCEPTED = KeyAnswer(endpoint=ACCOUNTS)
EVERY_S = 5


class Post:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.state = FakeTradingState()
        self.leads = True
        self.guard = self.another()

    def another(self) -> KeyGuard:
        return KeyGuard(
            state=self.state, clock=self.clock, real_clock=self.clock, leads=lambda: self.leads
        )

    async def hear(self, *answers: KeyAnswer, after_s: float = EVERY_S) -> None:
        self.clock.pass_time(after_s)
        await self.guard.look(answers)

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(event, reason) for event, reason, _ in self.state.events]


@pytest.fixture
def post() -> Post:
    return Post()


async def test_a_rejected_key_halts_purchases_once_and_says_why(post: Post, logs: Logs) -> None:
    for _ in range(10):
        await post.hear(REJECTED)

    (halt,) = post.state.halts
    assert (halt.kind, halt.reason, halt.ends) == ("REDUCING", KEY_REJECTED, "condition")
    assert halt.detail == {"endpoint": "", "refusal": "expired_access_key"}
    assert [(line["level"], line["code"]) for line in logs.lines] == [
        ("ERROR", "expired_access_key")
    ]


@pytest.mark.parametrize("answer", [REJECTED, NO_RIGHT])
async def test_one_refusal_may_be_chance(post: Post, answer: KeyAnswer) -> None:
    await post.hear(answer)
    await post.hear(answer, after_s=WITHIN_S + 1)
    await post.hear(after_s=60)

    assert post.events == []


async def test_purchases_go_on_half_a_minute_after_the_last_rejection(
    post: Post, logs: Logs
) -> None:
    await post.hear(REJECTED, REJECTED)
    await post.hear(ACCEPTED)
    early = list(post.events)
    await post.hear(ACCEPTED, after_s=RESUME_AFTER_S)

    assert early == [("HALTED", KEY_REJECTED)]
    assert post.events == [("HALTED", KEY_REJECTED), ("RESUMED", KEY_REJECTED)]
    assert logs.levels == ["ERROR", "WARNING"]


async def test_silence_is_no_acceptance(post: Post) -> None:
    await post.hear(ACCEPTED)
    await post.hear(REJECTED, REJECTED)
    for _ in range(100):
        await post.hear()

    assert post.events == [("HALTED", KEY_REJECTED)]


async def test_an_endpoint_that_is_accepted_in_between_does_not_end_the_halt(post: Post) -> None:
    other = KeyAnswer(endpoint="GET /v1/orders/chance")
    for _ in range(20):
        await post.hear(REJECTED, other)

    assert post.events == [("HALTED", KEY_REJECTED)]


async def test_a_refused_right_ends_with_an_accepted_request_of_its_own(post: Post) -> None:
    await post.hear(NO_RIGHT, ACCEPTED)
    await post.hear(ACCEPTED, NO_RIGHT)
    await post.hear(ACCEPTED, after_s=600)
    before = list(post.events)
    await post.hear(KeyAnswer(endpoint=ORDERS))

    assert before == [("HALTED", RIGHT_REJECTED)]
    assert post.events == [("HALTED", RIGHT_REJECTED), ("RESUMED", RIGHT_REJECTED)]


async def test_a_right_that_an_operator_resumed_is_halted_again_by_the_next_refusal_only(
    post: Post,
) -> None:
    await post.hear(NO_RIGHT, NO_RIGHT)
    await post.state.release(actor="admin@127.0.0.1", at=T0, reasons=[RIGHT_REJECTED])
    await post.hear(ACCEPTED)
    at_liberty = len(post.state.halts)
    await post.hear(NO_RIGHT)

    assert at_liberty == 0
    assert [halt.reason for halt in post.state.halts] == [RIGHT_REJECTED]


async def test_both_stand_at_once_and_each_ends_alone(post: Post) -> None:
    await post.hear(NO_RIGHT, NO_RIGHT, REJECTED, REJECTED)
    both = [halt.reason for halt in post.state.halts]
    await post.hear(ACCEPTED, after_s=RESUME_AFTER_S)

    assert sorted(both) == [KEY_REJECTED, RIGHT_REJECTED]
    assert [halt.reason for halt in post.state.halts] == [RIGHT_REJECTED]


async def test_a_halt_that_could_not_be_stored_is_tried_again(post: Post) -> None:
    post.state.fail = StoreDown("away")
    with pytest.raises(StoreDown):
        await post.hear(REJECTED, REJECTED)
    post.state.fail = None
    await post.hear()

    assert post.events == [("HALTED", KEY_REJECTED)]


@pytest.mark.parametrize("reason", [KEY_REJECTED, "by hand"])
async def test_an_operators_halt_is_never_ended(post: Post, reason: str) -> None:
    theirs = a_halt(reason=reason)
    post.state.halts.append(theirs)

    await post.hear(REJECTED, REJECTED)
    await post.hear(ACCEPTED, after_s=RESUME_AFTER_S)

    assert post.state.halts == [theirs]


async def test_a_new_process_ends_the_halt_of_the_last_one(post: Post) -> None:
    await post.hear(REJECTED, REJECTED)
    post.guard = post.another()

    await post.hear(ACCEPTED)

    assert post.state.halts == []


async def test_a_process_that_does_not_trade_neither_halts_nor_resumes(post: Post) -> None:
    post.leads = False
    await post.hear(REJECTED, REJECTED)
    standby = list(post.events)
    post.leads = True
    await post.hear()
    post.leads = False
    await post.hear(ACCEPTED, after_s=RESUME_AFTER_S)
    still = len(post.state.halts)
    post.leads = True
    await post.hear(ACCEPTED)

    assert (standby, still) == ([], 1)
    assert post.events == [("HALTED", KEY_REJECTED), ("RESUMED", KEY_REJECTED)]


async def test_where_all_is_well_the_database_is_asked_once(post: Post) -> None:
    await post.hear(ACCEPTED)
    post.state.fail = StoreDown("asked again")

    for _ in range(10):
        await post.hear(ACCEPTED)

    assert KEY_GUARD not in {halt.actor for halt in post.state.halts}
