"""Parquet is read with its types, and its rows have numbers."""

import gzip
import json
from pathlib import Path

import duckdb

from input_files import facts, opened, write


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


def test_parquet_may_be_compressed_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(f"COPY (SELECT 'u' AS uid, '2026-01-15' AS time, 'x' AS item) TO '{path}'")
    packed = write(tmp_path, "a.parquet.gz", gzip.compress(path.read_bytes()))
    assert facts(tmp_path, packed) == facts(tmp_path, path) == ["u|2026-01-15T00:00:00|thing|x||"]
