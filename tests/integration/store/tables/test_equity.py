from datetime import timedelta
from decimal import Decimal

from service.ports.store import Equities
from service.store.database.pool import Pool
from service.store.tables.equity import PgEquities
from tests.builders import T0, an_equity
from tests.fakes.equities import FakeEquities

MINUTE = timedelta(minutes=1)


async def lowest(equities: Equities) -> None:
    for minute, money in enumerate((3, 9, 7, 8)):
        await equities.add(
            [
                an_equity(cash=Decimal(money), coins=Decimal(1)),
                an_equity(quote="USDT", cash=Decimal(100 + money)),
            ],
            at=T0 + minute * MINUTE,
        )

    assert await equities.lowest_since(T0 + MINUTE) == {"KRW": Decimal(8), "USDT": Decimal(107)}
    assert await equities.lowest_since(T0 + 4 * MINUTE) == {}


async def test_the_lowest_equity_of_a_time_is_told_by_money(pool: Pool) -> None:
    await lowest(PgEquities(pool))


async def test_the_twin_of_the_snapshots_tells_the_same() -> None:
    await lowest(FakeEquities())
