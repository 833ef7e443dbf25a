"""The day's loss and volatility on a real server and the sandbox exchange, all over sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from service.domain.markets import Market
from tests.composed import Composed, composed

SAFETY_S: Final = 60
#: The market's seconds in a real one: a print comes every ten of them.
SPEED: Final = 20
BTC: Final = "KRW-BTC"
D = Decimal


@pytest.fixture
async def service(tmp_path: Path, dsn: str) -> AsyncIterator[Composed]:
    async with opened(tmp_path, dsn) as service:
        yield service


def opened(tmp_path: Path, dsn: str) -> Any:
    return composed(tmp_path, dsn, speed=SPEED)


async def arranged(service: Composed, **settings: object) -> None:
    """Trade by hand alone, and let no other limit come first."""
    wide = {
        "disabled_jobs": ["generate_trading_signal"],
        "max_position_pct": "100",
        "max_exposure_pct": "100",
        "max_price_jump_pct": "50",
        "volatility_threshold_pct": "100",
    }
    for key, value in (wide | settings).items():
        await service.change(key, value)


async def pin(service: Composed, price: Decimal) -> None:
    """Have the next print, and every one after it, be `price`."""
    script = {"market": BTC, "prices": [f"{price:f}"]}
    async with service.client.post(
        f"{service.exchange_url}/__sandbox__/prices", json=script
    ) as answer:
        assert answer.ok, await answer.text()


async def believed(service: Composed) -> Decimal:
    async with asyncio.timeout(SAFETY_S):
        while (live := service.services.live_prices.latest(Market.parse(BTC))) is None:
            await service.get("/health")
    return live.price


async def buy(service: Composed, *, share: str) -> None:
    """Buy for a share of the money, and wait until the position is known."""
    balances = await service.services.ports.exchange.balances()
    funds = int(balances["KRW"].available * D(share))
    body = {"market": BTC, "side": "BUY", "type": "MARKET", "funds": str(funds)}
    async with service.client.post(
        "/api/v1/trading/orders", json=body, headers={"Idempotency-Key": "k-1"}
    ) as answer:
        assert answer.ok, await answer.text()
    await until(service, lambda shown: any(D(p["volume"]) > 0 for p in shown["positions"] or ()))


async def until(service: Composed, true: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(SAFETY_S):
        while not true(shown := await service.get("/api/v1/risk/status")):
            pass
    return shown


def is_stored(shown: Any) -> bool:
    """Whether a halt of all markets is in force, and in the database."""
    return bool(shown["state"] == "REDUCING" and shown["stored"])


async def told_of(service: Composed, *subjects: str) -> list[str]:
    """Return the subjects of the alerts, once all of these are among them."""
    async with asyncio.timeout(SAFETY_S):
        while True:
            alerts = (await service.get("/api/v1/alerts"))["items"]
            found = [row["key"].partition(":")[0] for row in alerts]
            if set(subjects) <= set(found):
                return [subject for subject in found if subject in subjects]


def lost(shown: Any) -> dict[str, Any]:
    (row,) = [one for one in shown["limits"] or () if one["name"] == "daily_loss_limit_pct"]
    return dict(row)


async def test_a_fall_beyond_the_limit_stops_purchases_until_an_operator_resumes(
    service: Composed, tmp_path: Path, dsn: str
) -> None:
    await arranged(service)
    await until(service, lambda shown: shown["limits"] and lost(shown)["used"] is not None)
    await buy(service, share="0.5")
    before = await until(service, lambda shown: lost(shown)["used"] is not None)

    await pin(service, (await believed(service) * D("0.85")).quantize(D(1000)))
    halted = await until(service, is_stored)
    events = await service.get("/api/v1/risk/events?event=HALTED")
    told = await told_of(service, "trading", "loss")
    await service.post("/api/v1/risk/resume", reasons=["daily_loss_limit"])
    # Clearly more must be lost before it halts again.
    resumed = await until(service, lambda shown: D(lost(shown)["left"] or 0) > 0)

    assert before["state"] == "ACTIVE"
    assert halted["reason"] == "daily_loss_limit"
    assert D(lost(halted)["used"]) >= 5
    assert [row["reason"] for row in events["items"]] == ["daily_loss_limit"]
    assert sorted(told) == ["loss", "trading"]
    assert resumed["state"] == "ACTIVE"


async def test_the_halt_and_the_start_of_the_day_outlive_the_process(
    tmp_path: Path, dsn: str
) -> None:
    async with opened(tmp_path, dsn) as service:
        await arranged(service)
        await until(service, lambda shown: shown["limits"] and lost(shown)["used"] is not None)
        await buy(service, share="0.5")
        await pin(service, (await believed(service) * D("0.85")).quantize(D(1000)))
        first = await until(service, is_stored)

    async with opened(tmp_path, dsn) as service:
        again = await service.get("/api/v1/risk/status")

    assert (again["state"], again["reason"]) == ("REDUCING", "daily_loss_limit")
    assert again["halts"][0]["since"] == first["halts"][0]["since"]


async def test_a_jump_stops_purchases_of_its_market_and_ends_by_itself(service: Composed) -> None:
    await arranged(service, volatility_threshold_pct="3", volatility_window_minutes=1)
    await service.change("volatility_auto_resume_minutes", 1)

    await pin(service, (await believed(service) * D("1.05")).quantize(D(1000)))
    halted = await until(service, lambda shown: bool(shown["halts"]))
    calm = await until(service, lambda shown: not shown["halts"])

    (halt,) = halted["halts"]
    assert (halt["market"], halt["reason"], halt["ends"]) == (BTC, "volatility", "condition")
    assert (halted["state"], calm["state"]) == ("ACTIVE", "ACTIVE")
    events = await service.get("/api/v1/risk/events")
    kinds = [(row["event"], row["reason"]) for row in events["items"]]
    assert kinds == [("RESUMED", "volatility"), ("HALTED", "volatility")]
