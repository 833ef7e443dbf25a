"""docs/jobs.md has a heading for each job, and each job that may rest is one."""

import re
from pathlib import Path

from service.settings.job_names import OPTIONAL

ROOT = Path(__file__).parents[3]
HEADINGS = re.findall(
    r"^### `(\w+)`$", (ROOT / "docs" / "jobs.md").read_text("utf-8"), re.MULTILINE
)
SOURCE = "\n".join(
    (ROOT / "service" / "app" / name).read_text("utf-8")
    for name in ("jobs.py", "live.py", "pass_record.py")
)
#: Maintenance loops have a dot in their names.
DECLARED = {
    *re.findall(r'name="(\w+)"', SOURCE),
    *re.findall(r'^(?:SYNC_ORDERS|SENDER): Final = "(\w+)"', SOURCE, re.MULTILINE),
}


def test_every_job_has_its_heading_and_no_other_thing_has() -> None:
    assert sorted(HEADINGS) == sorted(DECLARED)


def test_only_jobs_can_be_switched_off_and_never_the_one_that_follows_orders() -> None:
    assert set(OPTIONAL) <= DECLARED - {"sync_pending_orders"}
