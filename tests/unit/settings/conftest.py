"""Settings over rows in memory, and what they log."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from loguru import logger

from service.settings.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.setting_rows import FakeSettingRows

if TYPE_CHECKING:
    from loguru import Record


@pytest.fixture
def rows() -> FakeSettingRows:
    return FakeSettingRows()


@pytest.fixture
def settings(rows: FakeSettingRows) -> Settings:
    return Settings(rows, FakeClock())


@pytest.fixture
def logs() -> Iterator[list["Record"]]:
    """Return the records of the test, as they come."""
    records: list[Record] = []
    sink = logger.add(lambda message: records.append(message.record), level="DEBUG")
    yield records
    logger.remove(sink)
