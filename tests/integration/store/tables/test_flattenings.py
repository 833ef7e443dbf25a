"""The last flattening, in PostgreSQL and in the twin that the unit tests use."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.domain.flattening import FINISHED, FlattenedMarket, FlattenStatus
from service.ports.flattenings import Flattenings
from service.store.database.pool import Pool
from service.store.tables.flattenings import PgFlattenings
from tests.builders import KRW_BTC, T0
from tests.fakes.flattenings import FakeFlattenings
from tests.unit.flows.conftest import KRW_ETH

LATER = T0 + timedelta(minutes=1)
BTC = FlattenedMarket(market=KRW_BTC, requested_by="ann")
ETH = FlattenedMarket(market=KRW_ETH, requested_by="ann")


@pytest.fixture(params=["postgresql", "twin"])
def rows(request: pytest.FixtureRequest) -> Flattenings:
    if request.param == "twin":
        return FakeFlattenings()
    pool: Pool = request.getfixturevalue("pool")
    return PgFlattenings(pool)


async def test_before_the_first_one_there_is_none(rows: Flattenings) -> None:
    assert list(await rows.last()) == []


async def test_each_market_waits_until_more_is_stored(rows: Flattenings) -> None:
    await rows.begin([KRW_ETH, KRW_BTC], by="ann", at=T0)
    selling = replace(ETH, status=FlattenStatus.SELLING, failures=2)
    await rows.save(selling, at=LATER)

    assert list(await rows.last()) == [BTC, selling]


@pytest.mark.parametrize("status", sorted(FINISHED))
async def test_what_has_ended_stays_as_it_ended(rows: Flattenings, status: FlattenStatus) -> None:
    await rows.begin([KRW_BTC], by="ann", at=T0)
    ended = replace(BTC, status=status, detail="so it was")
    await rows.save(ended, at=LATER)

    await rows.save(replace(BTC, status=FlattenStatus.SELLING), at=LATER)

    assert list(await rows.last()) == [ended]


async def test_asked_again_what_is_under_way_stays_and_the_rest_begins(rows: Flattenings) -> None:
    await rows.begin([KRW_BTC, KRW_ETH], by="ann", at=T0)
    await rows.save(replace(BTC, status=FlattenStatus.STUCK, detail="x", failures=5), at=LATER)
    selling = replace(ETH, status=FlattenStatus.SELLING)
    await rows.save(selling, at=LATER)

    await rows.begin([KRW_BTC, KRW_ETH], by="bob", at=LATER)

    assert list(await rows.last()) == [replace(BTC, requested_by="bob"), selling]


async def test_the_next_one_drops_what_has_ended(rows: Flattenings) -> None:
    await rows.begin([KRW_BTC], by="ann", at=T0)
    await rows.save(replace(BTC, status=FlattenStatus.FLAT), at=LATER)

    await rows.begin([], by="ann", at=LATER)

    assert list(await rows.last()) == []
