"""The events of a run as Python objects and as data frames."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import orjson

from eventabs.errors import InputError
from eventabs.language import gettext as _
from eventabs.records import Event

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

_FIELDS = Event.model_fields


class Events(Sequence[Event]):
    """Events in the order of events.jsonl: by user, then by start."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Event: ...

    @overload
    def __getitem__(self, index: slice) -> "Events": ...

    def __getitem__(self, index: int | slice) -> "Event | Events":
        if isinstance(index, slice):
            return Events(self._rows[index])
        return Event.model_validate(self._rows[index])

    def __iter__(self) -> Iterator[Event]:
        return map(Event.model_validate, self._rows)

    def __repr__(self) -> str:
        return f"<Events: {len(self)}>"

    def to_arrow(self) -> "pa.Table":
        """Return a pyarrow table. Raises ImportError where pyarrow is missing."""
        table: pa.Table = _library("pyarrow").table(self._columns)
        return table

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas frame. Raises ImportError where pandas is missing."""
        frame: pd.DataFrame = _library("pandas").DataFrame(self._columns)
        return frame

    def to_polars(self) -> "pl.DataFrame":
        """Return a polars frame. Raises ImportError where polars is missing."""
        frame: pl.DataFrame = _library("polars").DataFrame(self._columns)
        return frame

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """The events by field; `start` and `end` are wall times, None where a model gave no possible time."""
        columns = {
            name: [row.get(name, field.default) for row in self._rows] for name, field in _FIELDS.items()
        }
        for field in ("start", "end"):
            columns[field] = list(map(_wall_time, columns[field]))
        columns["outside"] = list(map(bool, columns["outside"]))
        return columns


def read_events(path: str | os.PathLike[str]) -> Events:
    """Read the events of a run directory, its checkpoint.json or an events.jsonl. Raises InputError."""
    named = Path(path)
    file = named / "events.jsonl" if named.is_dir() else named.with_name("events.jsonl")
    if named.suffix == ".jsonl":
        file = named
    try:
        with file.open("rb") as lines:
            return Events([orjson.loads(line) for line in lines])
    except (OSError, orjson.JSONDecodeError) as error:
        message = _("{path} cannot be read ({error}); name a run directory or its events.jsonl")
        raise InputError(message.format(path=file, error=error)) from None


def _library(name: str) -> Any:  # noqa: ANN401  a module that may be missing
    try:
        return import_module(name)
    except ImportError:
        message = _("this needs {name}; install it: pip install {name}")
        raise ImportError(message.format(name=name)) from None


def _wall_time(text: Any) -> datetime | None:  # noqa: ANN401  whatever stands in the file
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=None)
    except ValueError:
        return None
