"""Checks the records of a fault: alerts, passes, model calls and log lines."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.faults.stack import Stack
from tests.faults.waits import until

_KEPT = "id, kind, key, about, recovered_at IS NOT NULL AS is_over, next_attempt_at IS NULL AS told"
_GIVEN_UP = "the pass failed and is given up"


@dataclass(frozen=True, slots=True)
class Telling:
    """The alerts before the fault.

    Attributes:
        last: the newest row of the outbox.
        heard: messages that the webhook had received.
    """

    stack: Stack
    last: int
    heard: int

    @classmethod
    async def so_far(cls, stack: Stack) -> Self:
        (row,) = await stack.sql("SELECT coalesce(max(id), 0) AS last FROM alerts")
        return cls(stack, row["last"], len(stack.hook.titles))

    async def begun(self, component: str) -> None:
        """Wait during the fault until an alert says that `component` is unhealthy."""

        async def look() -> bool:
            if component == "database":
                # The outbox may be unavailable, so the message itself is checked.
                heard = self.stack.hook.titles[self.heard :]
                return any(f"{component} is unhealthy" in title for title in heard)
            return bool(await self._problems(component))

        await until(look, what=f"an alert says that {component} is unhealthy")

    async def ended(self, component: str, *, outages: int) -> None:
        """Wait until its end is told as well: one alert an outage, one recovery notice an alert.

        Args: outages: how often the log says that the component became unhealthy; once, unless
            the machine is so busy that the component was taken for dead a second time. None, for
            an outage shorter than the second in which the log looks.
        """

        async def look() -> bool:
            problems = await self._problems(component)
            return bool(problems) and all(row["is_over"] for row in problems)

        await until(look, what=f"the alert on {component} is over")
        problems = await self._problems(component)
        told = [row["about"] for row in await self._rows() if row["kind"] == "RECOVERY"]

        assert len(problems) <= max(outages, 1), "one outage is one alert"
        assert [told.count(row["id"]) for row in problems] == [1] * len(problems)

    async def _problems(self, component: str) -> list[dict[str, Any]]:
        return [
            row
            for row in await self._rows()
            if row["kind"] == "PROBLEM" and row["key"] == f"component:{component}"
        ]

    async def _rows(self) -> list[dict[str, Any]]:
        return await self.stack.sql(f"SELECT {_KEPT} FROM alerts WHERE id > {self.last}")


async def until_nothing_is_open(stack: Stack) -> None:
    """I12: no problem is left open, nothing waits to be sent."""
    left: list[str] = []

    async def look() -> bool:
        left[:] = [
            f"{row['kind']} {row['key']}"
            for row in await stack.sql(f"SELECT {_KEPT} FROM alerts")
            if not row["told"] or (row["kind"] == "PROBLEM" and not row["is_over"])
        ]
        return not left

    try:
        await until(look, what="no alert is open")
    except TimeoutError:
        raise AssertionError(f"still open or not sent: {left}") from None


async def check_records(stack: Stack) -> None:
    """I11, once the service has ended: what the log says and what the tables say is the same."""
    lines = stack.service.log.read()
    rows = await stack.sql("SELECT run_id::text AS id, job FROM job_runs")
    # Maintenance loops write no line when all is well, and no row.
    jobs = {line["job"] for line in lines if line["message"] == "pass"}
    jobs |= {row["job"] for row in rows}
    passes = [line for line in lines if "success" in line and line.get("job") in jobs]
    logged = Counter((line["run_id"], line["job"]) for line in passes)
    runs = Counter((row["id"], row["job"]) for row in rows)
    hours = await stack.sql("SELECT job, sum(count)::bigint AS n FROM job_hours GROUP BY job")
    alerted = {row["key"] for row in await stack.sql("SELECT DISTINCT key FROM alerts")}
    given_up = {f"job:{line['job']}" for line in passes if line["message"] == _GIVEN_UP}
    given_up.discard("job:send_alerts")  # which could not tell of itself
    asked = sum(line["message"] == "model call" for line in lines)
    calls = await stack.count("ai_calls")
    lost = sum(_is_call_without_row(line) for line in lines)

    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1)), "a line is missing"
    assert not logged - runs, f"not in job_runs: {logged - runs}"
    assert not runs - logged, f"not in the log: {runs - logged}"
    counted = Counter(row["job"] for row in rows)
    assert {row["job"]: row["n"] for row in hours} == counted, "job_hours counts the passes"
    assert given_up <= alerted, "a pass was given up and nobody was told"
    assert asked - lost <= calls <= asked, "log and ai_calls have the same questions"


def _is_call_without_row(line: Mapping[str, Any]) -> bool:
    """Whether a pass broke off at the database, perhaps between the answer and its row."""
    is_failure = line.get("success") is False and line.get("job") == "generate_trading_signal"
    is_retry = "wait_s" in line and line.get("job") == "generate_trading_signal"
    return (is_failure or is_retry) and str(line.get("error", "")).startswith("Store")


def unhealthy(sees: Mapping[str, tuple[str, str]]) -> Sequence[str]:
    return [component for component, (status, _) in sees.items() if status == "unhealthy"]
