"""The requests that the documents show work as they stand, on a sandbox that was just started."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.e2e.processes import ROOT, Service

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
SERVICE = "http://127.0.0.1:8080"


@dataclass
class Request:
    where: str
    method: str = "GET"
    url: str = ""
    data: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def requests_in(document: Path) -> Iterator[Request]:
    """Yield each `curl` of the document's code blocks that asks the service, read as a shell does.

    No variable is set: `$TRADER_ADMIN_TOKEN` is empty, as in a shell that was just opened.
    """
    for block in BLOCKS.findall(document.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("curl ") and SERVICE in line:
                yield parsed(re.sub(r"\$\w+", "", line), where=f"{document.name}: {line}")


def parsed(line: str, *, where: str) -> Request:
    request, words = Request(where), iter(shlex.split(line, comments=True)[1:])
    for word in words:
        if word == "-X":
            request.method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(":")
            request.headers[name] = value.strip()
        elif word == "-d":
            request.data = next(words)
        else:
            assert not word.startswith("-"), f"{where}: teach this test {word}"
            request.url = word
    return request


async def test_every_documented_request_works_on_a_sandbox_without_any_token(folder: Path) -> None:
    documented = [r for path in DOCUMENTS for r in requests_in(path)]
    refused = {}
    async with Service(folder / "s") as service, aiohttp.ClientSession() as session:
        await service.ready()
        for each in documented:
            url = each.url.replace(SERVICE, service.address)
            async with session.request(
                each.method, url, data=each.data, headers=each.headers
            ) as answer:
                if not answer.ok:
                    refused[each.where] = (answer.status, await answer.text())
                json.loads(await answer.text())

    assert refused == {}
    assert {each.method for each in documented} == {"GET", "PATCH", "POST"}
