"""Wrong tokens: what locks a peer, for how long, and what never does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.protocol.errors import TooManyTries
from service.web.protocol.lockout import (
    FORGOTTEN_AFTER_S,
    LONGEST_LOCK_S,
    PEERS,
    TRIES,
    TRIES_IN_ALL,
    Lockout,
)
from service.web.protocol.peers import LOCAL_PROXY, THIS_MACHINE, Peer, peer_of
from tests.fakes.clock import FakeClock

ONE, OTHER = peer_of("192.0.2.1"), peer_of("192.0.2.2")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lockout(clock: FakeClock) -> Lockout:
    return Lockout(clock.monotonic)


def numbered(number: int) -> Peer:
    return Peer(f"peer {number}", is_local=False)


def wrong(lockout: Lockout, peer: Peer, times: int = TRIES) -> None:
    for _ in range(times):
        lockout.check(peer)
        lockout.wrong_token(peer)


def left_s(lockout: Lockout, peer: Peer) -> float:
    """Return the seconds until the end of the peer's lock, 0 without one."""
    try:
        lockout.check(peer)
    except TooManyTries as exc:
        return exc.retry_after_s
    return 0.0


def test_the_fifth_wrong_token_locks_for_a_minute_and_not_one_second_longer(
    lockout: Lockout, clock: FakeClock
) -> None:
    wrong(lockout, ONE, TRIES - 1)
    before = left_s(lockout, ONE)
    wrong(lockout, ONE, 1)
    locked = left_s(lockout, ONE)
    clock.pass_time(59)
    late = left_s(lockout, ONE)
    clock.pass_time(1)

    assert (before, locked, late, left_s(lockout, ONE)) == (0.0, 60.0, 1.0, 0.0)
    assert left_s(lockout, OTHER) == 0.0


def test_each_lock_is_twice_as_long_up_to_a_quarter_of_an_hour(
    lockout: Lockout, clock: FakeClock
) -> None:
    locks = []
    for _ in range(20):
        wrong(lockout, ONE)
        locks.append(left_s(lockout, ONE))
        clock.pass_time(locks[-1])

    assert locks == [60, 120, 240, 480, *[LONGEST_LOCK_S] * 16]


def test_after_an_hour_without_a_wrong_token_a_peer_starts_anew(
    lockout: Lockout, clock: FakeClock
) -> None:
    wrong(lockout, ONE)
    clock.pass_time(60 + FORGOTTEN_AFTER_S + 1)
    wrong(lockout, ONE, TRIES - 1)
    before = left_s(lockout, ONE)
    wrong(lockout, ONE, 1)

    assert (before, left_s(lockout, ONE)) == (0.0, 60.0)


def test_within_the_hour_nothing_is_forgotten(lockout: Lockout, clock: FakeClock) -> None:
    wrong(lockout, ONE, TRIES - 1)
    clock.pass_time(FORGOTTEN_AFTER_S)
    wrong(lockout, ONE, 1)

    assert left_s(lockout, ONE) == 60.0


def test_this_machine_is_held_back_longer_and_longer_and_never_locked(lockout: Lockout) -> None:
    holds = [lockout.wrong_token(THIS_MACHINE) for _ in range(100)]

    assert holds[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0])
    assert set(holds[4:]) == {1.0}
    assert left_s(lockout, THIS_MACHINE) == 0.0


def test_a_proxy_of_this_machine_can_be_locked(lockout: Lockout) -> None:
    wrong(lockout, LOCAL_PROXY)

    assert left_s(lockout, LOCAL_PROXY) == 60.0
    assert left_s(lockout, THIS_MACHINE) == 0.0


def test_an_attack_from_many_addresses_leaves_each_one_try(
    lockout: Lockout, clock: FakeClock
) -> None:
    wrong(lockout, ONE, 1)
    for number in range(TRIES_IN_ALL - 1):
        wrong(lockout, numbered(number), 1)

    mistyped = left_s(lockout, ONE)
    wrong(lockout, OTHER, 1)
    wrong(lockout, THIS_MACHINE, 2 * TRIES)
    during = left_s(lockout, OTHER), left_s(lockout, ONE), left_s(lockout, THIS_MACHINE)
    clock.pass_time(60)
    wrong(lockout, numbered(1_000), TRIES - 1)

    assert mistyped == 0.0  # a right token of a peer that is not locked is never refused
    assert during == (60.0, 0.0, 0.0)
    assert left_s(lockout, numbered(1_000)) == 0.0  # it is over


def test_an_attack_that_goes_on_leaves_one_try_for_up_to_a_quarter_of_an_hour(
    lockout: Lockout, clock: FakeClock
) -> None:
    for number in range(10 * TRIES_IN_ALL):
        wrong(lockout, numbered(number), 1)
    clock.pass_time(LONGEST_LOCK_S - 1)
    wrong(lockout, ONE, 1)
    during = left_s(lockout, ONE)
    clock.pass_time(LONGEST_LOCK_S)
    wrong(lockout, OTHER, 1)

    assert during > 0
    assert left_s(lockout, OTHER) == 0.0


def test_an_attack_of_an_hour_ago_is_forgotten(lockout: Lockout, clock: FakeClock) -> None:
    for number in range(TRIES_IN_ALL - 1):
        wrong(lockout, numbered(number), 1)
    clock.pass_time(FORGOTTEN_AFTER_S + 1)
    wrong(lockout, ONE, 1)
    wrong(lockout, OTHER, 1)

    assert left_s(lockout, OTHER) == 0.0


def test_the_wrong_tokens_of_this_machine_are_no_attack_on_the_others(lockout: Lockout) -> None:
    wrong(lockout, THIS_MACHINE, 10 * TRIES_IN_ALL)
    wrong(lockout, ONE, 1)

    assert left_s(lockout, ONE) == 0.0


def test_a_bounded_number_of_peers_is_remembered_the_latest_ones(lockout: Lockout) -> None:
    wrong(lockout, ONE)
    for number in range(PEERS - 1):
        lockout.wrong_token(numbered(number))
    before = left_s(lockout, ONE)
    lockout.wrong_token(OTHER)

    assert lockout.remembered == PEERS
    assert before > 0
    assert left_s(lockout, ONE) == 0.0  # the one tried longest ago
    assert left_s(lockout, OTHER) > 0


def test_a_peer_that_tries_on_is_remembered_longer(lockout: Lockout) -> None:
    wrong(lockout, ONE, 1)
    for number in range(PEERS - 1):
        lockout.wrong_token(numbered(number))
    lockout.wrong_token(ONE)
    lockout.wrong_token(OTHER)

    assert left_s(lockout, ONE) > 0


def test_a_lock_is_one_warning_with_the_address_and_the_attack_is_one(
    lockout: Lockout, lines: list[dict[str, Any]]
) -> None:
    wrong(lockout, ONE)
    for number in range(TRIES_IN_ALL):
        wrong(lockout, numbered(number), 1)

    assert [(line["level"], line["message"], line.get("peer")) for line in lines] == [
        ("WARNING", "a peer is locked out after wrong tokens", "192.0.2.1"),
        ("WARNING", "many peers send wrong tokens: a single one locks a peer out now", None),
    ]
    assert [line["lockout_s"] for line in lines] == [60.0, 60.0]


@given(
    st.lists(
        st.tuples(st.integers(min_value=-1, max_value=30), st.floats(min_value=0, max_value=400)),
        max_size=80,
    )
)
def test_whatever_happens_no_peer_without_a_wrong_token_is_refused_nor_this_machine(
    events: list[tuple[int, float]],
) -> None:
    clock = FakeClock()
    lockout = Lockout(clock.monotonic)
    compared: dict[int, list[float]] = {}
    for number, pause_s in events:
        peer = THIS_MACHINE if number < 0 else numbered(number)
        if left_s(lockout, peer) == 0.0:
            lockout.wrong_token(peer)
            compared.setdefault(number, []).append(clock.monotonic())
        clock.pass_time(pause_s)
        assert left_s(lockout, ONE) == 0.0
        assert left_s(lockout, THIS_MACHINE) == 0.0

    for number, instants in compared.items():
        for first, after in zip(instants, instants[TRIES:], strict=False):
            assert number < 0 or after - first >= 60
