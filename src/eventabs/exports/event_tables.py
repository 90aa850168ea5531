"""Events as a table in another format: CSV that is safe in spreadsheets, and Parquet."""

from pathlib import Path
from typing import Final, Literal

import duckdb

from eventabs.exports.database import errors_named
from eventabs.exports.sources import as_glob, quoted

TableFormat = Literal["csv", "parquet"]
_TEXTS: Final = ("user_id", "type", "category", "start", "end", "summary", "source")
_FORMULA: Final = r"^[=+\-@\t\r]"  # what a spreadsheet would run
_OPTIONS: Final[dict[TableFormat, str]] = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet"}


def write_table(events: Path, target: Path, form: TableFormat) -> None:
    """Write the events of a JSON-lines file to `target`. Raises InputError where DuckDB cannot.

    Behaviors are a list of integers in Parquet, a JSON array in CSV.
    """
    texts = ", ".join(f'{_harmless(name) if form == "csv" else _name(name)} AS "{name}"' for name in _TEXTS)
    behaviors = "CAST(to_json(behaviors) AS VARCHAR)" if form == "csv" else "behaviors"
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in _TEXTS)
    select = (
        f"SELECT {texts}, {behaviors} AS behaviors, grounded FROM read_json(?, format = 'newline_delimited',"
        f" columns = {{{columns}, 'behaviors': 'BIGINT[]', 'grounded': 'BOOLEAN'}})"
    )
    with errors_named(str(events)), duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute(
            f"COPY ({select}) TO {quoted(str(target))} ({_OPTIONS[form]})", [as_glob(str(events))]
        )


def _name(column: str) -> str:
    return f'"{column}"'


def _harmless(column: str) -> str:
    """Return SQL for a text that no spreadsheet takes for a formula."""
    text = _name(column)
    return f"CASE WHEN regexp_matches({text}, '{_FORMULA}') THEN chr(39) || {text} ELSE {text} END"
