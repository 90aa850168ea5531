"""Results as tables and notes, and how a terminal shows them; a page shows the same by assets/tables.html.j2."""

from collections.abc import Iterable, Sequence

from rich import table as grid
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.text import Text

from eventabs.inspection import Table
from eventabs.views.output_streams import one_line, print_line
from eventabs.views.words_and_figures import count

NARROW = 60  # columns of a terminal, below which long texts do not stand side by side


def print_tables(console: Console, tables: Iterable[Table], notes: Iterable[str] = ()) -> None:
    """Print the tables that have rows, an empty line behind each, and the notes."""
    for table in tables:
        if table.rows:
            console.print(drawn(table), "", sep="\n")
    print_line(console, *notes)


def drawn(table: Table, *, least: tuple[int | None, int | None] = (None, None)) -> grid.Table:
    """Make a table of names with figures beside them, under the title where names have no head; `least`: width of names, of figures."""
    made = grid.Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    made.add_column(table.columns[0] or table.title, style="bold", overflow="fold", min_width=least[0])
    for column in table.columns[1:]:
        if column in table.words:
            made.add_column(column, overflow="fold")
        else:
            made.add_column(column, justify="right", min_width=least[1])
    for row in table.rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(written(cell)) for cell in row))
    return made


def labelled(rows: Iterable[tuple[str, str]], style: str = "") -> grid.Table:
    """Make a table of labels, each with what it names beside it."""
    made = grid.Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style=style, no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def beside(columns: Sequence[str]) -> grid.Table:
    """Make a table of long texts side by side, behind a column of marks."""
    made = grid.Table.grid(padding=(0, 1, 0, 0), expand=True)
    made.add_column(width=1, style="bold yellow")
    for name in columns:
        made.add_column(Text(name, style="dim"), ratio=1, overflow="fold")
    made.show_header = any(columns)
    return made


def written(value: str | float | None) -> str:
    """Return a cell as text: figures with three decimals, whole numbers as counts."""
    if isinstance(value, str):
        return one_line(value)
    return count(value) if isinstance(value, int) else decimals(value)


def decimals(value: float | None) -> str:
    """Return a share with three decimals, "-" where it is not defined."""
    return "-" if value is None else f"{value:.3f}"
