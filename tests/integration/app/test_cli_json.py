"""`--json` of the commands that need a database: the API's own shapes, one document each."""

import json
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from service import cli
from service.settings.table import TABLE
from service.web.api.settings import ChangedSettingBody, SettingBody


class Trader(Protocol):
    def __call__(self, *arguments: str) -> str: ...


@pytest.fixture
def trader(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trader:
    """Run a command on an empty database and return its standard output."""
    monkeypatch.chdir(tmp_path)
    variables = {"DATABASE_URL": dsn, "TRADER_DATA_DIR": str(tmp_path / "var")}

    def ran(*arguments: str) -> str:
        result = CliRunner().invoke(cli.app, arguments, env=variables)
        assert result.exit_code == 0, result.output
        return result.stdout

    return ran


def told(text: str) -> Any:
    assert text.count("\n") == 1
    return json.loads(text)


def test_the_list_has_the_shape_of_the_apis_list(trader: Trader) -> None:
    page = told(trader("settings", "list", "--json"))

    assert page.keys() == {"items", "next_cursor"}
    assert [item["key"] for item in page["items"]] == list(TABLE)
    assert {tuple(item) for item in page["items"]} == {tuple(SettingBody.__annotations__)}


def test_one_setting_and_its_change_have_the_shapes_of_the_apis_answers(trader: Trader) -> None:
    before = told(trader("settings", "get", "min_confidence", "--json"))
    changed = told(trader("settings", "set", "min_confidence", "0.8", "--json"))
    again = told(trader("settings", "set", "min_confidence", "0.8", "--json"))

    assert tuple(before) == tuple(SettingBody.__annotations__)
    assert set(changed) == set(ChangedSettingBody.__annotations__)
    assert (before["value"], changed["old_value"], changed["value"]) == ("0.6", "0.6", "0.8")
    assert (again["old_value"], again["is_default"]) == ("0.8", False)


def test_each_line_of_the_list_has_sentence_unit_default_and_note(trader: Trader) -> None:
    trader("settings", "set", "min_confidence", "0.8")

    lines = dict(zip(TABLE, trader("settings", "list").splitlines(), strict=True))

    for name, key in TABLE.items():
        assert f" {name} = " in lines[name]
        assert key.sentence in lines[name]
        assert key.unit in lines[name]
        assert ("nothing acts on this setting" in lines[name]) is not key.in_effect
    changed = [name for name, line in lines.items() if line.startswith("* ")]
    assert changed == ["min_confidence"]
    assert '= "0.8"  (default "0.6")  [ratio; a number from 0 to 1' in lines["min_confidence"]


def test_a_migration_and_an_export_are_one_document(trader: Trader) -> None:
    assert told(trader("migrate", "--json")) == {"applied": 0}
    assert trader("export", "fills", "--json") == trader("export", "fills", "--format", "json")
