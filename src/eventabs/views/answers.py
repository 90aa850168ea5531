"""What answers held, by users in the batch and by place in it: as tables in the terminal, and as JSON."""

from collections.abc import Iterator, Mapping

from rich.table import Table
from rich.text import Text

from eventabs.inspection import BatchRow, batch_tables, by_batch_users, by_position
from eventabs.records import Counts
from eventabs.views.messages import count
from eventabs.views.quality.figures import decimals, figure_table


def answer_fields(counts: Counts) -> dict[str, list[dict[str, object]] | None]:
    """Return what answers held as JSON has it; None where it is not known of all."""
    known = counts.answers is not None
    return {
        "by_batch_users": list(map(_row_fields, by_batch_users(counts))) if known else None,
        "by_position": list(map(_row_fields, by_position(counts))) if known else None,
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
