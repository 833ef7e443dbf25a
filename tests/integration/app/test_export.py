"""`trader export`: exact, whole or not at all, and safe to open in a spreadsheet."""

import csv
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service import cli
from service.app.export import exported, window
from service.config import Config
from service.domain.errors import InvalidRequest, StartError
from service.store.database.pool import Pool
from service.store.queries.export import ExportKind, ExportWindow, Form
from tests.builders import a_fill, a_proposal
from tests.integration.store.seeds import a_stored_order, a_stored_signal, execute, filled

#: Half an hour before midnight in Korea.
LATE = datetime(2026, 1, 24, 14, 30, tzinfo=UTC)
EVERYTHING = ExportWindow()


@pytest.fixture
def config(tmp_path: Path, dsn: str) -> Config:
    return Config(data_dir=tmp_path / "var", database_url=dsn, _env_file=None)


async def three_fills(pool: Pool) -> None:
    fills = (
        a_fill(
            trade_uuid=f"t-{n}",
            price=Decimal("100033500.5"),
            volume=Decimal("0.00300001"),
            funds=Decimal("300101.5012345678"),
            fee=Decimal("150.05075061728391"),
            traded_at=LATE + timedelta(hours=n),
        )
        for n in range(3)
    )
    await filled(pool, await a_stored_order(pool), *fills)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


async def test_a_tax_report_has_korean_days_and_exact_amounts(
    pool: Pool, config: Config, tmp_path: Path
) -> None:
    await three_fills(pool)
    out = tmp_path / "fills.csv"

    count = await exported(config, ExportKind.FILLS, Form.CSV, EVERYTHING, out)

    first, second, third = table(out)
    assert count == 3
    assert first == {
        "date_kst": "2026-01-24",
        "time_kst": "23:30:00",
        "market": "KRW-BTC",
        "side": "BUY",
        "volume": "0.00300001",
        "price": "100033500.5",
        "amount": "300101.5012345678",
        "fee": "150.05075061728391",
        "realised_pnl": "-150.05075061728391",
        "currency": "KRW",
        "traded_at": "2026-01-24T14:30:00.000000Z",
        "trade_uuid": "t-0",
        "order_id": "1",
    }
    assert [(row["date_kst"], row["time_kst"]) for row in (second, third)] == [
        ("2026-01-25", "00:30:00"),
        ("2026-01-25", "01:30:00"),
    ]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("days", "trades"),
    [
        ((None, "2026-01-24"), ["t-0"]),
        (("2026-01-25", None), ["t-1", "t-2"]),
        (("2026-01-24", "2026-01-25"), ["t-0", "t-1", "t-2"]),
        (("2026-01-26", "2026-01-26"), []),
    ],
)
async def test_both_days_are_included_and_korean(
    pool: Pool,
    config: Config,
    tmp_path: Path,
    days: tuple[str | None, str | None],
    trades: list[str],
) -> None:
    await three_fills(pool)
    out = tmp_path / "fills.json"

    await exported(config, ExportKind.FILLS, Form.JSON, window(*days), out)

    assert [item["trade_uuid"] for item in json.loads(out.read_text())] == trades


async def test_words_of_the_model_are_no_formulas_in_a_sheet_and_untouched_in_json(
    pool: Pool, config: Config, tmp_path: Path
) -> None:
    words = '=HYPERLINK("http://x", "a,b")\nsecond line \\ "quoted"\x01\x02'
    await a_stored_signal(pool, proposal=a_proposal(reasoning=words))
    sheet, document = tmp_path / "s.csv", tmp_path / "s.json"

    await exported(config, ExportKind.SIGNALS, Form.CSV, EVERYTHING, sheet)
    await exported(config, ExportKind.SIGNALS, Form.JSON, EVERYTHING, document)

    (row,) = table(sheet)
    (item,) = json.loads(document.read_text())
    assert row["reasoning"] == f"'{words}"
    assert item["reasoning"] == words
    assert (row["verdict"], item["verdict"]) == ("", None)


@pytest.mark.parametrize("kind", list(ExportKind))
async def test_an_empty_history_is_a_valid_document(
    pool: Pool, config: Config, tmp_path: Path, kind: ExportKind
) -> None:
    sheet, document = tmp_path / "none.csv", tmp_path / "none.json"

    rows = await exported(config, kind, Form.CSV, EVERYTHING, sheet)
    items = await exported(config, kind, Form.JSON, EVERYTHING, document)

    assert (rows, items) == (0, 0)
    assert sheet.read_text().startswith("date_kst,time_kst,market,")
    assert json.loads(document.read_text()) == []


async def test_orders_come_oldest_first_with_what_they_cost(
    pool: Pool, config: Config, tmp_path: Path
) -> None:
    await three_fills(pool)
    await a_stored_order(pool, "uat-2")
    out = tmp_path / "orders.csv"

    await exported(config, ExportKind.ORDERS, Form.CSV, EVERYTHING, out)

    rows = table(out)
    assert [row["id"] for row in rows] == ["1", "2"]
    assert (rows[0]["executed_amount"], rows[0]["average_price"]) == (
        "900304.5037037034",
        "100033500.29985493",
    )
    assert (rows[1]["status"], rows[1]["average_price"]) == ("PENDING", "")


def test_the_command_writes_the_document_and_nothing_else_to_standard_output(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variables = {"DATABASE_URL": dsn, "TRADER_DATA_DIR": str(tmp_path / "var")}

    ran = CliRunner().invoke(cli.app, ["export", "fills", "--format", "json"], env=variables)
    typo = CliRunner().invoke(cli.app, ["export", "orderz"], env=variables)

    assert (ran.exit_code, ran.stdout) == (0, "[]\n")
    assert "0 fills written" in ran.stderr
    assert typo.exit_code == 2
    assert "'orderz' is none of orders, fills, signals" in typo.stderr


# --- whole or not at all --------------------------------------------------------------------------


async def test_a_file_that_is_there_stays_as_it_is(
    pool: Pool, config: Config, tmp_path: Path
) -> None:
    out = tmp_path / "fills.csv"
    out.write_text("last year's")

    with pytest.raises(InvalidRequest, match="is there already"):
        await exported(config, ExportKind.FILLS, Form.CSV, EVERYTHING, out)

    assert out.read_text() == "last year's"


async def test_a_folder_that_is_not_there_is_a_sentence(
    pool: Pool, config: Config, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match=r"cannot be written \(No such file"):
        await exported(config, ExportKind.FILLS, Form.CSV, EVERYTHING, tmp_path / "no" / "f.csv")


async def test_an_export_that_breaks_off_leaves_no_half_a_file(
    pool: Pool, config: Config, tmp_path: Path
) -> None:
    await execute(pool, "ALTER TABLE fills RENAME COLUMN price TO cost")
    out = tmp_path / "fills.csv"

    with pytest.raises(Exception, match="broke off the export"):
        await exported(config, ExportKind.FILLS, Form.CSV, EVERYTHING, out)

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - and pathlib's is refused in coroutines


async def test_a_database_that_is_away_is_a_sentence_without_its_password(tmp_path: Path) -> None:
    away = "postgresql://trader:canary-7f3a@127.0.0.1:1/trader"
    config = Config(data_dir=tmp_path / "var", database_url=away, _env_file=None)

    with pytest.raises(StartError, match="cannot be used") as failed:
        await exported(config, ExportKind.FILLS, Form.CSV, EVERYTHING, tmp_path / "f.csv")

    assert "canary-7f3a" not in str(failed.value)


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2026-02-30", None, "--from 2026-02-30: write a day"),
        (None, "today", "--to today: write a day"),
        ("2026-01-02", "2026-01-01", "is before --from"),
    ],
)
def test_days_that_make_no_sense_are_a_sentence(
    since: str | None, until: str | None, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        window(since, until)


def test_the_last_day_there_is_leaves_the_window_open() -> None:
    assert window(None, "9999-12-31") == EVERYTHING
