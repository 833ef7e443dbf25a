"""What each look comes to: its level, its sentence, and a remedy whenever it is not ok."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from service.app.checks import exchange, machine
from service.app.checks.finding import CheckLevel, CheckResult, bounded, fail, ok, warn
from service.app.checks.model import model
from service.domain.errors import (
    BoundaryError,
    ExchangeRefused,
    ExchangeUnavailable,
    ModelRefused,
    ModelUnavailable,
)
from service.domain.markets import Market
from tests.builders import KRW_BTC, T0
from tests.fakes.account import FakeAccount

GIB = 1024**3
MIB = 1024**2


# --- how it is said ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (ok("port", "free"), "ok   port: free"),
        (warn("disk", "little room", "make some"), "warn disk: little room: make some"),
        (fail("port", "taken; stop it"), "FAIL port: taken; stop it"),
    ],
)
def test_a_finding_is_one_line(finding: CheckResult, line: str) -> None:
    assert finding.line == line


async def test_a_look_that_takes_too_long_is_a_failure() -> None:
    async def never() -> CheckResult:
        await asyncio.Event().wait()
        raise AssertionError

    found = await bounded(never(), item="upbit", remedy="wait", within_s=0.01)

    assert (found.level, found.item, found.remedy) == (CheckLevel.FAIL, "upbit", "wait")


# --- this machine --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "free", "level"),
    [
        (100 * GIB, 11 * GIB, CheckLevel.OK),
        (100 * GIB, 10 * GIB - 1, CheckLevel.WARN),
        (5 * GIB, GIB, CheckLevel.OK),
        (5 * GIB, GIB - 1, CheckLevel.WARN),
        (GIB, 200 * MIB, CheckLevel.WARN),
        (GIB, 200 * MIB - 1, CheckLevel.FAIL),
        (100 * GIB, 0, CheckLevel.FAIL),
    ],
)
def test_the_disk_is_judged_by_what_is_free(total: int, free: int, level: CheckLevel) -> None:
    found = machine.room(free=free, total=total, where=Path("var"))

    assert found.level is level
    assert bool(found.remedy) is (level is not CheckLevel.OK)


def test_a_data_directory_that_is_not_there_yet_is_fine_and_is_not_made(tmp_path: Path) -> None:
    found = machine.data_directory(tmp_path / "a" / "b")

    assert found.level is CheckLevel.OK
    assert "made at the first start" in found.text
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_data_directory_belongs_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert machine.data_directory(tmp_path / "file").level is CheckLevel.FAIL
    assert machine.data_directory(tmp_path / "file" / "below").level is CheckLevel.FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_closed_to_us_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    assert machine.data_directory(tmp_path / "var").level is CheckLevel.FAIL


def test_a_directory_that_everybody_may_write_to_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    found = machine.data_directory(tmp_path)

    assert found.level is CheckLevel.WARN
    assert found.remedy == f"chmod o-w {tmp_path}"


@pytest.mark.parametrize(
    ("mode", "level"), [(0o600, CheckLevel.OK), (0o400, CheckLevel.OK), (0o640, CheckLevel.WARN)]
)
def test_the_file_with_the_secrets_is_for_one_account(
    tmp_path: Path, mode: int, level: CheckLevel
) -> None:
    file = tmp_path / ".env"
    file.touch(mode=0o600)
    file.chmod(mode)

    assert machine.secrets_file(file).level is level


# --- the exchange --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew_s", "level"),
    [
        (0.0, CheckLevel.OK),
        (2.0, CheckLevel.OK),
        (-2.0, CheckLevel.OK),
        (2.1, CheckLevel.WARN),
        (-30.0, CheckLevel.WARN),
        (30.1, CheckLevel.FAIL),
        (-31.0, CheckLevel.FAIL),
        (None, CheckLevel.WARN),
    ],
)
def test_a_clock_is_judged_by_how_far_it_is_off(skew_s: float | None, level: CheckLevel) -> None:
    found = exchange.clock(skew_s)

    assert found.level is level
    assert bool(found.remedy) is (level is not CheckLevel.OK)


def test_a_clocks_direction_is_said() -> None:
    assert "9 s ahead" in exchange.clock(9.1).text
    assert "9 s behind" in exchange.clock(-9.1).text


@pytest.mark.parametrize(
    ("left", "level"),
    [
        (timedelta(days=31), CheckLevel.OK),
        (timedelta(days=30), CheckLevel.WARN),
        (timedelta(seconds=1), CheckLevel.WARN),
        (timedelta(), CheckLevel.FAIL),
        (timedelta(days=-1), CheckLevel.FAIL),
    ],
)
async def test_a_key_is_judged_by_when_it_ends(left: timedelta, level: CheckLevel) -> None:
    account = FakeAccount()
    account.ends_at = T0 + left

    found = await exchange.key_expiry(account, now=T0)

    assert found.level is level
    assert f"{account.ends_at:%Y-%m-%d}" in found.text


async def test_a_key_whose_end_is_not_told_is_a_warning() -> None:
    account = FakeAccount()
    unlisted = await exchange.key_expiry(account, now=T0)
    account.error = ExchangeUnavailable("Upbit did not answer in time", code="timeout")
    unanswered = await exchange.key_expiry(account, now=T0)

    assert unlisted.level is unanswered.level is CheckLevel.WARN


@pytest.mark.parametrize(
    ("error", "level", "remedy"),
    [
        (None, CheckLevel.OK, False),
        (ExchangeRefused("Upbit refused: jwt_verification; check UPBIT_SECRET_KEY"), "FAIL", False),
        (ExchangeRefused("Upbit refused: something_new"), "FAIL", True),
        (ExchangeUnavailable("Upbit cannot be reached"), "FAIL", True),
    ],
)
async def test_a_key_that_does_not_work_is_a_failure_with_one_remedy(
    error: BoundaryError | None, level: str, remedy: bool
) -> None:
    account = FakeAccount()
    account.error = error

    found = await exchange.key(account)

    assert found.level == level
    assert bool(found.remedy) is remedy


async def test_a_market_that_is_not_traded_is_a_failure() -> None:
    account = FakeAccount()

    fine = await exchange.reach(account, markets=[KRW_BTC])
    wrong = await exchange.reach(account, markets=[KRW_BTC, Market("KRW", "NONE")])

    assert fine.level is CheckLevel.OK
    assert wrong.level is CheckLevel.FAIL
    assert "KRW-NONE" in wrong.text


def test_the_right_to_withdraw_is_said_to_be_unknown() -> None:
    assert exchange.rights().level is CheckLevel.WARN


# --- the model -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (None, "ok"),
        (ModelRefused("Gemini rejects the key; check GEMINI_API_KEY"), "FAIL"),
        (ModelUnavailable("Gemini cannot be reached"), "FAIL"),
    ],
)
async def test_the_model_is_asked_for_by_its_name(error: BoundaryError | None, level: str) -> None:
    asked = []

    async def ping(name: str) -> None:
        asked.append(name)
        if error is not None:
            raise error

    found = await model(ping, "gemini-x")

    assert (found.level, asked) == (level, ["gemini-x"])
