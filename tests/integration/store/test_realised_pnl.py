"""Migration 0009 gives old fills what booking gives new ones."""

from contextlib import closing
from datetime import timedelta
from decimal import Decimal

from service.domain.markets import Market
from service.domain.orders import Side
from service.store.database.dsn import connect, parameters
from service.store.database.pool import Pool
from service.store.migrations.migrate import migrations_folder
from tests.builders import KRW_BTC, T0, a_fill
from tests.integration.store.seeds import a_stored_order, filled, rows

BY_ID = "SELECT id, realised_pnl FROM fills ORDER BY id"
KRW_ETH = Market("KRW", "ETH")
#: side, market, volume, price; the last sale is of more than is held.
TRADES = (
    (Side.BUY, KRW_BTC, "0.00300001", "100033500.1"),
    (Side.BUY, KRW_ETH, "1.5", "4000000"),
    (Side.BUY, KRW_BTC, "0.00700003", "99000000"),
    (Side.SELL, KRW_BTC, "0.00333333", "101000000"),
    (Side.SELL, KRW_ETH, "1.5", "3900000"),
    (Side.SELL, KRW_BTC, "0.00666671", "98765432.1"),
    (Side.BUY, KRW_ETH, "0.1", "4100000"),
    (Side.SELL, KRW_ETH, "0.3", "4200000"),
)


async def test_fills_of_an_older_version_get_what_booking_would_have_given_them(
    pool: Pool, dsn: str
) -> None:
    for n, (side, market, volume, price) in enumerate(TRADES):
        is_buy = side is Side.BUY
        order = await a_stored_order(
            pool,
            f"uat-{n}",
            market=market,
            side=side,
            funds=Decimal(100_000) if is_buy else None,
            volume=None if is_buy else Decimal(volume),
        )
        amount = Decimal(volume) * Decimal(price)
        fill = a_fill(
            trade_uuid=f"t-{n}",
            volume=Decimal(volume),
            price=Decimal(price),
            funds=amount,
            fee=amount * Decimal("0.0005"),
            traded_at=T0 + timedelta(minutes=n),
        )
        await filled(pool, order, fill)
    booked = await rows(pool, BY_ID)

    with closing(connect(parameters(dsn))) as connection, connection.cursor() as cursor:
        for file in ("0009_realised_pnl.rollback.sql", "0009_realised_pnl.sql"):
            cursor.execute((migrations_folder() / file).read_text())

    assert len(booked) == len(TRADES)
    assert await rows(pool, BY_ID) == booked
