"""Tables in memory, copied to be read as a file."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import duckdb

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.normal_form import errors_named, quoted, scratch_database
from eventabs.interface_language import gettext as _
from eventabs.stop_request import Stop


class Frame(str):
    """A table in the place of a path, named "-": a run keeps a copy of it as it does of standard input."""

    __slots__ = ("table",)
    table: Any

    def __new__(cls, table: object) -> Self:
        """Take the table. Raises InputError where DuckDB could not read it."""
        if not hasattr(table, "__arrow_c_stream__"):
            message = _(
                "{type} is neither paths nor a table; give a path, a list of paths, or a pandas, polars, Arrow or DuckDB table"
            )
            raise InputError(message.format(type=type(table).__name__))
        frame = super().__new__(cls, "-")
        frame.table = table
        return frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the rows, in the one way in which DuckDB reads them without pyarrow."""
        return self.table.__arrow_c_stream__(requested_schema)

    def copy_to(self, path: Path, stop: Stop) -> None:
        """Write the rows into a file that is there, as Parquet. Raises InputError, OSError and StopRequested."""
        with (
            errors_named(type(self.table).__name__),
            TemporaryDirectory(prefix="eventabs-") as scratch,
            scratch_database(Path(scratch) / "frame", [str(path)], stop) as connection,
        ):
            # a column's type is that of all its values
            connection.execute(f"SET pandas_analyze_sample = {2**62}")
            try:
                connection.register("frame", self.table)
            except duckdb.Error:  # a relation; without pyarrow, all but pandas
                connection.register("frame", self)
            connection.execute(
                f"COPY (FROM frame) TO {quoted(str(path))} (FORMAT parquet, USE_TMP_FILE false)"
            )
