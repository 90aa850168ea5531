"""CSV, Parquet and SQLite, read back by others."""

import csv
import sqlite3  # noqa: TID251  what was written is read back
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from exports_kit import HOSTILE, export_file, make_event, make_run

COLUMNS = ["user_id", "type", "category", "start", "end", "summary", "source", "behaviors", "grounded"]
AT = datetime(2026, 1, 1, 9, 15, 7)  # noqa: DTZ001  wall time


def hostile_run(folder: Path) -> Path:
    return make_run(
        folder, [make_event("anna", type=text, summary=text, behaviors=(1, 2)) for text in HOSTILE]
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_every_text_as_it_is_and_a_quote_before_what_a_spreadsheet_would_run(tmp_path: Path) -> None:
    written = export_file(hostile_run(tmp_path), "csv")
    rows = rows_of(written)
    expected = [f"'{text}" if text[0] in "=+-@\t\r" else text for text in HOSTILE]
    assert [row["type"] for row in rows] == [row["summary"] for row in rows] == expected
    assert list(rows[0]) == COLUMNS
    assert rows[0] | {"type": "", "summary": ""} == {
        "user_id": "anna", "type": "", "category": "engagement", "start": "2026-01-01T09:15:07",
        "end": "2026-01-01T09:15:07", "summary": "", "source": "llm", "behaviors": "[1,2]", "grounded": "true",
    }  # fmt: skip
    assert pl.read_csv(written)["summary"].to_list() == expected


def test_csv_is_marked_as_utf8_on_request_and_is_else_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_event("=anna"), make_event("赵")])
    plain, marked = (export_file(run, "csv", run / f"{bom}.csv", bom=bom) for bom in (False, True))
    assert marked.read_bytes() == b"\xef\xbb\xbf" + plain.read_bytes()
    assert [row["user_id"] for row in rows_of(plain)] == ["'=anna", "赵"]


def test_parquet_has_types_and_is_the_same_to_every_reader(tmp_path: Path) -> None:
    written = export_file(hostile_run(tmp_path), "parquet")
    table = pq.read_table(written)
    assert table.column_names == [*COLUMNS, "start_offset", "end_offset"]
    assert table.schema.field("start").type == table.schema.field("end").type == pa.timestamp("us")
    assert table.schema.field("behaviors").type == pa.list_(pa.field("element", pa.int32()))
    assert table.schema.field("grounded").type == pa.bool_()
    expected = [("anna", text, AT, text, [1, 2], True) for text in HOSTILE]
    names = ["user_id", "type", "start", "summary", "behaviors", "grounded"]
    by_arrow = [tuple(row.values()) for row in table.select(names).to_pylist()]
    by_polars = pl.read_parquet(written).select(names).rows()
    with duckdb.connect() as connection:
        query = f"""SELECT {", ".join(names)} FROM '{written}'"""
        by_duckdb = connection.execute(query).fetchall()
    frame = pd.read_parquet(written)[names]
    by_pandas = [
        (user, kind, start.to_pydatetime(), summary, list(behaviors), grounded)
        for user, kind, start, summary, behaviors, grounded in frame.itertuples(index=False)
    ]
    assert by_arrow == by_polars == by_duckdb == by_pandas == expected


def test_names_that_repeat_are_a_dictionary_in_parquet(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_event("anna") for _ in range(1000)])
    group = pq.ParquetFile(export_file(run, "parquet")).metadata.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    encodings = {column.path_in_schema: set(column.encodings) for column in columns}
    for name in ("user_id", "type", "category", "source"):
        assert encodings[name] & {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}, name


def test_offsets_stand_beside_wall_times_in_parquet(tmp_path: Path) -> None:
    run = make_run(
        tmp_path,
        [
            make_event("anna", "2026-01-01T09:15:07+08:00", "2026-01-01T10:00:00+08:00"),
            make_event("anna", "2026-01-01T09:15:07"),
        ],
    )
    frame = pl.read_parquet(export_file(run, "parquet"))
    assert frame["start"].to_list() == [AT, AT]
    assert frame["start_offset"].to_list() == frame["end_offset"].to_list()
    assert sorted(frame["start_offset"].to_list(), key=str) == [28_800, None]
    known = frame.filter(pl.col("start_offset").is_not_null())
    assert known["start"][0] - timedelta(seconds=known["start_offset"][0]) == AT - timedelta(hours=8)


def test_sqlite_has_the_rows_in_order(tmp_path: Path) -> None:
    written = export_file(hostile_run(tmp_path), "sqlite")
    with closing(sqlite3.connect(written)) as database:
        cursor = database.execute("SELECT * FROM events")
        assert [column[0] for column in cursor.description] == COLUMNS
        at = "2026-01-01T09:15:07"
        assert cursor.fetchall() == [
            ("anna", text, "engagement", at, at, text, "llm", "[1,2]", 1) for text in HOSTILE
        ]
