"""Which connection has to go for another one, and which must not."""

from typing import Any

import pytest

from service.web.overload.held_connections import HeldConnections
from service.web.protocol.peers import THIS_MACHINE, Peer
from tests.fakes.clock import FakeClock

ONE, OTHER = Peer("192.0.2.1", is_local=False), Peer("192.0.2.2", is_local=False)


class FakeTransport:
    def __init__(self) -> None:
        self.unread = 0

    def get_write_buffer_size(self) -> int:
        return self.unread


class FakeConnection:
    """Stands for aiohttp's RequestHandler."""

    def __init__(self) -> None:
        self.transport: FakeTransport | None = FakeTransport()

    def force_close(self) -> None:
        self.transport = None


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.held = HeldConnections(self.clock.monotonic)

    def comes(self, peer: Peer = ONE, *, number: int = 1) -> Any:
        """Return the last of some new connections, each a second after the one before."""
        for _ in range(number):
            connection: Any = FakeConnection()
            self.held.add(connection, peer)
            self.clock.pass_time(1)
        return connection


@pytest.fixture
def world() -> World:
    return World()


def test_connections_are_counted_by_peer_and_closed_ones_are_not(world: World) -> None:
    first = world.comes(ONE)
    world.comes(ONE)
    world.comes(OTHER)
    before = world.held.count(ONE)
    first.transport = None

    assert (before, world.held.count(ONE), world.held.count(OTHER)) == (2, 1, 1)
    assert world.held.count(THIS_MACHINE) == 0


def test_the_one_that_was_silent_for_longest_goes(world: World) -> None:
    first, second, third = (world.comes() for _ in range(3))
    world.held.request_began(first)
    world.held.request_ended(first)  # heard later than the others

    closed = [world.held.close_silent_of(ONE, for_s=0) for _ in range(4)]

    assert closed == [True, True, True, False]
    assert world.held.count(ONE) == 0
    assert second.transport is third.transport is first.transport is None


def test_it_goes_in_the_order_of_its_last_request(world: World) -> None:
    first, second = world.comes(), world.comes()
    world.held.request_began(first)
    world.held.request_ended(first)

    world.held.close_silent_of(ONE, for_s=0)

    assert second.transport is None
    assert first.transport is not None


def test_a_connection_with_a_request_at_work_stays(world: World) -> None:
    busy = world.comes()
    world.held.request_began(busy)
    world.clock.pass_time(1_000)
    during = world.held.close_silent_of(ONE, for_s=1)
    world.held.request_ended(busy)

    assert (during, world.held.close_silent_of(ONE, for_s=1)) == (False, False)
    world.clock.pass_time(1)
    assert world.held.close_silent_of(ONE, for_s=1)


def test_a_connection_that_is_still_being_answered_stays(world: World) -> None:
    reading = world.comes()
    reading.transport.unread = 1
    silent = world.comes()

    assert world.held.close_silent_of(ONE, for_s=0)
    assert silent.transport is None
    assert not world.held.close_silent_of(ONE, for_s=0)
    assert reading.transport is not None


def test_a_young_connection_may_still_ask(world: World) -> None:
    world.comes()

    assert not world.held.close_silent_of(ONE, for_s=1.5)
    assert world.held.close_silent_of(ONE, for_s=1)


def test_of_all_peers_the_one_with_most_loses_a_connection_first(world: World) -> None:
    world.comes(OTHER)
    world.comes(ONE, number=3)

    assert [world.held.close_silent(for_s=0) for _ in range(3)] == [True] * 3
    # The peers have as many then as each other; the oldest is the other's.
    assert world.held.count(ONE) + world.held.count(OTHER) == 1


def test_a_peer_whose_connections_all_work_leaves_it_to_the_next(world: World) -> None:
    for _ in range(3):
        world.held.request_began(world.comes(ONE))
    world.comes(OTHER)

    assert world.held.close_silent(for_s=0)
    assert (world.held.count(ONE), world.held.count(OTHER)) == (3, 0)
    assert not world.held.close_silent(for_s=0)


def test_nothing_is_closed_where_nothing_is_held(world: World) -> None:
    assert not world.held.close_silent(for_s=0)
    assert not world.held.close_silent_of(ONE, for_s=0)


def test_a_closed_connection_is_passed_over(world: World) -> None:
    world.comes().transport = None
    silent = world.comes()

    assert world.held.close_silent_of(ONE, for_s=0)
    assert silent.transport is None
    assert world.held.count(ONE) == 0


def test_the_requests_of_a_connection_that_is_not_held_are_nothing(world: World) -> None:
    spare: Any = FakeConnection()

    world.held.request_began(spare)
    world.held.request_ended(spare)

    assert not world.held.close_silent(for_s=0)


def test_closed_connections_do_not_pile_up(world: World) -> None:
    kept = world.comes(OTHER)
    for number in range(5_000):
        world.comes(Peer(f"peer {number}", is_local=False)).transport = None

    assert world.held.on_record < 600
    assert world.held.count(OTHER) == 1
    assert kept.transport is not None
