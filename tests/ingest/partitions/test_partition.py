"""A shard finds in a divided input what it would have read by itself, and the input is read once."""

import csv
import json
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors import NO_ROOM, DiskFullError, InputError
from eventabs.ingest import open_export
from eventabs.ingest.export import Export
from eventabs.ingest.partitions.partition import Read, Staged, staged_part
from eventabs.records import Copying, Shard
from eventabs.stop import Stop, StopRequested
from object_server import object_server
from tool_exports import EXPORTS, SESSION


def opened(
    folder: Path,
    paths: list[Path],
    shard: Shard,
    **options: Any,  # noqa: ANN401  those of open_export
) -> AbstractContextManager[Export]:
    defaults = {"columns": {}, "profiles": "", "profile_columns": (), "timezone": ""}
    work = folder / f"work-{shard.index}"
    return open_export(list(map(str, paths)), work_dir=work, shard=shard, **{**defaults, **options})


def all_of(export: Export) -> dict[str, Any]:
    """Return all that an export says."""
    said = {each.name: getattr(export, each.name) for each in fields(export) if each.name[0] != "_"}
    logs, rejects = list(export.user_logs()), list(export.rejects())
    sums = [(group.users, sorted(group.names), group.active_days()) for group in export.groups()]
    return {
        **said,
        "logs": logs,
        "rejects": rejects,
        "ids": list(export.user_ids()),
        "span": export.span(),
        "sums": sums,
    }


def differences(
    folder: Path,
    paths: list[Path],
    count: int,
    **options: Any,  # noqa: ANN401  those of open_export
) -> list[str]:
    """Name what the shards say otherwise out of a divided input. Scratch folders are gone afterwards."""
    found = []
    for index in range(count):
        shard = Shard(index, count)
        with opened(folder, paths, shard, **options) as export:
            alone = all_of(export)
        with opened(folder, paths, shard, partitions=folder / "partitions", **options) as export:
            divided = all_of(export)
        found += [f"{shard} {name}" for name in alone if alone[name] != divided[name]]
        assert not list(folder.glob("work-*/*"))
    assert not (folder / "partitions" / "reading.tmp").exists()
    return found


def rows_of(seed: int, count: int = 1200) -> list[list[str]]:
    """Rows of 40 users, many in one minute and one second, with repeated, unreadable and ownerless ones among them."""
    chosen = random.Random(seed)  # noqa: S311  no secret
    rows: list[list[str]] = []
    for number in range(count):
        user = "" if chosen.random() < 0.02 else f"用户{chosen.randrange(40)}"
        time = "soon" if chosen.random() < 0.03 else f"2026-01-{1 + number % 3:02d} 10:00:0{number % 4}"
        rows.append([user, time, chosen.choice(["view", "open", "close"]), f"item, {chosen.randrange(9)}"])
        if chosen.random() < 0.05:
            rows.append(rows[-1])
    return rows


def table(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["user_id", "time", "action", "item"], *rows])
    return path


def lines(path: Path, rows: list[list[str]]) -> Path:
    records = [dict(zip(("user_id", "time", "action", "item"), row, strict=True)) for row in rows]
    path.write_text("\n".join(json.dumps(each) for each in records) + "\n{broken\n", "utf-8")
    return path


def test_shards_of_several_files_with_profiles_find_what_they_would_have_read(tmp_path: Path) -> None:
    profiles = tmp_path / "profiles.csv"
    about = "".join(f"用户{number},{20 + number},city {number}\n" for number in range(0, 40, 2))
    profiles.write_text(f"user_id,age,city\n{about}用户2,99,other\n", "utf-8")
    paths = [table(tmp_path / "a.csv", rows_of(1)), lines(tmp_path / "b.jsonl", rows_of(2))]
    wanted = {"profiles": str(profiles), "profile_columns": ["age", "city"]}
    assert differences(tmp_path, paths, 3, **wanted) == []


def test_titles_sums_broken_records_and_begins_with_ends_are_those_of_one_shard(tmp_path: Path) -> None:
    rows = "".join(
        f"u{n % 7},2026-01-01 10:{n % 60:02d}:00,{'open' if n % 2 else 'close'},mail\n" for n in range(90)
    )
    broken = 'u1\nu2,2026-01-01\n\nu3,2026-01-01 10:00:00,view,"two\nlines"\n'
    path = tmp_path / "a.csv"
    path.write_text(
        f"Exported on Monday\n\nuser_id,time,action,app\n{rows}{broken}{rows}Total: 50\n", "gb18030"
    )
    assert differences(tmp_path, [path], 4) == []


@pytest.mark.parametrize("name", ["ga4.jsonl", "matomo.json", "snowplow.tsv", "alipay.csv"])
def test_exports_of_known_tools_are_divided_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(EXPORTS[name][1](SESSION), "utf-8")
    assert differences(tmp_path, [path], 2, user="me" if name == "alipay.csv" else "") == []


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 9))
def test_any_shards_find_what_they_would_have_read(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    assert differences(folder, [table(folder / "a.csv", rows_of(seed, 150))], count) == []


def test_shards_that_begin_at_once_read_the_input_once_between_them(tmp_path: Path) -> None:
    with object_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.variables.items():
            patch.setenv(name, value)
        table(tmp_path / "a.csv", rows_of(3))
        server.put("s3://bucket/a.csv", (tmp_path / "a.csv").read_bytes())
        read: list[tuple[int, int]] = []
        copied: list[Copying] = []

        def work(index: int) -> None:
            with open_export(
                ["s3://bucket/a.csv"],
                columns={},
                profiles="",
                profile_columns=(),
                timezone="",
                work_dir=tmp_path / f"work-{index}",
                shard=Shard(index, 4),
                partitions=tmp_path / "partitions",
                on_copy=copied.append,
            ) as export:
                read.append((export.users, export.other_rows + export.rows))

        threads = [Thread(target=work, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(copied) == 1
    assert sum(users for users, _rows in read) == 40
    assert len({rows for _users, rows in read}) == 1


def test_what_is_divided_is_good_though_the_input_is_gone_since(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", rows_of(4))
    with opened(tmp_path, [path], Shard(0, 2), partitions=tmp_path / "partitions") as export:
        first = export.fingerprint
    path.unlink()
    with opened(tmp_path, [path], Shard(1, 2), partitions=tmp_path / "partitions") as export:
        assert (export.fingerprint, len(list(export.rejects())) > 5) == (first, True)


def test_an_input_that_cannot_be_read_leaves_nothing_and_the_next_shard_tries_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    for index in range(2):
        with (
            pytest.raises(InputError, match="neither a user nor a time"),
            opened(tmp_path, [path], Shard(index, 2), partitions=tmp_path / "partitions"),
        ):
            pass
    assert [each.name for each in (tmp_path / "partitions").iterdir()] == ["lock"]


def test_a_strict_reading_refuses_the_first_row_of_all_shards(tmp_path: Path) -> None:
    rows = [[f"u{n % 20}", "2026-01-01 10:00:00", "view", f"item {n}"] for n in range(3000)]
    rows[2000][1] = "soon"
    path = table(tmp_path / "a.csv", rows)
    for index in range(2):
        with (
            pytest.raises(InputError, match=r"line 2002 cannot be read \(bad_time\)"),
            opened(tmp_path, [path], Shard(index, 2), strict=True, partitions=tmp_path / "partitions"),
        ):
            pass


def test_where_there_is_no_room_for_all_rows_each_shard_reads_by_itself(tmp_path: Path) -> None:
    tried: list[Shard | None] = []

    @contextmanager
    def read(_folder: Path, shard: Shard | None) -> Iterator[Staged]:
        tried.append(shard)
        if shard is None:
            raise DiskFullError(next(iter(NO_ROOM)))
        yield cast("Staged", None)

    reading: Read = read
    for index in range(2):
        with staged_part(tmp_path / "partitions", Shard(index, 2), tmp_path, reading, Stop()):
            pass
    assert tried == [None, Shard(0, 2), Shard(1, 2)]


def test_a_shard_that_waits_for_another_ones_reading_heeds_a_stop(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", rows_of(5, 50))
    stop = Stop()

    @contextmanager
    def read(_folder: Path, _shard: Shard | None) -> Iterator[Staged]:
        stop.request()
        with (
            pytest.raises(StopRequested),
            opened(tmp_path, [path], Shard(1, 2), partitions=tmp_path / "partitions", stop=stop),
        ):
            pass
        raise InputError
        yield

    with pytest.raises(InputError), staged_part(tmp_path / "partitions", Shard(0, 2), tmp_path, read, Stop()):
        pass
