"""However fast the sandbox's market runs, its answers are stamped in real time, as Upbit's are."""

from decimal import Decimal

import aiohttp
import pytest

from service.adapters.upbit.rest import UpbitRest
from service.domain.markets import Market
from service.sandbox.options import SandboxOptions
from service.sandbox.server import open_sandbox


@pytest.mark.parametrize("speed", [0, 600])
async def test_a_market_that_runs_fast_does_not_make_our_clock_look_wrong(
    session: aiohttp.ClientSession, speed: int
) -> None:
    async with open_sandbox(SandboxOptions(speed=Decimal(speed))) as sandbox:
        upbit = UpbitRest(
            session,
            quotation_url=sandbox.upbit_url,
            exchange_url=sandbox.upbit_url,
            access_key=sandbox.access_key,
            secret_key=sandbox.secret_key,
            paced=False,
        )
        await sandbox.clock.sleep_market(86_400 if speed == 0 else 60)
        for _ in range(5):
            await upbit.tickers([Market("KRW", "BTC")])

        skews_s = upbit.take_clock_skews_s()

    assert len(skews_s) == 5
    assert max(map(abs, skews_s)) <= 2
