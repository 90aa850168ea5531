"""CSV, Parquet and SQLite, read back by others."""

import csv
import json
import sqlite3  # noqa: TID251  what was written is read back
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import lazy_loader
import pyarrow as pa
import pyarrow.parquet as pq

from eventabs.shared_records import Behavior, UserLog
from eventabs.store.ledger import pack_log
from exports_kit import HOSTILE, export_file, export_files, make_event, make_journey, make_run, open_run

# loading them takes a second, and every worker imports this module
pd, pl = lazy_loader.load("pandas"), lazy_loader.load("polars")

COLUMNS = [
    *("id", "user_id", "type", "category", "start", "end", "minutes", "summary"),
    *("journey", "sure", "source", "behaviors"),
]
AT = datetime(2026, 1, 1, 9, 15, 7)  # noqa: DTZ001  wall time


def hostile_run(folder: Path) -> Path:
    events = [make_event("anna", type=text, summary=text, behaviors=(1, 2)) for text in HOSTILE]
    return make_run(folder, events, journeys=[make_journey("anna", events[:1], name=HOSTILE[0])])


def whole_run(folder: Path) -> Path:
    """Make a run of a user with two events in a journey, and a user of minor rows."""
    events = [
        make_event("anna", type="搜索"),
        make_event("anna", "2026-01-01T11:15:00", type="加购", behaviors=(2,)),
    ]
    journey = make_journey("anna", events, converted=True)
    inside = [event._replace(journey=journey.id) for event in events]
    return make_run(folder, inside, journeys=[journey], minor=(1,))


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
        "id": "anna/1", "user_id": "anna", "type": "", "category": "engagement", "start": "2026-01-01T09:15:07",
        "end": "2026-01-01T09:15:07", "minutes": "30", "summary": "", "journey": "", "sure": "true", "source": "llm",
        "behaviors": "[1,2]",
    }  # fmt: skip
    assert pl.read_csv(written)["summary"].to_list() == expected


def test_csv_is_marked_as_utf8_on_request_and_is_else_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_event("=anna"), make_event("赵")])
    plain, marked = (export_files(run, "csv", run / f"{bom}.csv", bom=bom) for bom in (False, True))
    assert len(plain) == len(marked) == 2
    for one, other in zip(plain, marked, strict=True):
        assert other.read_bytes() == b"\xef\xbb\xbf" + one.read_bytes()
    assert [row["user_id"] for row in rows_of(plain[0])] == ["'=anna", "赵"]


def test_parquet_has_types_and_is_the_same_to_every_reader(tmp_path: Path) -> None:
    written = export_file(hostile_run(tmp_path), "parquet")
    table = pq.read_table(written)
    assert table.column_names == [*COLUMNS, "start_offset", "end_offset"]
    assert table.schema.field("minutes").type == pa.int32()
    assert table.schema.field("start").type == table.schema.field("end").type == pa.timestamp("us")
    assert table.schema.field("behaviors").type == pa.list_(pa.field("element", pa.int32()))
    assert table.schema.field("sure").type == pa.bool_()
    expected = [("anna", text, AT, text, [1, 2], True) for text in HOSTILE]
    names = ["user_id", "type", "start", "summary", "behaviors", "sure"]
    by_arrow = [tuple(row.values()) for row in table.select(names).to_pylist()]
    by_polars = pl.read_parquet(written).select(names).rows()
    with duckdb.connect() as connection:
        query = f"""SELECT {", ".join(names)} FROM '{written}'"""
        by_duckdb = connection.execute(query).fetchall()
    frame = pd.read_parquet(written)[names]
    by_pandas = [
        (user, kind, start.to_pydatetime(), summary, list(behaviors), sure)
        for user, kind, start, summary, behaviors, sure in frame.itertuples(index=False)
    ]
    assert by_arrow == by_polars == by_duckdb == by_pandas == expected


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
            ("anna/1", "anna", text, "engagement", at, at, 30, text, None, 1, "llm", "[1,2]")
            for text in HOSTILE
        ]
        assert database.execute("SELECT name FROM journeys").fetchall() == [(HOSTILE[0],)]


def test_a_journey_names_its_events_and_they_name_it_in_every_format(tmp_path: Path) -> None:
    run = whole_run(tmp_path)
    wanted = {
        "id": "anna/j0",
        "kind": "购买",
        "name": "露营帐篷",
        "days": 1,
        "minutes": 60,
        "converted": True,
    }
    lists = {"types": ["搜索", "加购"], "events": ["anna/0", "anna/2"], "behaviors": [0, 2]}
    events, journeys = (pq.read_table(path).to_pylist() for path in export_files(run, "parquet"))
    assert [event["journey"] for event in events] == ["anna/j0", "anna/j0"]
    (journey,) = journeys
    assert journey.items() >= (wanted | lists).items()
    assert (journey["start"], journey["start_offset"]) == (AT, None)
    (row,) = rows_of(export_files(run, "csv")[1])
    assert {name: json.loads(row[name]) for name in lists} == lists
    assert (row["kind"], row["converted"], row["days"]) == ("购买", "true", "1")
    with closing(sqlite3.connect(export_file(run, "sqlite"))) as database:
        names = ", ".join([*wanted, *lists])
        (stored,) = database.execute(f"SELECT {names} FROM journeys").fetchall()
    assert stored[: len(wanted)] == tuple(wanted.values())
    assert [json.loads(text) for text in stored[len(wanted) :]] == list(lists.values())


def test_rows_say_where_each_behavior_stands_and_what_became_of_it(tmp_path: Path) -> None:
    run = whole_run(tmp_path)
    rows = rows_of(export_files(run, "csv", rows=True)[2])
    assert [(row["behavior"], row["became"], row["event"], row["journey"], row["line"]) for row in rows] == [
        ("0", "placed", "anna/0", "anna/j0", "1"),
        ("1", "minor", "", "", "2"),
        ("2", "placed", "anna/2", "anna/j0", "3"),
    ]
    assert rows[1] | {"user_id": "anna", "file": "in/export.csv", "start": "2026-01-01T10:15:00"} == rows[1]
    assert (rows[1]["action"], rows[1]["item"], rows[1]["place"], rows[1]["text"]) == (
        "visit",
        "餐厅1",
        "",
        "",
    )
    assert pq.read_table(export_files(run, "parquet", rows=True)[2]).column("start").to_pylist()[1].hour == 10
    with closing(sqlite3.connect(export_file(run, "sqlite", rows=True))) as database:
        query = (
            "SELECT type, group_concat(item) FROM rows JOIN events ON events.id = event GROUP BY events.id"
        )
        assert database.execute(query).fetchall() == [("搜索", "餐厅0"), ("加购", "餐厅2")]


def test_a_row_that_is_free_text_has_it_as_text_and_rows_without_a_place_say_how(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_event("anna")], unasked=(1,), unplaced=(2,))
    ledger = open_run(run)
    said = Behavior(AT, "", "和朋友看展", line=7)
    with ledger.transaction():
        ledger.rows("UPDATE users SET log = ?", pack_log(UserLog("anna", (said,) * 3)))
    ledger.close()
    rows = rows_of(export_files(run, "csv", rows=True)[2])
    assert [(row["became"], row["text"], row["item"], row["line"]) for row in rows] == [
        (became, "和朋友看展", "", "7") for became in ("placed", "unasked", "unplaced")
    ]
