"""Figures with their intervals, as every measure of quality shows them. The report needs them without the pages."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from eventabs.language import gettext as _
from eventabs.measures import Figure


def figure_names() -> dict[str, str]:
    """Name the figures of two groupings, in the order in which they are shown."""
    return {
        "pair_f1": _("pairs of rows, F1"),
        "pair_macro_f1": _("pairs, mean of groups"),
        "bcubed_f1": _("B-cubed, F1"),
        "bcubed_precision": _("B-cubed precision"),
        "bcubed_recall": _("B-cubed recall"),
        "bcubed_macro_f1": _("B-cubed, mean of groups"),
        "whole_f1": _("found whole, F1"),
        "exact_f1": _("found exactly, F1"),
        "best_dice": _("best Dice, mean"),
        "boundary_f1": _("boundaries, F1"),
        "same_type": _("same type"),
        "grouped_recall": _("grouped here too"),
        "loose_f1": _("ungrouped rows, F1"),
    }


def figure_table(title: str, *columns: str) -> Table:
    """Make a table of names with figures beside them."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(title, style="bold", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def decimals(value: float | None) -> str:
    """Return a share with three decimals, "-" where it is not defined."""
    return "-" if value is None else f"{value:.3f}"


def cells(figure: Figure) -> tuple[str, str]:
    """Return a figure and its interval, "" where it has none."""
    if figure.low is None or figure.high is None:
        return decimals(figure.value), ""
    return decimals(figure.value), f"{figure.low:.3f} – {figure.high:.3f}"
