"""What a name alone does not tell is found by values; a column of words that reaches no line is said, with what takes it."""

from pathlib import Path

import pytest

from input_files import opened, write
from paths import ROOT

TIMES = ("2026-01-15 10:00:42", "2026-01-15 10:00:42", "2026-01-15 10:00:43")


def roles(folder: Path, header: str, *rows: str) -> dict[str, str]:
    path = write(folder, "a.csv", "\n".join([header, *rows]) + "\n")
    with opened(folder, path) as export:
        return export.description.columns


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("逛店秒数", ("90", "12.5", ""), "duration"),
        ("逛店分钟数", ("90", "12.5", "7"), "duration"),
        ("seen_duration", ("1h 20m", "3m", "45s"), "duration"),
        ("离店时刻", TIMES, "end"),
        ("until", TIMES, "end"),
        ("video_duration", ("90", "12", "7"), ""),
        ("score", ("90", "12", "7"), ""),
        ("gender", TIMES, ""),
        ("send_time", TIMES, ""),
        ("updated_at", TIMES, ""),
        ("user_level", ("1", "2", "3"), ""),
    ],
)
def test_a_duration_or_an_end_is_known_by_the_words_of_its_name(
    tmp_path: Path, name: str, values: tuple[str, ...], role: str
) -> None:
    rows = [f"u{n},{time},tent,{value}" for n, (time, value) in enumerate(zip(TIMES, values, strict=True))]
    found = roles(tmp_path, f"user,time,item,{name}", *rows)
    assert {each for each, column in found.items() if column == name} == ({role} - {""})


def test_a_clock_time_is_taken_with_the_day_beside_it(tmp_path: Path) -> None:
    rows = [f"u1,{time[:10]},{time[11:]},tent" for time in TIMES]
    found = roles(tmp_path, "user,日期,时刻,item", *rows)
    assert (found["time"], found["date"]) == ("时刻", "日期")


def test_the_finer_of_two_times_is_taken(tmp_path: Path) -> None:
    rows = [f"u1,{time[:10]},{time},tent" for time in TIMES]
    assert roles(tmp_path, "user,event_date,logged,item", *rows)["time"] == "logged"
    assert roles(tmp_path, "user,event_date,created_at,item", *rows)["time"] == "created_at"


def test_who_tells_rows_apart_is_the_user_rather_than_the_one_device(tmp_path: Path) -> None:
    rows = [f"phone,{TIMES[0]},tent,c{number}" for number in range(20)]
    assert roles(tmp_path, "device_id,time,item,读者代码", *rows)["user"] == "读者代码"


@pytest.mark.parametrize(
    ("head", "row", "expected"),
    [
        (
            "participant__id,participant__code,time,item",
            "{part},{n},{time},tent",
            {"user": "participant__code"},
        ),
        ("u,t,item", "{few},{time},tent {n}", {"user": "u", "time": "t"}),
        (
            "user,Date,Start,End,item",
            "u{n},22.11.2026,0{few}:30,09:00,tent",
            {"date": "Date", "time": "Start", "end": "End"},
        ),
        ("user,time,course,content", "u{n},{time},one,part {few}", {"item": "content"}),
        ("user,time,性别,评论", "u{few},{time},男,第{row}次露营时我们又带了这顶帐篷", {"item": "评论"}),
    ],
)
def test_values_choose_where_names_do_not(
    tmp_path: Path, head: str, row: str, expected: dict[str, str]
) -> None:
    rows = [
        row.format(row=r, n=r % 60, part=r % 60 % 9, few=r % 9, time=f"2026-01-15 10:00:{r % 60:02}")
        for r in range(120)
    ]
    assert roles(tmp_path, head, *rows).items() >= expected.items()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"meta": 1, "data": [{"user": "u", "time": "2026-01-15 10:00", "item": "tent"}]}', "unwrapped"),
        ('{"user": "u", "time": "2026-01-15 10:00", "item": "a", "all": [{"b": 1}]}', "one_row"),
        (
            "user,time,text,item\n" + "u,2026-01-15 10:00,we slept,tent\nu,2026-01-15 10:01,we ate,stove\n",
            "hidden_object",
        ),
        ("user,time,action,hit\n" + "u,2026-01-15 10:00,see,\"{'page': 'a'}\"\n", "python_objects"),
    ],
)
def test_what_reaches_no_line_or_stands_for_the_rows_is_said(tmp_path: Path, text: str, code: str) -> None:
    with opened(tmp_path, write(tmp_path, "a.json" if text[0] == "{" else "a.csv", text)) as export:
        assert [warning.code for warning in export.description.warnings] == [code]


def test_rows_before_a_login_are_said_and_the_setting_joins_them(tmp_path: Path) -> None:
    row = '{{"messageId": "{n}", "type": "track", "event": "Tapped", "anonymousId": "d", "userId": {user}, "timestamp": "2026-01-15T10:00:0{n}Z"}}\n'
    path = write(tmp_path, "a.jsonl", row.format(n=1, user="null") + row.format(n=2, user='"ann"'))
    with opened(tmp_path, path) as export:
        (warning,) = export.description.warnings
        assert export.users == 2
    assert warning.message.endswith('[input.columns] user = "anonymousId | userId"')
    with opened(tmp_path, path, columns={"user": "anonymousId | userId"}) as export:
        assert (export.users, export.behaviors) == (1, 2)


def test_a_column_of_words_that_reaches_no_line_is_said(tmp_path: Path) -> None:
    rows = [f"u{n % 9},2026-01-15 10:00:{n % 60:02},tent {n % 4},a long remark number {n}" for n in range(60)]
    path = write(tmp_path, "a.csv", "\n".join(["user,time,item,remark", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        (warning,) = export.description.warnings
    assert warning.message.endswith('[input.columns] text = "remark"')


def test_the_example_is_told_nothing_about(tmp_path: Path) -> None:
    with opened(tmp_path, ROOT / "examples" / "behaviors.jsonl") as export:
        assert [each for each in export.description.warnings if each.code == "unused_column"] == []
