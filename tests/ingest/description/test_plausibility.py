"""What looks wrong in the behaviors of a whole export, and what does not."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from eventabs.ingest.columns_rows_and_warnings_shown import clock_warnings
from input_files import opened, write

START = datetime.fromisoformat("2026-01-01 00:00:42")
# rows of people by hour of their day: a night from 0 to 6
A_DAY = [1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 9, 9, 9, 9, 9, 9, 10, 11, 12, 11, 10, 7, 3]


def warnings(folder: Path, header: str, lines: Iterable[str], **wanted: str) -> dict[str, str]:
    path = write(folder, "export.csv", "\n".join([header, *lines]) + "\n")
    with opened(folder, path, **wanted) as export:
        return {each.code: each.message for each in export.description.warnings}


def moments(shift: int = 0) -> Iterable[datetime]:
    """Yield times of four days of people, `shift` hours behind their own clock."""
    for day in range(4):
        for hour, count in enumerate(A_DAY):
            for number in range(count):
                yield START + timedelta(days=day, hours=hour - shift, minutes=number)


def shop(moment: Callable[[datetime], object], shift: int = 0) -> list[str]:
    actions = ("view", "cart", "buy")
    return [
        f"u{n % 9},{moment(time)},{actions[n % 3]},thing {n % 50}" for n, time in enumerate(moments(shift))
    ]


def epoch(time: datetime) -> int:
    return int((time - datetime.fromisoformat("1970-01-01")).total_seconds())


SHOP = "user,time,action,item"


def test_a_sound_export_is_told_nothing_about(tmp_path: Path) -> None:
    assert warnings(tmp_path, SHOP, shop(str)) == {}


@pytest.mark.parametrize("form", [epoch, lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}"])
def test_times_in_utc_want_a_zone_and_the_hours_are_shown(
    tmp_path: Path, form: Callable[[datetime], object]
) -> None:
    told = warnings(tmp_path, SHOP, shop(form, 8))
    assert list(told) == ["utc_times"]
    assert "--timezone" in told["utc_times"]
    assert "from 16 to 22" in told["utc_times"]
    assert warnings(tmp_path, SHOP, shop(form, 8), timezone="Asia/Shanghai") == {}


def test_wall_times_of_another_zone_are_known_by_the_night_and_an_offset_mends_them(tmp_path: Path) -> None:
    told = warnings(tmp_path, SHOP, shop(str, 8))
    assert list(told) == ["foreign_times"]
    assert '[input.columns] offset = "=0" with --timezone' in told["foreign_times"]
    assert "utc_times" not in warnings(tmp_path, SHOP, shop(lambda time: f"{time}+08:00"))


@pytest.mark.parametrize(
    ("hours", "days", "told"),
    [
        (A_DAY, 9, False),
        ([1] * 24, 9, False),  # a machine never sleeps
        (A_DAY[8:] + A_DAY[:8], 9, True),
        (A_DAY[8:] + A_DAY[:8], 1, False),  # a day may be anything
        (A_DAY[2:] + A_DAY[:2], 9, False),  # early birds
    ],
)
def test_a_night_elsewhere_is_seen_only_where_there_is_one(hours: list[int], days: int, told: bool) -> None:
    rows = [10 * hour for hour in hours]
    assert bool([*clock_warnings(rows, timedelta(days=days), is_utc=False)]) is told


def test_numbers_that_are_no_epochs_are_told_by_their_years(tmp_path: Path) -> None:
    assert list(warnings(tmp_path, SHOP, ["u,260115100042,buy,x"])) == ["odd_years"]
    assert list(warnings(tmp_path, SHOP, ["u,1989-01-15,buy,x", "u,2026-01-15,buy,x"])) == []


def test_equal_rows_of_one_minute_are_told_and_those_of_a_second_are_not(tmp_path: Path) -> None:
    lines = shop(lambda time: f"{time:%Y-%m-%d %H:%M}")
    told = warnings(tmp_path, SHOP, [*lines, *lines[:200]])
    assert list(told) == ["equal_rows"]
    assert "200 rows" in told["equal_rows"]
    assert warnings(tmp_path, SHOP, [*shop(str), *shop(str)[:200]]) == {}


def test_the_share_of_equal_rows_is_that_of_all_rows_with_a_time_also_of_those_without_a_user(
    tmp_path: Path,
) -> None:
    lines = shop(lambda time: f"{time:%Y-%m-%d %H:%M}")
    of_nobody = [line[2:] for line in lines]
    assert "equal_rows" in warnings(tmp_path, SHOP, [*lines[:20], *lines[:10], *of_nobody[:30]])
    assert "equal_rows" not in warnings(tmp_path, SHOP, [*lines[:75], *lines[:5], *of_nobody[:120]])


def test_what_is_wrong_with_the_rows_is_told_before_who_has_them(tmp_path: Path) -> None:
    lines = [f"u{n},1975-01-{1 + n % 28:02d} 10:00,buy,thing {n}" for n in range(200)]
    assert list(warnings(tmp_path, SHOP, lines + lines[:20]))[:3] == ["equal_rows", "odd_years", "many_users"]


def test_one_action_in_nearly_all_rows_is_told(tmp_path: Path) -> None:
    lines = [line.replace(",view,", ",track,").replace(",cart,", ",track,") for line in shop(str)]
    lines = [line.replace(",buy,", ",track,") if n % 20 else line for n, line in enumerate(lines)]
    assert '"track"' in warnings(tmp_path, SHOP, lines)["one_action"]


def test_no_object_and_always_the_same_object_are_told_with_the_columns_that_are_left(tmp_path: Path) -> None:
    bare = [line.rpartition(",")[0] for line in shop(str)]
    told = warnings(tmp_path, "user,time,action,colour", [f"{line},red" for line in bare])
    assert "colour" in told["no_object"]
    assert "[input.columns] item" in told["no_object"]
    assert '"WEB"' in warnings(tmp_path, SHOP, [f"{line},WEB" for line in bare])["one_object"]


@pytest.mark.parametrize(
    ("action", "column", "words", "setting"),
    [
        ("搜索", "备注", lambda n: f"家用SUV怎么选 {n}", '[input.columns] text = "备注"'),
        ("login", "remark", lambda n: f"with phone number {n}", '[input.columns] text = "remark"'),
        (
            "search",
            "city",
            lambda n: "New York",
            '[input.columns] item = "..."; columns without a role: town',
        ),
        ("login", "city", lambda n: "New York", ""),  # the export's own word may say all
        ("login", "name", lambda n: f"Ann Lee {n % 3}", ""),  # who it was
        ("login", "agent", lambda n: f"Mozilla/5.0 (X11; Linux {n})", ""),
    ],
)
def test_many_lines_of_a_bare_verb_are_told_with_the_column_that_says_more(
    tmp_path: Path, action: str, column: str, words: Callable[[int], str], setting: str
) -> None:
    lines = [
        f"u{n % 3},{START + timedelta(minutes=n)},{action if n % 10 < 4 else 'buy'},{'' if n % 10 < 4 else n},{words(n)}"
        for n in range(90)
    ]
    told = warnings(tmp_path, f"user,time,action,item,{column.replace('city', 'town')}", lines)
    assert list(told) == (["no_object"] if setting else [])
    if setting:
        assert told["no_object"].startswith("40 % of the lines are a bare verb")
        assert told["no_object"].endswith(setting)


def test_a_column_of_words_is_told_where_a_place_alone_stands_for_the_object(tmp_path: Path) -> None:
    lines = [f"u,{START + timedelta(minutes=n)},search,city {n % 3},best car {n}" for n in range(60)]
    told = warnings(tmp_path, "user,time,action,city,remark", lines)
    assert told["unused_column"].endswith('[input.columns] text = "remark"')


def test_durations_in_milliseconds_are_told_and_the_unit_mends_them(tmp_path: Path) -> None:
    start = START
    lines = [
        f"u{user},{start + timedelta(minutes=10 * n)},use,app {n % 7},{1000 * (20 + n)}"
        for user in range(3)
        for n in range(60)
    ]
    header = "user,time,action,app,duration"
    told = warnings(tmp_path, header, lines)
    assert 'duration_unit = "ms"' in told["milliseconds"]
    assert "milliseconds" not in warnings(tmp_path, header, lines, duration_unit="ms")
    assert "milliseconds" not in warnings(tmp_path, "user,time,action,app,duration_hours", lines)


def test_long_stays_one_after_the_other_are_no_milliseconds(tmp_path: Path) -> None:
    start = START
    lines = [f"u,{start + timedelta(hours=5 * n)},visit,place {n % 9},{5 * 3600 - 60}" for n in range(80)]
    assert "milliseconds" not in warnings(tmp_path, "user,time,action,place,duration", lines)


def test_durations_beyond_the_next_row_are_told_and_leaving_them_out_mends_it(tmp_path: Path) -> None:
    lines = [f"u{n % 3},{START + timedelta(minutes=n)},play,film {n % 9},{600 + n % 9}" for n in range(180)]
    header = "user,time,action,film,duration_sec"
    told = warnings(tmp_path, header, lines)["overlapping_durations"]
    assert told.startswith("100 % of the durations")
    assert told.endswith('[input.columns] duration = "-"')
    assert "overlapping_durations" not in warnings(tmp_path, header.replace("duration", "of"), lines)
    whole = [line.replace(":42,", ":00,") for line in lines]  # what lasts beyond a minute may end within it
    assert "overlapping_durations" not in warnings(tmp_path, header, whole)
    ends = [f"{line},{START + timedelta(days=9)}" for line in lines]
    told = warnings(tmp_path, f"{header.replace('duration_sec', 'length')},closed_at", ends)[
        "overlapping_durations"
    ]
    assert told.endswith('[input.columns] end = "-"')


def test_short_durations_of_days_are_told_with_the_unit_that_they_may_have(tmp_path: Path) -> None:
    days = [(START + timedelta(days=n)).date() for n in range(60)]
    hours = [f"u,{day},sleep,{6 + n % 5 / 2}" for n, day in enumerate(days)]
    told = warnings(tmp_path, "user,date,action,duration", hours)["seconds_of_days"]
    assert "the longest duration of the first rows is read as 8 seconds" in told
    assert told.endswith('[input] duration_unit = "h"')
    minutes = [f"u,{day},run,{30 + n}" for n, day in enumerate(days)]
    told = warnings(tmp_path, "user,date,action,duration", minutes)["seconds_of_days"]
    assert told.endswith('[input] duration_unit = "min"')
    for header, lines, settings in (
        ("user,date,action,duration_sec", minutes, {}),
        ("user,date,action,duration", minutes, {"duration_unit": "s"}),
        ("user,date,action,duration", [f"u,{day},run,0:10:{n}" for n, day in enumerate(days, 10)], {}),
        ("user,time,action,duration", [f"u,{START + timedelta(hours=n)},run,{n}" for n in range(60)], {}),
    ):
        assert "seconds_of_days" not in warnings(tmp_path, header, lines, **settings)


def test_the_unit_of_short_durations_of_days_is_asked_also_where_few_of_the_rows_are_kept(
    tmp_path: Path,
) -> None:
    header = "user,date,action,duration"
    lines = [f"u{n},{(START + timedelta(days=n)).date()},run,{30 + n % 20}" for n in range(60)]
    assert "seconds_of_days" in warnings(tmp_path, header, lines, shard="1/4")
    assert "seconds_of_days" in warnings(tmp_path, header, [*lines[:40], *lines[:20]])


def test_numbers_of_rows_in_a_column_without_a_name_are_no_durations(tmp_path: Path) -> None:
    days = [(START + timedelta(days=n)).date() for n in range(60)]
    lines = [f"{n},u{n % 7},{day},run {n},{day}" for n, day in enumerate(days)]
    for header in (",user,date,action,colour", ",user,date,action,end"):
        assert "seconds_of_days" not in warnings(tmp_path, header, lines)


@pytest.mark.parametrize("name", ["NA", "null", "FALSE", "0", "Anonymous", "匿名"])
def test_a_word_for_nobody_with_many_rows_is_told(tmp_path: Path, name: str) -> None:
    lines = [f"{name},{line.partition(',')[2]}" if n % 2 else line for n, line in enumerate(shop(str))]
    assert f'"{name}"' in warnings(tmp_path, SHOP, lines)["unknown_user"]


def test_a_word_for_an_empty_cell_is_told_also_of_as_many_rows_as_others_have(tmp_path: Path) -> None:
    lines = [
        f"{'N/A' if n % 40 == 0 else f'u{n % 4}'},{line.partition(',')[2]}"
        for n, line in enumerate(shop(str) * 20)
    ]
    assert '"N/A"' in warnings(tmp_path, SHOP, lines)["unknown_user"]


def test_a_user_of_that_name_with_as_many_rows_as_others_is_not(tmp_path: Path) -> None:
    assert "unknown_user" not in warnings(tmp_path, SHOP, [line.replace("u0,", "0,") for line in shop(str)])


def test_an_export_without_a_readable_row_is_told_nothing_about(tmp_path: Path) -> None:
    assert warnings(tmp_path, SHOP, ["u,never,view,thing"]) == {}
