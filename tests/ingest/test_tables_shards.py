"""The shards of an input hold each row once, with the figures of the input when they are summed up."""

import csv
import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.ingest import sort_and_pair
from eventabs.ingest.opened_export import Export
from eventabs.shared_records import RejectedRow, Shard, UserLog
from input_files import opened

Figures = tuple[dict[str, int], list[UserLog], list[RejectedRow]]


COUNTED = (
    *("users", "behaviors", "duplicates", "paired_ends", "unpaired", "shortened", "skipped_lines"),
    *("non_behaviors", "rejected_rows", "rows"),
)


def figures(export: Export) -> Figures:
    counted = {name: getattr(export, name) for name in COUNTED}
    return counted | export.reasons, list(export.user_logs()), list(export.rejects())


def of_all_shards(folder: Path, path: Path, count: int) -> Figures:
    """Sum the shards up, and look at each alone: its own users, and all rows of the input told apart."""
    sums, logs, rejects = Counter[str](), list[UserLog](), list[RejectedRow]()
    with opened(folder, path) as export:
        rows = export.rows
    for index in range(count):
        shard = Shard(index, count)
        with opened(folder, path, shard=str(shard)) as export:
            counted, own, refused = figures(export)
            assert export.rows + export.other_rows == rows
        assert all(shard.holds(log.user_id) for log in own)
        sums.update(counted)
        logs += own
        rejects += refused
    in_order = sorted(rejects, key=lambda row: (row.file, row.line))
    return dict(sums), sorted(logs, key=lambda log: log.user_id), in_order


def write_rows(path: Path, rows: list[list[str]], form: str) -> Path:
    names = ["user_id", "time", "action", "item"]
    if form == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=False)), ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    elif form == "parquet":
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t ({', '.join(f'{name} VARCHAR' for name in names)})")
            connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
            connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL if form == "quoted.csv" else csv.QUOTE_MINIMAL)
            writer.writerows([names, *rows])
    return path


def random_rows(seed: int, count: int = 1500) -> list[list[str]]:
    """Rows of 60 users, many in one second, with repeated, unreadable and ownerless ones among them."""
    chosen = random.Random(seed)  # noqa: S311  no secret
    rows: list[list[str]] = []
    for number in range(count):
        user = "" if chosen.random() < 0.02 else f"用户{chosen.randrange(60)}"
        time = "soon" if chosen.random() < 0.02 else f"2026-01-{1 + number % 3:02d} 10:00:0{number % 4}"
        rows.append([user, time, "view", f"item {chosen.randrange(9)}"])
        if chosen.random() < 0.05:
            rows.append(rows[-1])
    return rows


@pytest.mark.parametrize(
    ("form", "count"), [("csv", 5), ("quoted.csv", 2), ("jsonl", 2), ("parquet", 3), ("csv", 1)]
)
def test_logs_rejects_and_figures_of_all_shards_are_those_of_the_input(
    tmp_path: Path, form: str, count: int
) -> None:
    path = write_rows(tmp_path / f"a.{form}", random_rows(7), form)
    with opened(tmp_path, path) as export:
        whole = figures(export)
    assert whole[0]["duplicates"] > 20
    assert whole[0]["rejected_rows"] > 20
    assert of_all_shards(tmp_path, path, count) == whole


def test_lines_that_are_no_rows_and_broken_records_are_of_one_shard(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"u{n % 7},2026-01-01 10:00:00,item {n}\n" for n in range(50))
    broken = 'u1\nu2,2026-01-01\n\nu3,2026-01-01 10:00:00,"two\nlines"\n'
    path.write_text(f"Exported on Monday\n\nuser_id,time,item\n{rows}{broken}{rows}Total: 50\n", "utf-8")
    with opened(tmp_path, path) as export:
        whole = figures(export)
    assert whole[0]["skipped_lines"] == 2
    assert whole[0]["rejected_rows"] == 2
    assert of_all_shards(tmp_path, path, 4) == whole


def test_begins_find_their_ends_in_a_shard(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows: list[dict[str, Any]] = [
        {"user_id": f"u{n % 5}", "time": f"2026-01-01T10:{n % 60:02d}:00", "action": action, "app": "mail"}
        for n in range(120)
        for action in ("open", "close")
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    with opened(tmp_path, path) as export:
        whole = figures(export)
    assert whole[0]["paired_ends"] > 0
    assert of_all_shards(tmp_path, path, 3) == whole


def test_a_row_that_cannot_be_read_is_rejected_in_its_own_shard_alone(tmp_path: Path) -> None:
    rows = [[f"u{n % 20}", "2026-01-01 10:00:00", "view", f"item {n}"] for n in range(5000)]
    rows[4000][1] = "soon"
    path = write_rows(tmp_path / "a.csv", rows, "csv")
    for index in range(4):
        with opened(tmp_path, path, shard=f"{index}/4") as export:
            found = [(row.line, row.reason) for row in export.rejects()]
        assert found == ([(4002, "bad_time")] if Shard(index, 4).holds("u0") else [])


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.integers(1, 999_999))
def test_python_and_the_database_find_the_same_shard(ids: list[str], count: int) -> None:
    ids = [user_id.replace("\0", "0") for user_id in ids]
    shard = Shard(int(hashlib.md5(ids[0].encode()).hexdigest()[:8], 16) % count, count)  # noqa: S324  no secret
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE users AS SELECT unnest(?::VARCHAR[]) AS id", [ids])
        found = connection.execute(
            f"SELECT id FROM users WHERE {sort_and_pair._is_own('id', shard)}"
        ).fetchall()
    assert [user_id for (user_id,) in found] == [user_id for user_id in ids if shard.holds(user_id)] != []


def test_the_number_of_an_id_is_what_md5sum_and_databases_compute() -> None:
    # as `printf %s u1 | md5sum` prints them
    for user, digits in (("u1", "e4774cdd"), ("用户1", "b7d964c4")):
        assert Shard(int(digits, 16) % 16, 16).holds(user)
        assert not Shard((int(digits, 16) + 1) % 16, 16).holds(user)


@pytest.mark.parametrize("text", ["", "3", "16/16", "1/0", "0/0", "-1/4", "1/4 ", "a/b", "１/4", "1/4/4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it takes i/N with i from 0 to N-1, such as 0/16"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read() -> None:
    assert str(Shard.parse("03/16")) == "3/16"
