"""Requests made from the document by schemathesis: no 5xx, no answer that the document lacks."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.composed import Composed, composed

ADMIN: Final = "may-change-anything"
PATIENCE_S: Final = 240
CONFIG: Final = Path(__file__).parent / "schemathesis.toml"
#: A wrong token's answer is held back for up to a second; one of the runs asks with them.
WITHOUT_WRONG_TOKENS: Final = ("--exclude-checks", "ignored_auth")


async def fuzzed(service: Composed, folder: Path, *options: str) -> str:
    """Return what schemathesis says of the service, with its exit code as the last line."""
    address = str(service.client._base_url).rstrip("/")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG),
        "run", f"{address}/openapi.json", "--url", address, *options,
        cwd=folder,
        env=clean | {"NO_COLOR": "1", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return f"{out.decode()}\nexit code {process.returncode}"


@pytest.mark.timeout(PATIENCE_S + 30)
@pytest.mark.parametrize(
    "options",
    [("--header", f"Authorization: Bearer {ADMIN}"), WITHOUT_WRONG_TOKENS],
    ids=["as an admin", "without a token"],
)
async def test_no_request_gets_an_answer_that_the_document_lacks(
    tmp_path: Path, dsn: str, options: tuple[str, ...]
) -> None:
    async with composed(tmp_path, dsn, admin_token=ADMIN) as service:
        said = await fuzzed(service, tmp_path, *options)

    assert said.endswith("\nexit code 0"), said
