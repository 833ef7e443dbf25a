"""What `trader check` looks at: one finding a line, each with its remedy."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from pydantic import SecretStr

from service.app.serve import bound
from service.config import Config, variable
from service.domain.errors import ServiceError, StartError
from service.sandbox.candle_file import read_candles
from service.store.gate import open_gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    ok: bool
    item: str
    text: str

    @property
    def line(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'} {self.item}: {self.text}"


async def findings(config: Config) -> tuple[Finding, ...]:
    """Return every variable as it is in force, masked, and what can be tried without trading."""
    return (
        *_variables(config),
        _port(config),
        await asyncio.to_thread(_candles, config),
        await _database(config),
    )


def _variables(config: Config) -> Iterator[Finding]:
    for field in Config.model_fields:
        value = getattr(config, field)
        if isinstance(value, SecretStr):
            text = "set (hidden)"
        elif value is None:
            text = "not set"
        elif isinstance(value, tuple):
            text = ",".join(map(str, value))
        else:
            text = str(value)
        yield Finding(ok=True, item=variable(field), text=text)


def _port(config: Config) -> Finding:
    try:
        with closing(bound(config)):
            return Finding(ok=True, item="port", text=f"{config.host}:{config.port} is free")
    except StartError as exc:
        return Finding(ok=False, item="port", text=str(exc))


def _candles(config: Config) -> Finding:
    if config.candles is None:
        return Finding(ok=True, item="candle file", text="none, the market is generated")
    try:
        count = len(read_candles(config.candles).candles)
    except StartError as exc:
        return Finding(ok=False, item="candle file", text=str(exc))
    return Finding(ok=True, item="candle file", text=f"{count} candles")


async def _database(config: Config) -> Finding:
    if config.database_url is None:
        directory = config.data_dir / "postgres"
        return Finding(ok=True, item="database", text=f"embedded, in {directory}; tried at start")
    try:
        async with open_gate(config.database_url.get_secret_value(), minsize=1, maxsize=1) as gate:
            await gate.ping()
    except ServiceError as exc:
        return Finding(ok=False, item="database", text=str(exc))
    return Finding(ok=True, item="database", text="answers")
