"""Waits on conditions, with more patience than tests of a well service need."""

from functools import partial
from typing import Final

from tests.e2e import processes

#: The slowest thing that is waited for, two looks at the exchange and a ban, takes a minute.
until: Final = partial(processes.until, patience_s=150)
