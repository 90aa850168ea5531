"""Parquet files."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, ClassVar, Final

from eventabs.ingest.formats.base import Format, Query, Wanted
from eventabs.ingest.normal_form import as_glob, errors_named, fetched

_MAGIC: Final = b"PAR1"


class Parquet(Format):
    """A Parquet file. Row numbers replace line numbers, and JSON replaces text."""

    is_text: ClassVar[bool] = False

    @staticmethod
    def sniff(path: str, start: bytes) -> bool:  # noqa: ARG004  the content alone decides
        """Whether the file begins as all Parquet files do."""
        return start.startswith(_MAGIC)

    def find_columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        with errors_named(self.file.path):
            described = self.file.connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [self._glob])
            self._types = {name: kind for name, kind, *_rest in described.fetchall()}
        return tuple(self._types)

    def query(self, wanted: Wanted) -> Query:
        """Return the rows, all values as text."""
        fields, relation = self.nested("read_parquet(?)", wanted, self._text)
        return Query(
            f"SELECT NULL::BIGINT AS line, NULL::VARCHAR AS problem, {fields} FROM {relation}",
            (self._glob,),
        )

    def _text(self, column: str) -> str:
        """Return the SQL of a column as text; structs, lists and maps as JSON."""
        name = '"' + column.replace('"', '""') + '"'
        is_nested = self._types[column].startswith(("STRUCT", "MAP")) or self._types[column].endswith("]")
        return f"CAST({f'to_json({name})' if is_nested else name} AS VARCHAR)"

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield each row's number and the row as JSON."""
        with closing(self.file.connection.cursor()) as cursor:
            cursor.execute("SELECT to_json(r)::VARCHAR FROM read_parquet(?) AS r", [self._glob])
            for number, (text,) in enumerate(fetched(cursor), start=1):
                yield number, text

    def fields(self, text: str) -> Mapping[str, Any]:
        """Return the values of a row by column."""
        values: dict[str, Any] = json.loads(text)
        return values

    @property
    def _glob(self) -> str:
        return as_glob(self.file.text)
