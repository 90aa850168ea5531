"""Parquet is read with its types, and its rows have numbers."""

import json
from pathlib import Path

import duckdb

from input_files import opened


def test_parquet_is_read_with_its_types_and_its_rejects_have_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.connect().execute(
        "COPY (SELECT * FROM (VALUES (1, TIMESTAMP '2026-01-15 10:00:00', 'x', 60), (2, NULL, 'y', 5))"
        f" t(user_id, time, item, duration)) TO '{path}'"
    )
    with opened(tmp_path, path) as export:
        (reject,) = export.rejects()
        first, second = export.user_logs()
    assert (reject.line, reject.reason, json.loads(reject.text)["item"]) == (2, "bad_time", "y")
    assert (first.user_id, first.behaviors[0].duration, second.behaviors) == ("1", 60, ())
