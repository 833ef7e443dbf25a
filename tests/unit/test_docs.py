"""The documents name what there is: a variable, a command or a decision without its words fails."""

import re
import tomllib
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main

from service import __version__, cli
from service.config import Config, variable

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
VARIABLES = sorted(variable(field) for field in Config.model_fields)
#: Each has a Korean page beside it, `….ko.md`.
TRANSLATED = ["README.md", "docs/operations.md"]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
PART = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")
FILE = re.compile(r"`((?:service|tests|benchmarks|deploy)/[\w./-]+\.\w+)")
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
)


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def headings(path: str) -> list[str]:
    """Return the code words that stand as headings in `path`."""
    return re.findall(r"^### `([^`]+)`$", text(path), flags=re.MULTILINE)


def anchors(page: str) -> set[str]:
    """Return the part of an address that leads to each heading."""
    found = re.findall(r"^#{1,6} (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def commands() -> list[str]:
    """Return every command as it is typed, groups included."""
    root = typer.main.get_command(cli.app)
    found = []
    todo = [("trader", root)]
    while todo:
        typed, command = todo.pop()
        for name, inner in getattr(command, "commands", {}).items():
            found.append(f"{typed} {name}")
            todo.append((f"{typed} {name}", inner))
    return sorted(found)


def section(path: str, heading: str) -> str:
    return text(path).partition(f"### `{heading}`\n")[2].partition("\n##")[0]


# --- configuration and commands ------------------------------------------------------------------


def test_every_variable_has_its_heading_once_and_no_other_thing_has() -> None:
    assert sorted(headings("docs/configuration.md")) == VARIABLES


@pytest.mark.parametrize("field", Config.model_fields)
def test_a_variables_section_says_its_default_or_that_there_is_none(field: str) -> None:
    default = Config.model_fields[field].default
    words = section("docs/configuration.md", variable(field))

    if default is None:
        assert re.search(r"default (none|Upbit's own|Google's own)", words)
    else:
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        assert re.search(rf"default `(\./)?{re.escape(shown)}`", words)


def test_every_command_has_its_heading_once_and_no_other_thing_has() -> None:
    assert sorted(headings("docs/cli.md")) == commands()


@pytest.mark.parametrize("name", ["run", "sandbox", "healthcheck"])
def test_a_commands_section_names_its_options(name: str) -> None:
    root = typer.main.get_command(cli.app)
    command = root.commands[name]  # type: ignore[attr-defined]  # it is a group
    words = section("docs/cli.md", f"trader {name}")

    for parameter in command.params:
        for option in parameter.opts:
            assert option == "--help" or option in words


# --- decisions, changes, the README ---------------------------------------------------------------


def test_every_decision_is_listed_under_its_own_title() -> None:
    listed = re.findall(r"\[(\d{4})\]\((\S+)\) \| (.+) \|", text("docs/decisions/README.md"))
    files = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))

    assert [name for _, name, _ in listed] == files
    for number, name, title in listed:
        assert text(f"docs/decisions/{name}").startswith(f"# {number} {title}\n")


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in (DOCS / "decisions").glob("[0-9]*.md"))

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("part", ["## Context", "## Decision", "## Consequences"])
def test_every_decision_has_its_three_parts(part: str) -> None:
    for path in (DOCS / "decisions").glob("[0-9]*.md"):
        assert f"\n{part}\n" in path.read_text(encoding="utf-8"), path.name


def test_every_decision_that_the_code_names_is_there() -> None:
    sources = [*ROOT.glob("service/**/*.py"), *ROOT.glob("migrations/*.sql")]
    named = {
        number
        for path in sources
        for number in re.findall(r"ADR (\d{4})", path.read_text(encoding="utf-8"))
    }

    assert named <= {path.name[:4] for path in (DOCS / "decisions").glob("[0-9]*.md")}


def test_the_changelog_has_this_version() -> None:
    assert re.search(rf"^## \[{re.escape(__version__)}\] - ", text("CHANGELOG.md"), re.MULTILINE)
    assert "\n## [Unreleased]\n" in text("CHANGELOG.md")


@pytest.mark.parametrize("path", ["README.md", "README.ko.md"])
def test_each_readme_says_how_to_run_to_test_and_to_trade(path: str) -> None:
    assert "make run" in text(path)
    assert "make test" in text(path)
    assert "trader settings set trading_enabled true" in text(path)


@pytest.mark.parametrize("path", ["docs/operations.md", "docs/operations.ko.md"])
def test_each_operations_page_says_how_to_run_the_image_and_how_to_switch_trading_off(
    path: str,
) -> None:
    assert "docker run --init" in text(path)
    assert "trader settings set trading_enabled false" in text(path)


@pytest.mark.parametrize("path", TRANSLATED)
def test_a_page_and_its_translation_have_the_same_parts(path: str) -> None:
    def shape(page: str) -> list[int]:
        return [
            page.count(mark)
            for mark in ("\n## ", "\n### ", "\n```", "\n| ", "\n- ", "](", "\n<!--")
        ]

    assert shape(text(path)) == shape(text(path.replace(".md", ".ko.md")))


@pytest.mark.parametrize("path", TRANSLATED)
def test_a_page_and_its_translation_show_the_same_commands(path: str) -> None:
    def shown(page: str) -> list[str]:
        """Return the lines of the code blocks that begin with a program, without comments."""
        return re.findall(
            r"^(?:make|trader|docker|curl|[A-Z_]+=) ?[^#\n]*[^#\s]", page, re.MULTILINE
        )

    assert shown(text(path))
    assert shown(text(path)) == shown(text(path.replace(".md", ".ko.md")))


@pytest.mark.parametrize("path", TRANSLATED)
def test_every_translated_page_points_to_its_other_language(path: str) -> None:
    name = Path(path).name
    korean = name.replace(".md", ".ko.md")

    assert f"]({korean})" in text(path)
    assert f"]({name})" in text(path.replace(name, korean))


@pytest.mark.parametrize("path", PAGES)
def test_every_link_between_documents_leads_somewhere(path: str) -> None:
    for target in LINK.findall(text(path)):
        assert ((ROOT / path).parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES)
def test_every_link_to_a_part_of_a_page_names_a_heading_of_it(path: str) -> None:
    for target, part in PART.findall(text(path)):
        page = (ROOT / path).parent / target if target else ROOT / path

        assert part in anchors(page.read_text(encoding="utf-8")), (target, part)


def test_every_file_that_a_living_page_names_is_there() -> None:
    living = [path for path in PAGES if "decisions/" not in path and path != "CHANGELOG.md"]
    named = {(path, name) for path in living for name in FILE.findall(text(path))}

    assert named
    assert [(path, name) for path, name in named if not (ROOT / name).exists()] == []


def test_an_anchor_is_made_as_hosts_make_it() -> None:
    assert anchors("# A\n## `trader run`, or\n### 내 키: live 모드\n") == {
        "a",
        "trader-run-or",
        "내-키-live-모드",
    }


# --- the package ----------------------------------------------------------------------------------


def test_the_package_list_is_whole() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "service").rglob("__init__.py")
    }

    assert set(setup["options"]["packages"].split()) == found | {"service.migrations"}


def test_the_image_takes_nothing_that_is_not_named() -> None:
    lines = [line for line in text(".dockerignore").splitlines() if line and line[0] != "#"]

    assert lines[0] == "*"
    for line in lines[1:]:
        assert line[0] == "!" or line == "**/__pycache__"
        assert line[0] != "!" or (ROOT / line[1:]).exists()


def test_mypy_overlooks_the_types_of_no_package_that_ships_them() -> None:
    overrides = tomllib.loads(text("pyproject.toml"))["tool"]["mypy"]["overrides"]
    overlooked = {
        module.removesuffix(".*")
        for override in overrides
        if override.get("ignore_missing_imports")
        for module in override["module"]
    }
    # Some are installed in other environments only, where mypy does not look.
    found = [spec for name in overlooked if (spec := find_spec(name)) and spec.origin]

    assert {spec.name for spec in found} >= {"aiocache", "yoyo"}
    assert [
        spec.name for spec in found if Path(str(spec.origin)).with_name("py.typed").exists()
    ] == []
