"""Paths reach values inside objects, lists and texts of JSON, in every format alike; a literal name wins."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest.inner_paths import InnerPath, Inventory, parse_path, read_paths
from eventabs.shared_records import UserLog
from input_files import opened

ROW = {
    "when": "2026-01-15 10:00:42",
    "who": {"id": "u1", "a.b": "dotted", "a": {"b": "path"}},
    "params": [
        {"key": "page_title", "value": {"string_value": "Home"}},
        {"key": "step", "value": {"int_value": 3}},
    ],
    "items": [{"item_name": "Tent"}, {"item_name": "Boots"}],
    "contexts": {"data": [{"schema": "iglu:com.acme/product/1-0-0", "data": {"name": "Stove"}}]},
    "more": '{"inner": {"deep": "JSON in a text"}}',
}
VALUES = {
    "who.id": "u1",
    "who.a.b": "dotted",
    'who["a.b"]': "dotted",
    "params[page_title].value.string_value": "Home",
    "params[step].value.int_value": "3",
    "items[0].item_name": "Tent",
    "items[1].item_name": "Boots",
    "items[*].item_name": "Tent, Boots",
    "contexts.data[iglu:com.acme/product/*].data.name": "Stove",
    "more.inner.deep": "JSON in a text",
}


def read(folder: Path, path: Path, **wanted: Any) -> list[UserLog]:  # noqa: ANN401  as open_export takes them
    with opened(folder, path, **wanted) as export:
        return list(export.user_logs())


FORMATS = ("json", "csv", "structs", "texts")


def _file(folder: Path, row: Mapping[str, Any], form: str = "json") -> Path:
    """Write the row as JSON, as CSV with JSON in its fields, or as Parquet with structs or with texts."""
    lines, table, parquet = folder / "rows.jsonl", folder / "rows.csv", folder / "rows.parquet"
    lines.write_text(json.dumps(row) + "\n", "utf-8")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(row)
        writer.writerow(value if isinstance(value, str) else json.dumps(value) for value in row.values())
    if form in ("structs", "texts"):
        source = f"read_json('{lines}')" if form == "structs" else f"read_csv('{table}', all_varchar = true)"
        duckdb.execute(f"COPY (SELECT * FROM {source}) TO '{parquet}'")
    return {"json": lines, "csv": table}.get(form, parquet)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("paths", list(zip(*[iter(VALUES)] * 2, strict=True)))
def test_a_path_gives_the_same_value_in_every_format(
    tmp_path: Path, paths: tuple[str, str], form: str
) -> None:
    item, place = paths
    named = {"user": "who.id", "time": "when", "item": item, "place": place}
    ((behavior,),) = [log.behaviors for log in read(tmp_path, _file(tmp_path, ROW, form), columns=named)]
    assert (behavior.item, behavior.place) == (VALUES[item], VALUES[place])


@pytest.mark.parametrize("form", FORMATS)
def test_usual_names_are_found_inside_objects_where_no_column_has_one(tmp_path: Path, form: str) -> None:
    row = {"user": {"id": "u1"}, "props": {"timestamp": "2026-01-15 10:00:42", "item_name": "Tent"}}
    (log,) = read(tmp_path, _file(tmp_path, row, form))
    assert (log.user_id, log.behaviors[0].item) == ("u1", "Tent")


def test_a_column_wins_over_what_lies_inside_another(tmp_path: Path) -> None:
    row = {
        "user_id": "outer",
        "time": "2026-01-15 10:00:42",
        "item": "x",
        "props": {"user_id": "inner", "item": "y"},
    }
    (log,) = read(tmp_path, _file(tmp_path, row))
    assert (log.user_id, log.behaviors[0].item) == ("outer", "x")


def test_a_literal_key_with_a_dot_wins_over_the_path(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"user": "u1", "time": "2026-01-15 10:00:42", "thing.name": "literal", "thing": {"name": "path"}}\n',
        "utf-8",
    )
    (log,) = read(tmp_path, file, columns={"item": "thing.name"})
    assert log.behaviors[0].item == "literal"


def test_a_key_with_brackets_is_named_as_it_is(tmp_path: Path) -> None:
    row = {"user": "u1", "time": "2026-01-15 10:00:42", "thing": {'a["b"]': "literal"}}
    (log,) = read(tmp_path, _file(tmp_path, row), columns={"item": 'thing.a["b"]'})
    assert log.behaviors[0].item == "literal"


def test_a_broken_text_of_json_costs_its_own_row_only(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        "user,time,props\n"
        'u1,2026-01-15 10:00:42,"{""item_name"": ""Tent""}"\n'
        'u1,2026-01-15 10:00:43,"{""item_name"": ""Te"\n'
        'u1,2026-01-15 10:00:43,"{""item_name"": ""Boots""}"\n',
        "utf-8",
    )
    (log,) = read(tmp_path, file)
    assert [behavior.item for behavior in log.behaviors] == ["Tent", "Boots"]


def test_a_path_that_no_column_begins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no column properties\.name .* it has: when, who"):
        read(tmp_path, _file(tmp_path, ROW), columns={"item": "properties.name"})


NAMES = st.text(st.sampled_from('ab.[]"*~/ 商'), min_size=1, max_size=4)
TREES = st.recursive(
    st.text(st.sampled_from("xyz"), min_size=1, max_size=3),
    lambda inner: (
        st.dictionaries(NAMES, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=2)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(row=st.dictionaries(st.sampled_from(["a", "b.c", "商 品"]), TREES, min_size=1))
def test_every_path_that_is_listed_leads_to_its_value(row: dict[str, Any]) -> None:
    inventory = Inventory(tuple(row), [row])
    relation, values = read_paths("SELECT ? AS text", "text", inventory.leaves, inventory.texts)
    if not values:
        return
    query = f"SELECT {', '.join(values.values())} FROM ({relation})"
    (found,) = duckdb.connect().execute(query, [json.dumps(row)]).fetchall()
    assert dict(zip(values, found, strict=True)) == {path: _value(row, path) for path in values}


def _value(row: dict[str, Any], path: InnerPath) -> object:
    value: Any = row[path.column]
    for step in path.steps:
        value = value[step]
    return value


@given(
    row=st.dictionaries(
        st.sampled_from(["a", "b.c"]), st.dictionaries(NAMES, st.just("x"), min_size=1), min_size=1
    )
)
def test_what_is_listed_can_be_named_so(row: dict[str, Any]) -> None:
    inventory = Inventory(tuple(row), [row])
    for leaf in inventory.leaves:
        if not any(mark in str(step) for step in leaf.steps for mark in '"'):
            assert parse_path(str(leaf), inventory.columns) == leaf
