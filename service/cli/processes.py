"""Commands that start something: the service, the sandbox, the database's migrations."""

import sys
from typing import Annotated

import typer

from service import __version__
from service.cli.options import AsJson, Candles, DataDir, Mode, Port, Seed, Speed
from service.cli.output import print_json
from service.cli.resources import load_config, logging_to


def run(
    mode: Mode = None,
    port: Port = None,
    data_dir: DataDir = None,
    candles: Candles = None,
    speed: Speed = None,
    seed: Seed = None,
) -> None:
    """Start the service and keep it running until SIGTERM or Ctrl-C."""
    import asyncio

    config = load_config(
        mode=mode, port=port, data_dir=data_dir, candles=candles, speed=speed, seed=seed
    )
    from service.app.serve import end_tasks, serve

    async def served() -> None:
        try:
            await serve(config, ready=lambda address: _banner(config.mode, address), log=log)
        finally:
            await end_tasks()

    with logging_to(config) as log:
        asyncio.run(served())


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database to this version's tables."""
    import asyncio

    config = load_config()
    from service.app.resources import open_server
    from service.store.migrations.migrate import migrate as apply
    from service.store.migrations.migrate import migrations_folder

    async def migrated() -> int:
        async with open_server(config) as dsn:
            return await asyncio.to_thread(apply, dsn, migrations_folder())

    with logging_to(config, aside=True):
        count = asyncio.run(migrated())
    if as_json:
        print_json({"applied": count})
    else:
        print(f"{count} migration(s) applied")


def sandbox(
    port: Annotated[int, typer.Option(help="of the exchange, 0 for any free one")] = 0,
    data_dir: DataDir = None,
    candles: Candles = None,
    speed: Speed = None,
    seed: Seed = None,
) -> None:
    """Run the local exchange and model alone, for any Upbit client; prints one JSON line."""
    import asyncio

    config = load_config(data_dir=data_dir, candles=candles, speed=speed, seed=seed)
    from service.app.resources import sandbox_options
    from service.app.serve import stop_on_signals
    from service.sandbox.server import open_sandbox, ready_line

    async def serve() -> None:
        stopping = stop_on_signals()
        async with open_sandbox(sandbox_options(config, port=port)) as exchange:
            print(ready_line(exchange), flush=True)
            await stopping.wait()

    with logging_to(config, aside=True):
        asyncio.run(serve())


def _banner(mode: str, address: str) -> None:
    # On stderr: stdout carries log lines only.
    print(
        f"upbit-ai-trader {__version__} · {mode} · {address}\n"
        f"  page    {address}/\n"
        f"  health  {address}/health/detailed\n"
        f"  orders  {address}/api/v1/trading/orders\n"
        "  Ctrl-C stops it; nothing is lost.",
        file=sys.stderr,
        flush=True,
    )
