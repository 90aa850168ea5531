"""The order of rows is that of their full times, and only rows that are equal in every column are duplicates."""

import csv
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.shared_records import Behavior
from input_files import opened, write

START = datetime.fromisoformat("2026-01-15 10:00:00")
COLUMNS = ("uid", "time", "action", "item", "category", "media", "duration", "session")
Row = tuple[str, ...]


def behaviors(folder: Path, *paths: Path, schema: str = "") -> list[tuple[str, Behavior]]:
    with opened(folder, *paths, schema=schema) as export:
        assert export.rejected_rows == 0, list(export.rejects())
        assert export.behaviors + export.duplicates + export.paired_ends == export.rows
        return [(log.user_id, each) for log in export.user_logs() for each in log.behaviors]


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            csv.writer(file).writerows([COLUMNS, *rows])
        else:
            file.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)
    return path


@pytest.mark.parametrize(
    "times",
    [
        ("2026-01-15 10:00:00.1", "2026-01-15 10:00:00.3", "2026-01-15 10:00:00.5", "2026-01-15 10:00:00.9"),
        ("1767261642100", "1767261642300", "1767261642500", "1767261642900"),
        ("1767261642.1", "1767261642.3", "1767261642.5", "1767261642.9"),
        ("1767261642000001000", "1767261642000003000", "1767261642000005000", "1767261642000009000"),
    ],
)
def test_rows_of_one_second_come_in_order_and_none_is_lost(tmp_path: Path, times: Sequence[str]) -> None:
    first, second, third, last = times
    text = f"uid,time,action\nu,{last},buy\nu,{third},cart\nu,{second},view\nu,{first},view\n"
    found = [each for _user, each in behaviors(tmp_path, write(tmp_path, "a.csv", text))]
    assert [each.action for each in found] == ["browse", "browse", "cart", "purchase"]
    assert [each.line for each in found] == [5, 4, 3, 2]
    assert all(each.start.microsecond == 0 for each in found)


@pytest.mark.parametrize("unit", ["TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ"])
def test_parquet_times_of_any_unit_sort_to_their_fraction(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "a.parquet"
    rows = ", ".join(f"('u', '2026-01-15 10:00:00.00{n}', '{n}')" for n in (3, 1, 2))
    duckdb.connect().execute(
        f"COPY (SELECT uid, t::{unit} AS time, item FROM (VALUES {rows}) v(uid, t, item)) TO '{path}'"
    )
    assert [each.item for _user, each in behaviors(tmp_path, path)] == ["1", "2", "3"]


def test_a_begin_and_its_end_are_paired_within_a_second(tmp_path: Path) -> None:
    text = (
        "uid,time,item,marker\nu,2026-01-15 10:00:00.9,a,end\nu,2026-01-15 10:00:00.2,a,begin\n"
        "u,2026-01-15 10:00:01.5,b,begin\nu,2026-01-15 10:00:03.4,b,end\n"
    )
    found = behaviors(tmp_path, write(tmp_path, "a.csv", text))
    assert [(each.item, each.duration) for _user, each in found] == [("a", 0), ("b", 1)]


def test_equal_times_keep_the_order_of_the_file_and_of_the_files(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, f"{name}.csv", f"uid,time,item\nu,2026-01-15,{name}2\nu,2026-01-15,{name}1\n")
        for name in "ab"
    ]
    assert [each.item for _user, each in behaviors(tmp_path, *paths)] == ["a2", "a1", "b2", "b1"]


def test_technical_columns_are_not_compared(tmp_path: Path) -> None:
    text = "uid,time,item,insert_id\nu,2026-01-15,x,1\nu,2026-01-15,x,2\n"
    path = write(tmp_path, "a.csv", text)
    assert len(behaviors(tmp_path, path)) == 2
    columns = 'columns = {user = "uid", time = "time", item = "item"}'
    text = f'title = "own"\nrecognized_by = []\ntechnical = ["insert_id", "sent_at"]\n{columns}\n'
    schema = str(write(tmp_path, "own.toml", text))
    assert len(behaviors(tmp_path, path, schema=schema)) == 1
    with opened(tmp_path, path, schema=schema) as export:
        assert (export.compared, export.not_compared) == (("uid", "time", "item"), ("insert_id",))


def test_the_same_row_in_two_formats_and_orders_of_columns_counts_once(tmp_path: Path) -> None:
    a = write(tmp_path, "a.csv", "uid,time,item,note\nu,2026-01-15 10:00:00,x,\n")
    b = write(tmp_path, "b.jsonl", '{"item": "x", "time": "2026-01-15 10:00:00", "uid": "u"}\n')
    assert len(behaviors(tmp_path, a, b)) == 1


VALUES = st.sampled_from(["a", "b"])
FACTS = st.tuples(
    st.sampled_from(["view", "pv", "cart"]), VALUES, VALUES, VALUES, st.sampled_from(["1", "1.5"]), VALUES
)
STAMPS = st.tuples(st.sampled_from("uv"), st.integers(0, 3_000_000))  # microseconds


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(STAMPS, FACTS, min_size=1, max_size=12), st.data())
def test_any_order_and_any_split_into_files_give_the_same_logs(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[tuple[str, int], Row], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("split")
    spelled = [
        (user, (START + timedelta(microseconds=at)).isoformat(" "), *facts)
        for (user, at), facts in rows.items()
    ]
    whole = behaviors(folder, write_rows(folder / "whole.csv", sorted(spelled)))
    shuffled = data.draw(st.permutations(spelled))
    cut = data.draw(st.integers(0, len(shuffled)))
    parts = [part for part in (shuffled[:cut], shuffled[cut:]) if part]
    paths = [
        write_rows(folder / f"{number}{data.draw(st.sampled_from(['.csv', '.jsonl']))}", part)
        for number, part in enumerate(parts)
    ]
    split = behaviors(folder, *paths)
    assert [(user, each[:5]) for user, each in split] == [(user, each[:5]) for user, each in whole]
    assert len(whole) == len(rows)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("uv"), FACTS), min_size=1, max_size=12),
    st.sampled_from([".csv", ".jsonl"]),
)
def test_rows_that_differ_in_a_column_are_never_merged_and_equal_ones_are(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, Row]], suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("equal")
    spelled = [(user, "2026-01-15 10:00:00", *facts) for user, facts in rows]
    found = behaviors(folder, write_rows(folder / f"a{suffix}", spelled))
    assert len(found) == len(set(spelled))
