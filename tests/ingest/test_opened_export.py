"""From files to user logs: nothing is lost, everything is in order."""

import gzip
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.errors_and_exit_codes import ConfigError, InputError
from eventabs.shared_records import Behavior, RejectedRow, UserLog
from eventabs.stop_request import Stop, StopRequested
from input_files import opened, write


def json_lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def sentence(user: str | int, time: str, text: str) -> dict[str, Any]:
    return {"user_id": user, "timestamp": time, "behavior_text": text}


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_path_that_begins_with_a_tilde_is_no_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [sentence("u1", f"2026-01-15 0{hour}:00:00", "遛狗") for hour in range(3)]
    for name in ("~$a.jsonl", "~b.csv"):
        text = json_lines(*rows) if name.endswith("l") else "user_id,time,item\nu1,2026-01-15 07:00:00,x\n"
        write(tmp_path, name, text)
        with opened(tmp_path / "work", name) as export:
            assert export.users == 1


def test_several_files_of_different_shapes_become_one_log_for_each_user(tmp_path: Path) -> None:
    head = "用户ID,行为类型,时间,商品,网站,时长\n"
    rows = "u2,浏览,2026/01/15 09:00,博越,懂车帝,292\nu1,buy,2026-01-15 08:00:00,X5,,\n"
    stay = sentence("u1", "2026-01-15T10:00:42", "在XX西餐厅停留 1小时14分钟")
    walk = sentence("u1", "2026-01-15 07:00:00", "遛狗")
    a = str(write(tmp_path, "a.jsonl", json_lines(stay, walk)))
    b = str(write(tmp_path, "b.csv", head + rows))
    with opened(tmp_path, b, str(tmp_path / "*.jsonl")) as export:
        assert export.files == (a, b)
        assert export.roles[a] == {"user": "user_id", "time": "timestamp", "text": "behavior_text"}
        assert export.roles[b]["media"] == "网站"
        assert (export.users, export.behaviors, export.rejected_rows, export.duplicates) == (2, 4, 0, 0)
        assert list(export.user_logs()) == [
            UserLog(
                "u1",
                (
                    Behavior(wall("2026-01-15T07:00:00"), "", "遛狗", "", None, 0, 2, "遛狗"),
                    Behavior(wall("2026-01-15T08:00:00"), "purchase", "X5", "", None, 1, 3),
                    Behavior(
                        wall("2026-01-15T10:00:42"),
                        "visit",
                        "XX西餐厅",
                        "",
                        4440,
                        0,
                        1,
                        stay["behavior_text"],
                    ),
                ),
            ),
            UserLog("u2", (Behavior(wall("2026-01-15T09:00:00"), "browse", "博越", "懂车帝", 292, 1, 2),)),
        ]
        assert list(export.rejects()) == []
    assert not list((tmp_path / "work").iterdir())


def test_rejected_rows_come_in_order_with_true_lines_texts_and_users(tmp_path: Path) -> None:
    good = sentence("u1", "2026-01-15 10:00:00", "遛狗")
    broken = "\n" + json_lines(good) + "{broken\n[1]\n" + json_lines(sentence("u2", "soon", "x"))
    a = str(write(tmp_path, "a.jsonl", broken))
    rows = 'uid,time,text,dwell\nu3,2026-01-15,"x\ny",-1\n\nu4,2026-01-15\n,2026-01-15,x,\n'
    b = str(write(tmp_path, "b.csv", rows))
    with opened(tmp_path, a, b) as export:
        assert list(export.rejects()) == [
            RejectedRow(a, 3, "bad_json", "{broken"),
            RejectedRow(a, 4, "not_an_object", "[1]"),
            RejectedRow(a, 5, "bad_time", json_lines(sentence("u2", "soon", "x")).strip(), "u2"),
            RejectedRow(b, 2, "bad_duration", 'u3,2026-01-15,"x\ny",-1', "u3"),
            RejectedRow(b, 5, "bad_csv", "u4,2026-01-15", "u4"),
            RejectedRow(b, 6, "no_user", ",2026-01-15,x,"),
        ]
        assert export.rejected_rows == 6
        found = {log.user_id: len(log.behaviors) for log in export.user_logs()}
        assert found == {"u1": 1, "u2": 0, "u3": 0, "u4": 0}


def test_rows_with_a_nul_are_rejected_and_the_others_read(tmp_path: Path) -> None:
    good = json_lines(sentence("u1", "2026-01-15 10:00:00", "遛狗")) * 3
    path = write(
        tmp_path, "a.jsonl", '{"user_id": "a\0b", "timestamp": "2026-01-15", "behavior_text": "x"}\n' + good
    )
    with opened(tmp_path, path) as export:
        assert (export.behaviors, export.rejected_rows, export.duplicates) == (1, 1, 2)


def test_user_ids_that_are_numbers_become_their_text_in_codepoint_order(tmp_path: Path) -> None:
    rows = [sentence(user, "2026-01-15 10:00:00", "x") for user in (10, 9, "é", "z", "用户", 2**70)]
    path = write(tmp_path, "a.jsonl", json_lines(*rows))
    with opened(tmp_path, path) as export:
        assert [log.user_id for log in export.user_logs()] == ["10", str(2**70), "9", "z", "é", "用户"]


def test_codes_have_their_name_with_and_without_a_decimal_and_a_name_given_for_one_wins(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path, "a.csv", "uid,time,action,item\n7,2026-01-15,1,x\n7,2026-01-16,1.0,x\n7,2026-01-17,2.0,x\n"
    )
    with opened(tmp_path, path, names={"1": "buy", "2.0": "search", "2": "view"}) as export:
        (log,) = export.user_logs()
        assert [each.action for each in log.behaviors] == ["purchase", "purchase", "search"]


def test_epochs_are_utc_and_zoned_times_keep_their_offset(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,event\na,1767225600,x\nb,2026-01-01T10:00:00+05:30,x\n")
    with opened(tmp_path, path) as export:
        first, second = (log.behaviors[0].start for log in export.user_logs())
    assert (first.isoformat(), second.isoformat()) == (
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T10:00:00+05:30",
    )


def test_with_a_time_zone_all_times_are_its_wall_times(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.csv",
        "uid,time,event\na,1767225600,x\na,2026-01-01 09:00:00,x\na,2026-01-01T10:00:00+05:30,x\na,never,x\n",
    )
    with opened(tmp_path, path, timezone="Asia/Shanghai") as export:
        (log,) = export.user_logs()
        assert export.rejected_rows == 1
    assert [each.start.isoformat()[11:19] for each in log.behaviors] == ["08:00:00", "09:00:00", "12:30:00"]
    assert {each.start.isoformat()[19:] for each in log.behaviors} == {"+08:00"}


def test_a_wrong_time_zone_is_an_error_of_the_config(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,event\n")
    with pytest.raises(ConfigError, match="no time zone Nowhere"), opened(tmp_path, path, timezone="Nowhere"):
        pass


@pytest.mark.parametrize("word", ["{}", "{stm}"])
def test_a_word_in_braces_that_means_no_user_is_refused(tmp_path: Path, word: str) -> None:
    path = write(tmp_path, "a.csv", "time,item\n2026-01-01 10:00:00,x\n")
    with pytest.raises(ConfigError, match=f"{word} is not known; write"), opened(tmp_path, path, user=word):
        pass


def test_profiles_join_by_user_in_the_wanted_order_and_make_no_users(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,event\nu1,2026-01-15,x\nu2,2026-01-15,x\n")
    rows = '用户ID,城市,年龄,vip,性别,收入\nu1," 北\n京 ",40,yes,,9\nu3,上海,20,no,女,1\n'
    profiles = str(write(tmp_path, "p.csv", rows))
    wanted = ("age", "gender", "city", "vip")
    with opened(tmp_path, path, profiles=profiles, profile_columns=wanted) as export:
        assert [(log.user_id, log.profile) for log in export.user_logs()] == [
            ("u1", (("age", "40"), ("city", "北 京"), ("vip", "yes"))),
            ("u2", ()),
        ]


def test_profiles_may_be_json_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,event\n7,2026-01-15,x\n")
    profiles = str(write(tmp_path, "p.jsonl", json_lines({"user_id": 7, "age": 40, "tags": ["a"]})))
    with opened(tmp_path, path, profiles=profiles, profile_columns=("tags", "age")) as export:
        (log,) = export.user_logs()
    assert log.profile == (("tags", '["a"]'), ("age", "40"))


def test_missing_profiles_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "uid,time,event\n")
    with (
        pytest.raises(InputError, match=r"p\.csv does not exist"),
        opened(tmp_path, path, profiles=str(tmp_path / "p.csv")),
    ):
        pass


def test_profiles_are_one_file_also_where_a_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    rows = write(tmp_path, "rows.jsonl", json_lines(sentence("u1", "2024-06-01 10:00:00", "去公园")))
    write(folder, "1.csv", "user_id,age\nu1,30\n")
    with opened(tmp_path, rows, profiles=str(folder)) as export:
        assert export.users == 1
    write(folder, "2.csv", "user_id,age\nu2,30\n")
    with pytest.raises(InputError, match="names 2 files"), opened(tmp_path, rows, profiles=str(folder)):
        pass


def test_the_fingerprint_follows_content_and_profiles_not_names(tmp_path: Path) -> None:
    text = "uid,time,event\nu1,2026-01-15,x\n"
    a, b = (write(tmp_path, name, text) for name in ("a.csv", "b.csv"))
    other = write(tmp_path, "c.csv", text + "\n")
    profiles = str(write(tmp_path, "p.csv", "uid,age\nu1,40\n"))
    prints = []
    for path, profile in ((a, ""), (b, ""), (other, ""), (a, profiles)):
        with opened(tmp_path, path, profiles=profile) as export:
            prints.append(export.fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_logs_can_be_read_twice_and_left_in_the_middle(tmp_path: Path) -> None:
    rows = [sentence(f"u{number:05}", "2026-01-15 10:00:00", "x") for number in range(25_000)]
    path = write(tmp_path, "a.jsonl", json_lines(*rows))
    with opened(tmp_path, path) as export:
        begun = export.user_logs()
        assert next(begun).user_id == "u00000"
        assert [log.user_id for log in export.user_logs()] == [row["user_id"] for row in rows]
        assert next(begun).user_id == "u00001"


def test_a_header_without_rows_is_an_export_without_users(tmp_path: Path) -> None:
    with opened(tmp_path, write(tmp_path, "a.csv", "uid,time,event\n")) as export:
        assert (export.users, list(export.user_logs())) == (0, [])


def test_no_error_of_duckdb_reaches_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        message = "no memory\nat all"
        raise duckdb.OutOfMemoryException(message)

    monkeypatch.setattr("eventabs.ingest.sort_and_pair.finish", fail)
    path = write(tmp_path, "a.csv", "uid,time,event\n")
    with pytest.raises(InputError, match="the export cannot be read: no memory;"), opened(tmp_path, path):
        pass


START = datetime.fromisoformat("2026-01-01")
GOOD = st.builds(
    lambda user, minutes, text: sentence(user, (START + timedelta(minutes=minutes)).isoformat(" "), text),
    st.sampled_from("abc"),
    st.integers(0, 3),
    st.sampled_from(["x", "y"]),
)
LINE = st.one_of(
    GOOD.map(json.dumps),
    st.sampled_from(["", "  ", "{", "[]", '{"user_id": "d"}', '{"timestamp": "2026-01-01 00:00:00"}']),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LINE, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_rows_in_are_behaviors_rejects_and_duplicates_and_order_is_that_of_a_plain_sort(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], newline: str
) -> None:
    folder = tmp_path_factory.mktemp("export")
    first = json.dumps(sentence("a", "2026-01-01 00:00:00", "first"))
    path = write(folder, "a.jsonl", newline.join([first, *lines]))
    rows = [(number, line) for number, line in enumerate([first, *lines], start=1) if line.strip()]
    readable = [(number, json.loads(line)) for number, line in rows if "behavior_text" in line]
    kept = {
        (row["user_id"], row["timestamp"], row["behavior_text"]): number for number, row in reversed(readable)
    }
    with opened(folder, path) as export:
        logs = list(export.user_logs())
        rejects = list(export.rejects())
    assert export.behaviors + export.rejected_rows + export.duplicates == len(rows)
    assert [reject.line for reject in rejects] == [
        number for number, line in rows if "behavior_text" not in line
    ]
    found = [
        (log.user_id, each.start.isoformat(" "), each.line, each.text)
        for log in logs
        for each in log.behaviors
    ]
    assert found == sorted((user, time, number, text) for (user, time, text), number in kept.items())
    assert {log.user_id for log in logs} == {row["user_id"] for _, row in readable} | (
        {"d"} if any('"d"' in line for line in lines) else set()
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".csv.gz"])
def test_a_requested_stop_ends_the_reading(tmp_path: Path, suffix: str) -> None:
    lines = {
        ".csv": 'user_id,timestamp,item\nu,2026-01-01 10:00:00,"a\n\nb"\n',
        ".jsonl": '{"user_id": "u", "timestamp": "2026-01-01 10:00:00", "item": "a"}\n',
        ".json": '[{"user_id": "u", "timestamp": "2026-01-01 10:00:00", "item": "a"}]',
    }
    text = lines[suffix.removesuffix(".gz")].encode()
    path = write(tmp_path, f"export{suffix}", gzip.compress(text) if suffix.endswith(".gz") else text)
    stop = Stop()
    stop.request()
    with pytest.raises(StopRequested), opened(tmp_path, path, stop=stop):
        raise AssertionError


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_rows_of_a_large_file_keep_their_lines_whatever_thread_reads_them(
    tmp_path: Path, form: str
) -> None:
    rows = [(f"u{number % 7}", "2026-01-15 10:00:42", f"{number} {'x' * 300}") for number in range(30_000)]
    if form == "csv":
        text = "user_id,time,item\n" + "".join(f"{','.join(row)}\n" for row in rows)
    else:
        text = json_lines(*(dict(zip(("user_id", "time", "item"), row, strict=True)) for row in rows))
    path = write(tmp_path, f"large.{form}", text)
    first_line = 2 if form == "csv" else 1
    with opened(tmp_path, path) as export:
        wrong = [
            behavior.line
            for log in export.user_logs()
            for behavior in log.behaviors
            if rows[behavior.line - first_line][::2] != (log.user_id, behavior.item)
        ]
    assert wrong == []
