"""What is known of the events, and what answers held by users in the batch and by place in it: in words, tables and JSON."""

from collections.abc import Iterator, Mapping

from rich.table import Table
from rich.text import Text

from eventabs.inspection import BatchRow, batch_tables, by_batch_users, by_position
from eventabs.language import gettext as _
from eventabs.records import Counts
from eventabs.views import messages
from eventabs.views.messages import count
from eventabs.views.quality.figures import decimals, figure_table


def event_figures(counts: Counts) -> list[str]:
    """Say how many events there are for a day of a user and how many behaviors they cover; then what is remarkable."""
    figures = []
    if counts.events_per_user_day is not None:
        figures.append(_("{number} a user-day").format(number=f"{counts.events_per_user_day:,.2f}"))
    if counts.coverage is not None:
        covered = messages.share(counts.covered, counts.answered)
        figures.append(_("{share} of the behaviors covered").format(share=covered))
    return figures + messages.event_findings(counts)


def answer_fields(counts: Counts) -> dict[str, list[dict[str, object]]]:
    """Return what answers held as JSON has it."""
    return {
        "by_batch_users": list(map(_row_fields, by_batch_users(counts))),
        "by_position": list(map(_row_fields, by_position(counts))),
    }


def _row_fields(row: BatchRow) -> dict[str, object]:
    return row._asdict() | {"coverage": row.coverage, "events_per_user_day": row.events_per_user_day}


def answer_tables(runs: Mapping[str, Counts]) -> Iterator[Table]:
    """Yield a table for each way in which answers can be compared, with the rows of all runs."""
    for found in batch_tables(runs):
        table = figure_table(found.title, *found.columns[1:])
        for row in found.rows:
            table.add_row(*(Text(_written(value)) for value in row))
        yield table


def _written(value: str | float | None) -> str:
    if isinstance(value, str):
        return value
    return count(value) if isinstance(value, int) else decimals(value)
