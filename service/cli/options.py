"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Mode = Annotated[str | None, typer.Option(help="sandbox, paper or live [TRADER_MODE]")]
Url = Annotated[str | None, typer.Option(help="of the service [TRADER_HOST, TRADER_PORT]")]
Port = Annotated[int | None, typer.Option(help="HTTP port, 0 for any free one [TRADER_PORT]")]
DataDir = Annotated[Path | None, typer.Option(help="where data is kept [TRADER_DATA_DIR]")]
Candles = Annotated[Path | None, typer.Option(help="candle file to replay [TRADER_CANDLES]")]
Speed = Annotated[
    str | None, typer.Option(help="market seconds a second, 0 = full speed [TRADER_SPEED]")
]
Seed = Annotated[int | None, typer.Option(help="of the generated market [TRADER_SEED]")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
