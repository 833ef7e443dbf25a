"""A health check runs every few seconds: what it loads is held here, not by a clock."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PROGRAM: Final = """
import json, sys
from service.cli import main
try:
    main()
except SystemExit as ended:
    print(json.dumps({"code": ended.code, "modules": sorted(sys.modules)}))
"""
#: What a health check can do without; typer itself brings pydantic.
HEAVY: Final = {
    "aiohttp", "asyncio", "google", "loguru", "orjson", "psycopg2", "pydantic_settings", "rich",
}  # fmt: skip


def loaded(*arguments: str) -> tuple[int, set[str]]:
    """Return the exit code, and the modules that a fresh process has at its end."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    told = json.loads(ran.stdout.splitlines()[-1])
    return told["code"], set(told["modules"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("healthcheck", "--url", "http://127.0.0.1:9"), 1),
        (("healthcheck", "--json", "--url", "http://127.0.0.1:9"), 1),
        (("version",), 0),
        (("--version",), 0),
    ],
)
def test_a_health_check_and_the_version_load_only_the_command_line(
    arguments: tuple[str, ...], code: int
) -> None:
    ended, modules = loaded(*arguments)

    ours = {name for name in modules if name.partition(".")[0] == "service"}
    assert ended == code
    assert modules & HEAVY == set()
    assert {name for name in ours if not name.startswith("service.cli")} == {
        "service",
        "service.domain",
        "service.domain.errors",
    }
