"""Input files in their formats, their rows as DuckDB reads them, and the exports that they make."""

import tomllib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import duckdb

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.formats import open_file
from eventabs.ingest.formats.base import Format, Query
from eventabs.ingest.input_settings import InputSettings
from eventabs.ingest.opened_export import Export, open_export
from eventabs.ingest.sort_and_pair import load

CONNECTION = duckdb.connect()


def open_input_file(folder: Path, name: str, data: str | bytes) -> Format:
    """Write a file and open it."""
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return open_file(CONNECTION, str(path), folder)


def queried(source: Format, *columns: str) -> list[tuple[Any, ...]]:
    """Return line, problem and the values of columns of a regular file's rows."""
    query = source.query([(f"v{position}", column) for position, column in enumerate(columns)])
    names = ", ".join(f"v{position}" for position in range(len(columns)))
    CONNECTION.execute(f"CREATE OR REPLACE TABLE queried AS {query.sql}")
    numbered = f"coalesce(line, rowid + {query.first_line})"
    return CONNECTION.execute(f"SELECT {numbered}, problem, {names} FROM queried").fetchall()


def loaded(source: Format) -> list[tuple[Any, ...]]:
    """Return line, problem, user and b of the rows of any file; no copy of it stays."""
    found: list[tuple[Any, ...]] = []

    def insert(query: Query) -> int:
        CONNECTION.execute(f"CREATE OR REPLACE TABLE loaded AS {query.sql}")
        line = f"coalesce(line, rowid - (SELECT min(rowid) FROM loaded) + {query.first_line})"
        found[:] = CONNECTION.execute(f'SELECT {line}, problem, "user", b FROM loaded').fetchall()
        return len(found)

    before = set(Path(source.file.path).parent.iterdir())
    try:
        load(source, [("user", "user"), ("b", "b")], insert)
    finally:
        assert set(Path(source.file.path).parent.iterdir()) == before
    return found


def opened(folder: Path, *paths: Path | str, **wanted: Any) -> AbstractContextManager[Export]:  # noqa: ANN401  as open_export and [input] take them
    """Open files as an export, by default without profiles, named columns and a zone."""
    given = {name: wanted.pop(name) for name in ("profile_columns", "stop", "on_copy") if name in wanted}
    settings = InputSettings.model_validate(wanted)
    return open_export([str(path) for path in paths], settings, work_dir=folder / "work", **given)


def proposed(folder: Path, path: Path | str) -> dict[str, Any]:
    """Return the settings of `[input]` that are proposed for a file, also where it is refused."""
    try:
        with opened(folder, path) as export:
            return settings_of(export.description.proposal)
    except InputError as error:
        return settings_of(error.proposal)


def settings_of(proposal: str) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(proposal)["input"]
    return settings


def facts(folder: Path, *paths: Path | str, **wanted: Any) -> list[str]:  # noqa: ANN401  as open_export takes them
    with opened(folder, *paths, **wanted) as export:
        return facts_of(export)


def facts_of(export: Export) -> list[str]:
    """Return user, time, action, item, place and seconds of each behavior; no row may be rejected."""
    assert export.rejected_rows == 0, list(export.rejects())
    return [
        "|".join((log.user_id, b.start.isoformat(), b.action, b.item, b.place, str(b.duration or "")))
        for log in export.user_logs()
        for b in log.behaviors
    ]


def write(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
