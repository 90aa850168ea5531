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


def test_a_column_of_words_that_reaches_no_line_is_said(tmp_path: Path) -> None:
    rows = [f"u{n % 9},2026-01-15 10:00:{n % 60:02},tent {n % 4},a long remark number {n}" for n in range(60)]
    path = write(tmp_path, "a.csv", "\n".join(["user,time,item,remark", *rows]) + "\n")
    with opened(tmp_path, path) as export:
        (warning,) = export.description.warnings
    assert warning.message.endswith('[input.columns] text = "remark"')


def test_the_example_is_told_nothing_about(tmp_path: Path) -> None:
    with opened(tmp_path, ROOT / "examples" / "behaviors.jsonl") as export:
        assert [each for each in export.description.warnings if each.code == "unused_column"] == []
