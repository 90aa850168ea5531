"""Every format of docs/formats.md is read as the page says, whatever its encoding and compression."""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from eventabs.errors import ConfigError, InputError
from eventabs.ingest.export import Export, open_export
from paths import ROOT

PAGE = ROOT / "docs" / "formats.md"
SAMPLES = re.findall(
    r"^```sample (\S+)\n(.*?)^```\n```behaviors\n(.*?)^```$",
    PAGE.read_text("utf-8"),
    re.MULTILINE | re.DOTALL,
)
CHINESE = "用户ID,行为类型,时间,商品\n" + "".join(
    f"u{n % 3},浏览,2026-01-15 10:{n:02}:00,新能源汽车的价格和试驾\n" for n in range(20)
)


def opened(folder: Path, *paths: Path, **wanted: Any) -> AbstractContextManager[Export]:  # noqa: ANN401  as open_export takes them
    given: dict[str, Any] = {"columns": {}, "profiles": "", "profile_columns": (), "timezone": ""}
    return open_export([str(path) for path in paths], work_dir=folder / "work", **(given | wanted))


def facts(folder: Path, *paths: Path, **wanted: Any) -> list[str]:  # noqa: ANN401  as open_export takes them
    with opened(folder, *paths, **wanted) as export:
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


@pytest.mark.parametrize(("name", "text", "behaviors"), SAMPLES, ids=[name for name, *_ in SAMPLES])
def test_a_sample_is_read_as_the_page_shows(tmp_path: Path, name: str, text: str, behaviors: str) -> None:
    assert facts(tmp_path, write(tmp_path, name, text)) == behaviors.splitlines()
    crlf = write(tmp_path, f"crlf-{name}", text.replace("\n", "\r\n"))
    assert facts(tmp_path, crlf) == behaviors.splitlines()


def test_the_page_has_all_its_samples() -> None:
    assert len(SAMPLES) == 13


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "zst": zstandard.compress,
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_encoding_and_compression_are_found(tmp_path: Path, codec: str, packed: str) -> None:
    expected = facts(tmp_path, write(tmp_path, "a.csv", CHINESE))
    data = PACKED[packed](CHINESE.encode(codec))
    assert facts(tmp_path, write(tmp_path, f"b.csv.{packed}", data)) == expected
    assert len(expected) == 20


@pytest.mark.parametrize("beginning", [5_000, 20_000])
def test_gbk_behind_a_long_ascii_beginning_is_found(tmp_path: Path, beginning: int) -> None:
    rows = "".join(f"u1,2026-01-15 10:00:00,item {n}\n" for n in range(beginning))
    text = f"uid,time,item\n{rows}u1,2026-01-15 11:00:00,新能源汽车的价格和试驾\n"
    assert facts(tmp_path, write(tmp_path, "a.csv", text.encode("gbk")))[-1].endswith("试驾||")


@pytest.mark.parametrize(
    ("text", "codec"),
    [("自動車の価格を調べた", "shift-jis"), ("자동차 가격을 검색했다", "euc-kr"), ("試駕預約與優惠價格", "big5"), ("café réservé à l'été", "latin-1"), ("车", "gbk")],
)  # fmt: skip
def test_an_encoding_that_is_not_certain_is_refused_until_it_is_named(
    tmp_path: Path, text: str, codec: str
) -> None:
    data = f"uid,time,item\nu1,2026-01-15 10:00:00,{text}\n".encode(codec)
    path = write(tmp_path, "a.csv", data)
    with pytest.raises(InputError, match=r"\[input\] encoding"), opened(tmp_path, path):
        pass
    (fact,) = facts(tmp_path, path, encoding=codec)
    assert text in fact


def test_an_encoding_that_does_not_exist_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", CHINESE)
    with pytest.raises(ConfigError, match="no encoding klingon"), opened(tmp_path, path, encoding="klingon"):
        pass
    with pytest.raises(InputError, match="is not ascii"), opened(tmp_path, path, encoding="ascii"):
        pass


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv.gz", gzip.compress(CHINESE.encode())[:-20])
    with pytest.raises(InputError, match="cannot be decompressed"), opened(tmp_path, path):
        pass


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


def test_a_folder_means_its_exports_without_profiles_and_what_runs_left(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "day=1").mkdir(parents=True)
    (folder / "in.eventabs").mkdir()
    write(folder / "in.eventabs", "ledger.sqlite", "x")
    write(folder / "in.eventabs", "events.jsonl", "{}")
    write(folder, "readme.txt", "hello")
    profiles = write(folder, "profiles.csv", "uid,age\nu1,40\n")
    write(folder, "a.csv", "uid,time,item\nu1,2026-01-15,x\n")
    write(folder / "day=1", "b.jsonl", '{"uid": "u2", "time": "2026-01-15", "item": "x"}\n')
    with opened(tmp_path, folder, profiles=str(profiles)) as export:
        assert [Path(path).name for path in export.files] == ["a.csv", "b.jsonl"]
        assert export.users == 2


def test_columns_name_a_csv_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "u1,7,shoes,buy,2026-01-15 10:00:00\n")
    header = ("user_id", "item_id", "category", "action", "timestamp")
    assert facts(tmp_path, path, header=header) == ["u1|2026-01-15T10:00:00|purchase|shoes 7||"]
    with (
        pytest.raises(InputError, match="has 5 fields in its first line"),
        opened(tmp_path, path, header=("a",)),
    ):
        pass


def test_dates_that_nothing_decides_are_refused_until_dayfirst_says(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,item\nu1,03/04/2026,x\n")
    with pytest.raises(InputError, match=r"\[input\] dayfirst"), opened(tmp_path, path):
        pass
    assert facts(tmp_path, path, dayfirst=True) == ["u1|2026-04-03T00:00:00||x||"]
    assert facts(tmp_path, path, dayfirst=False) == ["u1|2026-03-04T00:00:00||x||"]


def test_an_end_before_its_start_is_rejected(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user,start,end,item\nA,2026-01-15 10:00:00,2026-01-15 09:00:00,x\n")
    with opened(tmp_path, path) as export:
        assert export.reasons == {"bad_duration": 1}


def test_a_broken_element_of_an_array_is_rejected_alone(tmp_path: Path) -> None:
    good = '{"uid": "u1", "time": "2026-01-15", "item": "%s"}'
    path = write(tmp_path, "a.json", f'[{good % "a"},\n{{"uid": "u1", oops}},\n{good % "b, [c]"}, 7]\n')
    with opened(tmp_path, path) as export:
        assert [(row.line, row.reason) for row in export.rejects()] == [(2, "bad_json"), (4, "not_an_object")]
        assert (export.behaviors, export.rows) == (2, 4)


def test_an_array_larger_than_what_is_read_at_once_keeps_every_element(tmp_path: Path) -> None:
    rows = [
        {"uid": f"u{n}", "time": "2026-01-15", "item": 'a "quoted" [x], {y} \\' * 9} for n in range(9_000)
    ]
    for form in (json.dumps(rows), json.dumps(rows, indent=1)):
        with opened(tmp_path, write(tmp_path, "a.json", form)) as export:
            assert (export.users, export.behaviors, export.rejected_rows) == (9_000, 9_000, 0)


WRAPPED = {
    "exported": "2026-01-16",
    "data": [{"uid": "u1", "time": "2026-01-15", "item": 'a "quoted" [x], {y}'}] * 3,
    "city": "x",
    "more": [{"uid": "u2", "time": "2026-01-15", "item": "b", "city": "y"}],
}


@pytest.mark.parametrize("form", [{}, {"indent": 1}])
def test_an_object_around_all_records_is_read_as_a_stream_where_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: dict[str, Any]
) -> None:
    text = json.dumps(WRAPPED, **form)
    path = write(tmp_path, "a.json", text)
    monkeypatch.setattr("eventabs.ingest.json_records.LONGEST_LINE", 300)
    monkeypatch.setattr("eventabs.ingest.files.LONGEST_LINE", 300)
    monkeypatch.setattr("eventabs.ingest.json_records._CHUNK", 20)
    monkeypatch.setattr("eventabs.ingest.files._CHUNK", 100)
    columns = {"place": "city"}
    with opened(tmp_path, path, columns=columns) as export:
        assert (export.users, export.behaviors, export.duplicates, export.rejected_rows) == (2, 2, 2, 0)
        assert [log.behaviors[0].place for log in export.user_logs()] == ["x", "y"]
    path.write_text(json.dumps({"data": "x" * 400}, indent=1))
    with pytest.raises(InputError, match="has a JSON value longer than"), opened(tmp_path, path):
        pass


@pytest.mark.parametrize(
    "before",
    [
        '{"n": 1, "data": [\n',
        '{"n": 1,\n"data": [',
        '{"n": 1, "data": [{"uid": "u0",\n"time": "2026-01-15"},',
    ],
)
def test_an_object_around_records_may_break_its_lines_anywhere(tmp_path: Path, before: str) -> None:
    rows = ",\n".join(f'{{"uid": "u{n}", "time": "2026-01-15", "item": "x"}}' for n in (1, 2))
    with opened(tmp_path, write(tmp_path, "a.json", f"{before}{rows}\n]}}\n")) as export:
        assert [log.user_id for log in export.user_logs()][-2:] == ["u1", "u2"]


def test_a_first_line_that_is_cut_costs_no_other_line(tmp_path: Path) -> None:
    good = '{"uid": "u", "time": "2026-01-15", "item": "x"}\n'
    with opened(tmp_path, write(tmp_path, "a.jsonl", '{"uid": "u",\n' + good)) as export:
        assert (export.behaviors, export.reasons) == (1, {"bad_json": 1})


def test_equal_rows_are_kept_on_demand(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,item\n" + "u1,2026-01-15,x\n" * 3)
    with opened(tmp_path, path, keep_duplicates=True) as export:
        assert (export.behaviors, export.duplicates) == (3, 0)


# a large file, broken in ten ways

GOOD = "u{n},2026-01-15 10:00:00,item {n},60"
BROKEN = {
    "u{n}": "bad_csv",
    "u{n},2026-01-15 10:00:00,item,60,more": "bad_csv",
    'u{n},2026-01-15 10:00:00,"item,60': "bad_csv",
    "u{n},someday,item,60": "bad_time",
    "u{n},,item,60": "bad_time",
    "u{n},2026-13-45 10:00:00,item,60": "bad_time",
    ",2026-01-15 10:00:00,item,60": "no_user",
    "u{n},2026-01-15 10:00:00,,60": "no_behavior",
    "u{n},2026-01-15 10:00:00,item,long": "bad_duration",
    "u{n},2026-01-15 10:00:00,item,-5": "bad_duration",
}


def test_of_100_000_rows_each_of_the_1_000_broken_ones_is_named_by_its_line(tmp_path: Path) -> None:
    kinds = list(BROKEN)
    lines = ["uid,time,item,duration"]
    expected = []
    for number in range(100_000):
        if number % 100 == 37:
            kind = kinds[number // 100 % 10]
            expected.append((len(lines) + 1, BROKEN[kind], kind.format(n=number)))
            lines.append(kind.format(n=number))
        else:
            lines.append(GOOD.format(n=number // 2 * 2 if number % 1000 == 1 else number))
    with opened(tmp_path, write(tmp_path, "a.csv", "\n".join(lines) + "\n")) as export:
        assert [(row.line, row.reason, row.text) for row in export.rejects()] == expected
        assert export.duplicates == 100
        assert export.behaviors + export.rejected_rows + export.duplicates == export.rows == 100_000
        assert export.reasons == {
            reason: 100 * list(BROKEN.values()).count(reason) for reason in export.reasons
        }


def test_csv_of_events_is_safe_in_spreadsheets(tmp_path: Path) -> None:
    from eventabs.store.results import write_table  # noqa: PLC0415

    event = {
        "user_id": "=1+1", "type": "+看车", "category": "-", "start": "@x", "end": "\tz", "summary": '\rw, "q"',
        "behaviors": [1, 2], "grounded": True, "source": "llm",
    }  # fmt: skip
    lines = write(tmp_path, "events.jsonl", json.dumps(event) + "\n")
    write_table(lines, tmp_path / "events.csv", "csv")
    text = (tmp_path / "events.csv").read_bytes().decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    for key in ("user_id", "type", "category", "start", "end", "summary"):
        assert row[key] == f"'{event[key]}"
    assert (row["behaviors"], row["source"]) == ("[1,2]", "llm")
    write_table(lines, tmp_path / "events.parquet", "parquet")
    kept = duckdb.connect().execute(f"FROM '{tmp_path}/events.parquet'").fetchall()
    assert kept == [("=1+1", "+看车", "-", "@x", "\tz", '\rw, "q"', "llm", [1, 2], True)]


def test_one_line_in_another_encoding_is_named_by_its_number(tmp_path: Path) -> None:
    good = "user_id,timestamp,text\n" + "u,2026-01-01 10:00:00,好\n" * 15_003
    (tmp_path / "mixed.csv").write_bytes(good.encode() + "u,2026-01-01 10:00:00,车\n".encode("gbk"))
    with (
        pytest.raises(InputError, match=r"not UTF-8 \(line 15005\)"),
        open_export(
            [str(tmp_path / "mixed.csv")],
            columns={},
            profiles="",
            profile_columns=(),
            timezone="",
            work_dir=tmp_path,
        ),
    ):
        pass
