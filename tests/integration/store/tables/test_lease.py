"""The trading lease: real time, on the database's clock."""

import asyncio

from service.store.database.pool import Pool
from service.store.tables.lease import PgLease
from tests.integration.store.seeds import execute, rows


async def expire(pool: Pool) -> None:
    """Stand for the passing of the holder's time."""
    await execute(pool, "UPDATE leader SET expires_at = clock_timestamp() - interval '1 ms'")


async def test_of_eight_at_once_one_gets_the_lease(pool: Pool) -> None:
    owners = [PgLease(pool, owner=f"p{n}", ttl_s=60) for n in range(8)]

    epochs = await asyncio.gather(*(owner.acquire() for owner in owners))

    assert sorted(epochs, key=bool) == [None] * 7 + [1]


async def test_a_renewal_keeps_the_epoch_and_moves_the_end(pool: Pool) -> None:
    lease = PgLease(pool, owner="one", ttl_s=60)
    first = await lease.acquire()
    ((end,),) = await rows(pool, "SELECT expires_at FROM leader")

    renewed = await lease.acquire()

    assert renewed == first == 1
    ((later,),) = await rows(pool, "SELECT expires_at FROM leader")
    assert later > end


async def test_a_takeover_after_the_end_raises_the_epoch(pool: Pool) -> None:
    stale, fresh = PgLease(pool, owner="one", ttl_s=60), PgLease(pool, owner="two", ttl_s=60)
    await stale.acquire()
    await expire(pool)

    assert await fresh.acquire() == 2
    assert await stale.acquire() is None


async def test_of_eight_takeovers_at_once_one_gets_the_lease(pool: Pool) -> None:
    await PgLease(pool, owner="gone", ttl_s=60).acquire()
    await expire(pool)
    owners = [PgLease(pool, owner=f"p{n}", ttl_s=60) for n in range(8)]

    epochs = await asyncio.gather(*(owner.acquire() for owner in owners))

    assert sorted(epochs, key=bool) == [None] * 7 + [2]


async def test_an_owner_that_let_it_lapse_starts_a_new_epoch(pool: Pool) -> None:
    lease = PgLease(pool, owner="one", ttl_s=60)
    await lease.acquire()
    await expire(pool)

    assert await lease.acquire() == 2


async def test_a_released_lease_is_free_at_once_under_a_higher_epoch(pool: Pool) -> None:
    one, two = PgLease(pool, owner="one", ttl_s=60), PgLease(pool, owner="two", ttl_s=60)
    await one.acquire()
    await one.release()

    assert await two.acquire() == 2
    await two.release()
    assert await two.acquire() == 3


async def test_a_stale_owner_cannot_release_the_present_ones_lease(pool: Pool) -> None:
    stale, present = PgLease(pool, owner="one", ttl_s=60), PgLease(pool, owner="two", ttl_s=60)
    await stale.acquire()
    await expire(pool)
    await present.acquire()

    await stale.release()

    assert await stale.acquire() is None
    assert await present.acquire() == 2


async def test_releasing_what_was_never_held_does_nothing(pool: Pool) -> None:
    await PgLease(pool, owner="one", ttl_s=60).release()

    assert await rows(pool, "SELECT count(*) FROM leader") == [(0,)]


async def test_the_end_is_ttl_seconds_away_on_the_databases_clock(pool: Pool) -> None:
    await PgLease(pool, owner="one", ttl_s=7.5).acquire()

    in_time = await rows(
        pool,
        "SELECT expires_at > clock_timestamp(),"
        " expires_at <= clock_timestamp() + interval '7.5 seconds' FROM leader",
    )
    assert in_time == [(True, True)]
