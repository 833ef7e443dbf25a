"""Help, completion and mistakes on every command."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import typer.main

from service import cli
from service.settings.table import TABLE
from tests.unit.cli.conftest import Main

#: They print a document of another form, or nothing that a program would read.
WITHOUT_JSON: Final = {"run", "sandbox"}


def walked(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walked(inner, *path, name)


ALL: Final = dict(walked(typer.main.get_command(cli.app)))
LEAVES: Final = {path: found for path, found in ALL.items() if not hasattr(found, "commands")}


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_both_words_for_help(main: Main, path: tuple[str, ...]) -> None:
    short, long = main(*path, "-h"), main(*path, "--help")

    assert short == long
    assert short[0] == 0
    assert short[1].startswith(f"Usage: {' '.join(('trader', *path))} ")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_that_prints_data_has_a_json_form(path: tuple[str, ...]) -> None:
    options = {option for parameter in LEAVES[path].params for option in parameter.opts}

    assert ("--json" in options) is (path[0] not in WITHOUT_JSON)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("serve",), "No such command 'serve'; trader --help shows how"),
        (("run", "--prot", "1"), "--port); trader run --help shows how"),
        (("run", "--port", "http"), "'--port'"),
        (("settings", "get"), "Missing argument 'KEY'; trader settings get --help shows how"),
        (("settings", "pin"), "No such command 'pin'; trader settings --help shows how"),
        (("stats",), "Missing option '--log'"),
        (("export", "orderz"), "'orderz' is none of orders, fills, signals"),
        (("export", "fills", "--json", "--format", "csv"), "cannot both be meant"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    main: Main, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = main(*arguments)

    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("path", [path for path in ALL if path not in LEAVES], ids=" ".join)
def test_a_group_without_a_command_shows_its_help(main: Main, path: tuple[str, ...]) -> None:
    code, out, err = main(*path)

    assert code == 2
    assert out + err == main(*path, "--help")[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_shown(
    main: Main, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    # Typer's own switch: the shell is named instead of found among the parents of the process.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")

    code, out, _ = main("--show-completion", shell)

    assert code == 0
    assert f"_TRADER_COMPLETE=complete_{shell}" in out


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("trader he", ["healthcheck"]),
        ("trader settings get volatility_", [key for key in TABLE if key.startswith("vola")]),
        ("trader settings set min_", ["min_confidence"]),
        ("trader export f", ["fills"]),
    ],
)
def test_completion_knows_commands_settings_and_kinds(
    main: Main, monkeypatch: pytest.MonkeyPatch, words: str, completed: list[str]
) -> None:
    monkeypatch.setenv("_TRADER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    monkeypatch.setenv("TRADER_PORT", "http")  # a wrong configuration is no obstacle

    code, out, err = main()

    assert (code, out.split(), err) == (0, completed, "")


def test_the_json_flag_of_version_prints_one_line(main: Main) -> None:
    _, out, _ = main("version", "--json")

    assert out.count("\n") == 1
    assert json.loads(out).keys() == {"version"}
