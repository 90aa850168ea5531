"""A column whose loss would go unseen is named with the setting that takes it, and no other is."""

from pathlib import Path

import pytest

from input_files import opened, write
from paths import ROOT


def told(folder: Path, header: str, *rows: str, **wanted: object) -> list[str]:
    path = write(folder, "a.csv", "\n".join([header, *rows]) + "\n")
    with opened(folder, path, **wanted) as export:
        return [each.message for each in export.description.warnings if each.code == "unused_column"]


TIMES = ("2026-01-15 10:00:42", "2026-01-15 10:00:42", "2026-01-15 10:00:43")


@pytest.mark.parametrize(
    ("name", "values", "setting"),
    [
        ("逛店秒数", ("90", "12.5", ""), '[input.columns] duration = "逛店秒数"'),
        (
            "逛店分钟数",
            ("90", "12.5", "7"),
            '[input.columns] duration = "逛店分钟数", [input] duration_unit = "min"',
        ),
        ("seen_duration", ("1h 20m", "3m", "45s"), '[input.columns] duration = "seen_duration"'),
        ("离店时刻", TIMES, '[input.columns] end = "离店时刻"'),
        ("until", TIMES, '[input.columns] end = "until"'),
    ],
)
def test_a_column_that_looks_like_a_duration_is_named(
    tmp_path: Path, name: str, values: tuple[str, ...], setting: str
) -> None:
    rows = [f"u{n},{time},tent,{value}" for n, (time, value) in enumerate(zip(TIMES, values, strict=True))]
    (message,) = told(tmp_path, f"user,time,item,{name}", *rows)
    assert message.startswith(f"not used: {name};")
    assert message.endswith(setting)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("逛店秒数", ("long", "short", "long")),
        ("seen_duration", ("1790973660", "1790973661", "1790973662")),
        ("video_duration", ("90", "12", "7")),
        ("score", ("90", "12", "7")),
        ("gender", TIMES),
        ("send_time", TIMES),
        ("updated_at", TIMES),
        ("user_level", ("1", "2", "3")),
    ],
)
def test_other_columns_without_a_role_are_not(tmp_path: Path, name: str, values: tuple[str, ...]) -> None:
    rows = [f"u{n},{time},tent,{value}" for n, (time, value) in enumerate(zip(TIMES, values, strict=True))]
    assert told(tmp_path, f"user,time,item,{name}", *rows) == []


def test_where_there_is_a_duration_no_other_is_named(tmp_path: Path) -> None:
    assert told(tmp_path, "user,time,item,duration,逛店秒数", f"u1,{TIMES[0]},tent,5,7") == []
    assert told(tmp_path, "user,start,end,item,逛店秒数", f"u1,{TIMES[0]},{TIMES[2]},tent,7") == []


def test_a_time_of_day_beside_a_bare_day_is_named(tmp_path: Path) -> None:
    rows = [f"u1,{time[:10]},{time[11:]},tent" for time in TIMES]
    (message,) = told(tmp_path, "user,日期,几点,item", *rows)
    assert message.endswith('[input.columns] time = "几点", date = "日期"')
    assert told(tmp_path, "user,日期,time,item", *rows) == []


def test_a_user_is_named_where_all_rows_are_of_one(tmp_path: Path) -> None:
    rows = [f"phone,{TIMES[0]},tent,c{number}" for number in range(20)]
    (message,) = told(tmp_path, "device_id,time,item,读者代码", *rows)
    assert message.endswith('[input.columns] user = "读者代码"')
    several = [f"p{number},{TIMES[0]},tent,c{number}" for number in range(20)]
    assert told(tmp_path, "device_id,time,item,读者代码", *several) == []


def test_a_path_inside_an_object_is_named_as_a_column_is(tmp_path: Path) -> None:
    row = '{"user": "u1", "time": "2026-01-15 10:00:42", "item": "tent", "p": {"shown_seconds": 7, "n": 3}}\n'
    with opened(tmp_path, write(tmp_path, "a.jsonl", row)) as export:
        (warning,) = export.description.warnings
    assert warning.message.endswith('[input.columns] duration = "p.shown_seconds"')


def test_the_example_is_told_nothing_about(tmp_path: Path) -> None:
    with opened(tmp_path, ROOT / "examples" / "behaviors.jsonl") as export:
        assert [each for each in export.description.warnings if each.code == "unused_column"] == []
