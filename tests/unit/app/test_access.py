"""Whether the service may start: where money is real, only with a token."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.app.checks.access import access
from service.app.checks.finding import CheckLevel
from service.app.serve import serve
from service.config import Config
from service.domain.errors import StartError

TOKEN = SecretStr("a-token-of-many-letters")
KEYS: dict[str, Any] = {
    name: SecretStr("dummy") for name in ("upbit_access_key", "upbit_secret_key", "gemini_api_key")
}


def a_config(mode: str = "sandbox", **overrides: Any) -> Config:
    keys = KEYS if mode == "live" else {}
    return Config(_env_file=None, **{"mode": mode, **keys, **overrides})


@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize("others", [{}, {"viewer_token": TOKEN}, {"password": TOKEN}])
def test_paper_and_live_need_the_admins_token(mode: str, others: dict[str, Any]) -> None:
    finding = access(a_config(mode, **others))

    assert finding.level is CheckLevel.FAIL
    assert finding.words == (
        f"TRADER_MODE={mode} needs TRADER_ADMIN_TOKEN, which every request but health has to"
        ' send: make one with python3 -c "import secrets; print(secrets.token_hex(32))" and put'
        " it into .env"
    )


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (a_config("live", admin_token=TOKEN), "need a token"),
        (a_config("paper", admin_token=TOKEN), "need a token"),
        (a_config(), "need no token"),
        (a_config(viewer_token=TOKEN), "none to change anything"),
        (a_config(password=TOKEN), "none to change anything"),
    ],
)
def test_what_callers_need_is_said(config: Config, text: str) -> None:
    finding = access(config)

    assert finding.level is CheckLevel.OK
    assert text in finding.text


async def test_a_start_without_the_token_is_refused_before_anything_is_opened(
    tmp_path: Path,
) -> None:
    config, told = a_config("live", data_dir=tmp_path / "var", port=0), list[str]()
    stop = asyncio.Event()
    stop.set()  # were it not refused, it would end at once

    with pytest.raises(StartError, match=r"needs TRADER_ADMIN_TOKEN.*secrets\.token_hex"):
        await serve(config, ready=told.append, stop=stop)

    assert told == []
    assert not (tmp_path / "var").exists()
