"""How commands print: one JSON document, a table for people, plain lines for a pipe."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

_GAP: Final = "  "
_DUMB: Final = frozenset({"dumb", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    title: str
    is_number: bool = False  #: aligned to the right
    styles: Mapping[str, str] = field(default_factory=dict)  #: rich's style by the cell's text
    lead_style: str = ""  #: rich's style of a cell's first line


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells are texts of any script, of several lines where they are drawn for a terminal."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    title: str | None = None
    is_spaced: bool = False  #: a blank line between rows that are drawn


def on_terminal() -> bool:
    """Return whether standard output is a terminal that can show more than plain lines."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in _DUMB


def print_json(document: object) -> None:
    # An escape is the same JSON, and the only form that every encoding can carry.
    is_unicode = sys.stdout.encoding.lower().replace("-", "").startswith("utf")
    print(json.dumps(document, ensure_ascii=not is_unicode))


def print_table(table: Table, *, plain: Sequence[str] | None = None) -> None:
    """Print for people on a terminal; elsewhere `plain`, or a line for each row.

    A line for a pipe is never wrapped or cut, and has neither colours nor box characters: it is
    there for grep.
    """
    if on_terminal():
        print(_drawn(table), end="")
        return
    for line in plain if plain is not None else plain_lines(table):
        print(printable(line))


def plain_lines(table: Table) -> Iterator[str]:
    """Yield a line of titles and one for each row, in columns of equal width on a screen."""
    from rich.cells import cell_len  # a Hangul syllable takes two columns

    cells = [[column.title for column in table.columns]]
    cells += [[printable(cell) for cell in row] for row in table.rows]
    widths = [max(map(cell_len, cells_of)) for cells_of in zip(*cells, strict=True)]
    indent = ""
    if table.title is not None:
        yield table.title
        indent = _GAP
    for row in cells:
        padded = []
        for column, cell, width in zip(table.columns, row, widths, strict=True):
            fill = " " * (width - cell_len(cell))
            padded.append(fill + cell if column.is_number else cell + fill)
        yield indent + _GAP.join(padded).rstrip()


def printable(text: str) -> str:
    """Return `text` without what could steer a terminal or break a line."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _steers(char) else char for char in text)


def _steers(char: str) -> bool:
    from unicodedata import category

    kind = category(char)
    return kind.startswith("C") or kind in {"Zl", "Zp"}  # controls; separators of lines


def _drawn(table: Table) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    def cell_text(column: Column, cell: str) -> Text:
        # Not rich's markup: brackets in a value are brackets.
        lines = [printable(line) for line in cell.split("\n")]
        text = Text("\n".join(lines), style=column.styles.get(cell, ""))
        text.stylize(column.lead_style, 0, len(lines[0]))
        return text

    drawn = RichTable(
        title=table.title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        leading=int(table.is_spaced),
    )
    for column in table.columns:
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        drawn.add_column(column.title, justify=justify, overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(cell_text, table.columns, row))
    # Rich asks the terminal for its width, wraps cells to it and honours NO_COLOR. Captured first:
    # Console.print would turn a broken pipe into an exit code of its own.
    console = Console(file=sys.stdout, highlight=False)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()
