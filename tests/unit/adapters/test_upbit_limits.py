"""Each group keeps its limit, and a block is answered with silence."""

import asyncio

import pytest

from service.adapters.upbit.limits import (
    FIRST_BAN_S,
    LONGEST_HOLD_S,
    MOST_NAMES,
    PER_SECOND,
    Group,
    Limiter,
    Share,
    ban_s,
)
from service.domain.errors import ExchangeUnavailable
from tests.fakes.clock import FakeClock


@pytest.mark.parametrize("group", Group)
async def test_a_group_waits_once_its_second_is_full(group: Group) -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    for _ in range(PER_SECOND[group]):
        await limiter.acquire(group)
    assert clock.waits == []

    await limiter.acquire(group)

    assert clock.waits == [1.0]


async def test_unpaced_only_what_the_answers_say_is_heeded() -> None:
    clock = FakeClock()
    limiter = Limiter(clock, paced=False)
    for _ in range(100):
        await limiter.acquire(Group.TICKER)
    assert clock.waits == []

    limiter.heard("group=ticker; min=1; sec=0", group=Group.TICKER)
    await limiter.acquire(Group.TICKER)

    assert clock.waits == [1.0]


async def test_no_second_holds_more_calls_than_the_limit_wherever_it_begins() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    sent = []
    for _ in range(60):
        await limiter.acquire(Group.ORDER)
        sent.append(clock.monotonic())
        clock.pass_time(0.03)

    busiest = max(sum(start <= at < start + 0.999 for at in sent) for start in sent)
    assert busiest <= PER_SECOND[Group.ORDER]


async def test_a_full_group_does_not_hold_up_another() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    for _ in range(PER_SECOND[Group.ORDER]):
        await limiter.acquire(Group.ORDER)

    await limiter.acquire(Group.DEFAULT)

    assert clock.waits == []


async def test_when_nothing_is_left_of_the_second_the_group_waits_for_the_next() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    await limiter.acquire(Group.TICKER)
    limiter.heard("group=ticker; min=599; sec=0", group=Group.TICKER)
    clock.pass_time(0.25)

    await limiter.acquire(Group.ORDER)
    await limiter.acquire(Group.TICKER)

    assert clock.waits == [0.75]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "group=ticker; min=0; sec=9",
        "group=ticker",
        "group=; min=; sec=",
        "group=ticker; sec=zero",
        "group=ticker; sec=-1",
        "\x00\ufffd",
    ],
)
async def test_a_header_that_says_nothing_about_this_second_is_ignored(header: str | None) -> None:
    clock = FakeClock()
    limiter = Limiter(clock)

    limiter.heard(header, group=Group.TICKER)

    await limiter.acquire(Group.TICKER)
    assert clock.waits == []


@pytest.mark.parametrize(
    "header", ["group=ticker;sec=0", "sec=0; min=1; group=ticker", "group=ticker; min=1; sec=00"]
)
async def test_the_headers_spelling_does_not_matter(header: str) -> None:
    clock = FakeClock()
    limiter = Limiter(clock)

    limiter.heard(header, group=Group.TICKER)

    await limiter.acquire(Group.TICKER)
    assert clock.waits == [1.0]


async def test_an_answer_stops_the_endpoint_it_came_from_under_whatever_name() -> None:
    """The documents say `candle`, the wire says `candles` (captured in March 2026)."""
    clock = FakeClock()
    limiter = Limiter(clock)

    limiter.heard("group=candles; min=600; sec=0", group=Group.CANDLE)

    await limiter.acquire(Group.TICKER)
    assert clock.waits == []
    await limiter.acquire(Group.CANDLE)
    assert clock.waits == [1.0]


@pytest.mark.proves("FR-010")
async def test_a_wait_that_a_429_asks_for_holds_for_every_caller_of_its_group() -> None:
    """FR-010: nothing is sent to the group, and the error says how long that lasts."""
    clock = FakeClock()
    limiter = Limiter(clock)
    limiter.close(Group.CANDLE, asked_s=40)
    clock.pass_time(15)

    with pytest.raises(ExchangeUnavailable) as caught:
        await limiter.acquire(Group.CANDLE)
    await limiter.acquire(Group.TICKER)

    assert (caught.value.code, caught.value.retry_after_s) == ("too_many_requests", 25)
    assert not caught.value.sent
    clock.pass_time(25)
    await limiter.acquire(Group.CANDLE)
    assert clock.waits == []


@pytest.mark.proves("FR-010")
async def test_a_check_meets_a_hold_of_its_group_and_a_ban_and_counts_as_no_call() -> None:
    """FR-010: what would be refused can be known before an order's row is written."""
    limiter = Limiter(FakeClock())
    for _ in range(2 * PER_SECOND[Group.ORDER]):
        limiter.check(Group.ORDER)
    limiter.close(Group.ORDER, asked_s=40)

    with pytest.raises(ExchangeUnavailable, match="asked us to wait"):
        limiter.check(Group.ORDER)
    limiter.check(Group.DEFAULT)
    limiter.ban(60)
    with pytest.raises(ExchangeUnavailable, match="blocked us"):
        limiter.check(Group.DEFAULT)


@pytest.mark.proves("FR-010")
@pytest.mark.parametrize("later_s", [2, 40, 90])
async def test_of_two_waits_for_one_group_the_longest_wins(later_s: float) -> None:
    """FR-010."""
    limiter = Limiter(FakeClock())
    limiter.close(Group.ORDER, asked_s=40)
    limiter.close(Group.ORDER, asked_s=later_s)

    with pytest.raises(ExchangeUnavailable) as caught:
        await limiter.acquire(Group.ORDER)

    assert caught.value.retry_after_s == max(40, later_s)


@pytest.mark.proves("FR-010")
async def test_a_group_is_never_held_for_longer_than_five_minutes() -> None:
    """FR-010: an absurd wait must not stop the look-up of orders for a day."""
    limiter = Limiter(FakeClock())
    limiter.close(Group.DEFAULT, asked_s=86_400)

    with pytest.raises(ExchangeUnavailable) as caught:
        await limiter.acquire(Group.DEFAULT)

    assert caught.value.retry_after_s == LONGEST_HOLD_S == 300


@pytest.mark.proves("FR-010")
async def test_a_caller_that_waits_for_its_second_meets_a_hold_that_began_meanwhile() -> None:
    """FR-010: the hold is looked at again after the pause."""

    class Meanwhile(FakeClock):
        async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
            await super().sleep_real(seconds, wake=wake)
            limiter.close(Group.TICKER, asked_s=30)

    limiter = Limiter(Meanwhile())
    limiter.close(Group.TICKER)

    with pytest.raises(ExchangeUnavailable):
        await limiter.acquire(Group.TICKER)


@pytest.mark.proves("FR-010")
async def test_a_shorter_ban_does_not_end_a_longer_one() -> None:
    """FR-010: two requests under way together may be told different ends."""
    limiter = Limiter(FakeClock())
    limiter.ban(300)
    limiter.ban(10)

    with pytest.raises(ExchangeUnavailable) as caught:
        await limiter.acquire(Group.TICKER)

    assert caught.value.retry_after_s == 300


async def test_during_a_ban_every_group_is_silent() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    limiter.ban(120)
    clock.pass_time(20)

    for group in Group:
        with pytest.raises(ExchangeUnavailable) as caught:
            await limiter.acquire(group)
        assert caught.value.code == "banned"
        assert caught.value.retry_after_s == 100

    clock.pass_time(100)
    await limiter.acquire(Group.ORDER)
    assert clock.waits == []


async def test_a_ban_of_unknown_length_doubles_until_upbit_answers_again() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)

    lengths = [limiter.ban(None) for _ in range(3)]
    clock.pass_time(lengths[-1])
    limiter.reset_ban()

    assert lengths == [FIRST_BAN_S, 2 * FIRST_BAN_S, 4 * FIRST_BAN_S]
    assert limiter.ban(None) == FIRST_BAN_S


async def test_an_answer_from_before_the_ban_does_not_shorten_the_next() -> None:
    limiter = Limiter(FakeClock())
    limiter.ban(None)

    limiter.reset_ban()

    assert limiter.ban(None) == 2 * FIRST_BAN_S


async def test_no_ban_is_longer_than_a_day() -> None:
    limiter = Limiter(FakeClock())

    assert limiter.ban(1e9) == 86_400
    assert max(limiter.ban(None) for _ in range(20)) == 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"error":{"name":418,"message":"blocked for 90 seconds"}}', 90.0),
        ('{"error":{"name":418,"message":"120초 동안 차단되었습니다."}}', 120.0),
        ('{"error":{"name":418,"message":"5분 동안 차단되었습니다."}}', 300.0),
        ("try again in 3 minutes", 180.0),
        ("30s", 30.0),
        ('{"error":{"name":418,"message":"I\'m a teapot"}}', None),
        ("", None),
    ],
)
def test_the_length_of_a_block_is_found_in_its_text(text: str, seconds: float | None) -> None:
    assert ban_s(text.encode()) == seconds


# --- who gets how much ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "share", "most"),
    [
        (Group.DEFAULT, Share.WATCHING, 15),
        (Group.DEFAULT, Share.TRADING, 27),
        (Group.DEFAULT, Share.WHOLE, 30),
        (Group.ORDER, Share.TRADING, 10),
        (Group.ORDER, Share.WHOLE, 12),
        (Group.TICKER, Share.WATCHING, 5),
    ],
)
async def test_each_share_has_its_part_of_a_second(group: Group, share: Share, most: int) -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    for _ in range(most):
        await limiter.acquire(group, share=share)
    assert clock.waits == []

    await limiter.acquire(group, share=share)

    assert clock.waits == [1.0]


async def test_what_only_looks_leaves_the_rest_of_the_second_to_orders() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    for _ in range(15):
        await limiter.acquire(Group.DEFAULT, share=Share.WATCHING)
    for _ in range(12):
        await limiter.acquire(Group.DEFAULT, share=Share.TRADING)
    for _ in range(3):
        await limiter.acquire(Group.DEFAULT, share=Share.WHOLE)

    assert clock.waits == []


async def test_a_cancel_goes_before_what_waited_longer() -> None:
    """The second is full; the first place in the next one is not for those who only look."""
    clock = FakeClock()
    limiter = Limiter(clock)
    for _ in range(30):
        await limiter.acquire(Group.DEFAULT, share=Share.WHOLE)
        clock.pass_time(0.01)
    began, done = clock.monotonic(), {}

    async def call(name: str, share: Share) -> None:
        await limiter.acquire(Group.DEFAULT, share=share)
        done[name] = round(clock.monotonic() - began, 2)

    await call("cancel", Share.WHOLE)
    await call("look", Share.WATCHING)

    assert done == {"cancel": 0.7, "look": 0.86}


# --- groups by the name in the answer -------------------------------------------------------

MINUTES, DAYS = "GET /v1/candles/minutes/1", "GET /v1/candles/days"


async def acquired_after(limiter: Limiter, clock: FakeClock, endpoint: str, group: Group) -> float:
    began = clock.monotonic()
    await limiter.acquire(group, endpoint=endpoint)
    return clock.monotonic() - began


@pytest.mark.parametrize("name", ["crix-trades", "candles", "a-group-of-next-year"])
async def test_endpoints_that_answers_put_into_one_group_rest_together(name: str) -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    limiter.heard(f"group={name}; min=600; sec=9", group=Group.CANDLE, endpoint=MINUTES)
    limiter.heard(f"group={name}; min=600; sec=9", group=Group.TICKER, endpoint="GET /v1/trades")
    limiter.heard(f"group={name}; min=600; sec=0", group=Group.CANDLE, endpoint=MINUTES)

    waited = [
        await acquired_after(limiter, clock, "GET /v1/trades", Group.TICKER),
        await acquired_after(limiter, clock, "GET /v1/ticker", Group.TICKER),
    ]

    assert waited == [1.0, 0.0]


async def test_an_unknown_name_stops_the_endpoint_it_came_with() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)

    limiter.heard("group=never-heard-of; min=1; sec=0", group=Group.CANDLE, endpoint=MINUTES)

    assert await acquired_after(limiter, clock, MINUTES, Group.CANDLE) == 1.0


async def test_a_wire_name_of_a_documented_group_is_that_group() -> None:
    """Live answers say `candles`; an endpoint that has not answered yet is in the same group."""
    clock = FakeClock()
    limiter = Limiter(clock)

    limiter.heard("group=candles; min=600; sec=0", group=Group.CANDLE, endpoint=MINUTES)

    assert await acquired_after(limiter, clock, DAYS, Group.CANDLE) == 1.0


async def test_a_learnt_group_keeps_the_limit_of_its_endpoint() -> None:
    clock = FakeClock()
    limiter = Limiter(clock)
    limiter.heard("group=new; min=1; sec=9", group=Group.CANDLE, endpoint=MINUTES)
    for _ in range(9):
        await limiter.acquire(Group.CANDLE, endpoint=MINUTES)

    assert await acquired_after(limiter, clock, MINUTES, Group.CANDLE) == 1.0


async def test_answers_that_name_ever_new_groups_fill_no_memory() -> None:
    limiter = Limiter(FakeClock())

    for n in range(10 * MOST_NAMES):
        limiter.heard(f"group=g{n}; min=1; sec=9", group=Group.CANDLE, endpoint=MINUTES)

    assert len(limiter._sent) == MOST_NAMES
