"""Alerts of exits while the database is away: each position once, its end, and a damaged file."""

import pytest

from service.domain.alerts import Recovery
from service.domain.markets import Market
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.monitor import AlertMonitor
from tests.builders import KRW_BTC
from tests.fakes.alerts import FakeOutbox
from tests.fakes.clock import FakeClock

KRW_ETH = Market("KRW", "ETH")


class Heard:
    def __init__(self) -> None:
        self.buffer, self.outbox = AlertBuffer(), FakeOutbox()
        self.monitor = AlertMonitor(alert_buffer=self.buffer, clock=FakeClock())

    async def told(self) -> list[str]:
        """Return the titles that reached the outbox since the last time."""
        before = len(self.outbox.notices)
        await self.buffer.store(self.outbox)
        return [notice.title for notice in self.outbox.notices[before:]]


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_each_unprotected_position_is_told_once_and_so_is_its_end(heard: Heard) -> None:
    heard.monitor.positions_unprotected({KRW_BTC: "lease_lapsed"})
    heard.monitor.positions_unprotected({KRW_BTC: "lease_lapsed", KRW_ETH: "journal_down"})
    begun = await heard.told()
    heard.monitor.positions_unprotected({KRW_ETH: "journal_down"})
    ended = await heard.told()
    heard.monitor.positions_unprotected({KRW_ETH: "journal_down"})

    assert begun == [
        "The position in KRW-BTC is unprotected",
        "The position in KRW-ETH is unprotected",
    ]
    assert ended == ["The position in KRW-BTC is protected again"]
    assert await heard.told() == []


async def test_what_the_last_process_told_of_is_over_with_the_first_look(heard: Heard) -> None:
    heard.monitor.inherit(["position:KRW-BTC:unprotected", "position:KRW-BTC:exit"])

    heard.monitor.positions_unprotected({})
    await heard.told()

    (over,) = heard.outbox.notices
    assert isinstance(over, Recovery)
    assert over.key == "position:KRW-BTC:unprotected"


async def test_a_damaged_file_is_told_with_its_cause(heard: Heard) -> None:
    heard.monitor.exit_journal_damaged("ValueError")

    assert await heard.told() == ["The exit journal is damaged"]
    assert "ValueError" in heard.outbox.notices[0].body  # type: ignore[union-attr]
