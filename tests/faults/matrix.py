"""Every reason of health, and the fault that causes it; docs/faults.md shows the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from service.ops.health.rules import VITAL
from tests.faults.table import TABLE


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """Overall status and HTTP code follow from component and status; `trial.py` checks both."""

    reason: str
    component: str
    status: str
    by: frozenset[str]  #: names of faults, or of a test

    def cells(self) -> tuple[str, ...]:
        is_vital = self.component in VITAL and self.status == "unhealthy"
        overall, code = ("unhealthy", "503") if is_vital else ("degraded", "200")
        by = " ".join(sorted(self.by))
        return (f"`{self.reason}`", by, f"`{self.component}`", self.status, overall, code)


_SELF_CHECK: Final = frozenset({"tests/e2e/test_self_check.py"})
_OUTPUTS: Final = frozenset({"tests/faults/test_outputs.py"})
#: Caused by a fault that has a test of its own.
ELSEWHERE: Final = (
    Row("circuit_open", "gemini_api", "unhealthy", frozenset({"F30"})),
    Row("feed_lost", "upbit_api", "warning", frozenset({"F24", "F25", "F26"})),
    Row("key_expiring", "upbit_api", "warning", _SELF_CHECK),
    Row("no_signal_yet", "recent_signal", "warning", _OUTPUTS),
    Row("prober_stalled", "database", "unhealthy", frozenset({"F49"})),
    Row("starting", "gemini_api", "warning", _OUTPUTS),
)

#: Reasons that no fault from outside causes within seconds, and the test that shows each.
ONLY_IN_PARTS: Final[Mapping[str, str]] = {
    # A pass has a deadline, and a hung loop is restarted. Heartbeats stop only with the whole
    # process, and then the prober has stalled as well.
    "heartbeat_stale": "tests/unit/ops/health/test_rules.py"
    "::test_one_job_in_trouble_is_the_schedulers_trouble",
}


def rows() -> list[Row]:
    return sorted((*_by_faults(), *ELSEWHERE), key=lambda row: row.cells())


def _by_faults() -> Iterator[Row]:
    found: dict[tuple[str, str, str], set[str]] = {}
    for fault in TABLE:
        for component, (status, reason) in fault.sees.items():
            if "|" not in reason:  # else which of them comes first is chance
                found.setdefault((reason, component, status), set()).add(fault.name)
    for (reason, component, status), names in found.items():
        yield Row(reason, component, status, frozenset(names))
