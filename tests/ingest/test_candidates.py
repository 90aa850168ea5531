"""Which column plays a role: one that holds nearly nothing gives way, one that the user named never does."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import Export
from eventabs.ingest.columns_by_their_values import values_of
from eventabs.ingest.formats.base import SampledRow
from eventabs.ingest.inner_paths import InnerPath
from input_files import opened, write


def rows(*columns: str, count: int = 40, **values: Any) -> str:  # noqa: ANN401  values or functions
    """Return a CSV; a value may be a function of the row's number."""
    lines = [
        ",".join(str(each(number) if callable(each := values[name]) else each) for name in columns)
        for number in range(count)
    ]
    return "\n".join([",".join(columns), *lines]) + "\n"


def described(
    folder: Path, text: str, columns: Mapping[str, str] | None = None, profiles: str = ""
) -> Export:
    wanted = {"columns": columns or {}, "profiles": profiles, "profile_columns": ("age", "city")}
    with opened(folder, write(folder, "export.csv", text), **wanted) as export:
        return export


def codes(export: Export) -> list[str]:
    return [warning.code for warning in export.description.warnings]


def a_time(number: int) -> str:
    return f"2026-01-15 10:00:{number % 60:02d}"


def test_an_empty_user_column_gives_way_to_the_next_and_it_is_said(tmp_path: Path) -> None:
    text = rows("member_id", "device_id", "time", "item", member_id="", device_id="d1", time=a_time, item=str)
    export = described(tmp_path, text)
    assert export.description.columns["user"] == "device_id"
    assert (export.users, export.behaviors, export.rejected_rows) == (1, 40, 0)
    (warning,) = [each for each in export.description.warnings if each.code == "gave_way"]
    assert '[input.columns] user = "member_id"' in warning.message
    assert "0 of 40 rows" in warning.message


def test_a_time_that_is_the_minute_of_the_day_gives_way_to_a_column_of_times(tmp_path: Path) -> None:
    text = rows("user", "time", "start_time", "item", user="u", time=615, start_time=a_time, item=str)
    export = described(tmp_path, text)
    assert export.description.columns["time"] == "start_time"
    assert (export.behaviors, export.rejected_rows) == (40, 0)
    assert "gave_way" in codes(export)


def test_an_hour_beside_its_date_is_a_time_once_it_is_named_and_a_minute_lasts_no_time(
    tmp_path: Path,
) -> None:
    text = rows(
        "user", "date", "hour", "minute", "item", user="u", date="2026-01-15", hour=8, minute=str, item=str
    )
    assert described(tmp_path, text).description.columns == {"user": "user", "time": "date", "item": "item"}
    export = described(tmp_path, text, {"time": "hour"})
    first = export.description.rows[0][1].behaviors[0]
    assert (first.start.hour, first.duration) == (8, None)


def test_a_time_of_six_digits_beside_its_date_is_read(tmp_path: Path) -> None:
    text = rows(
        "user", "date", "time", "item", user="u", date="2026-01-15", time=lambda n: f"0930{n:02d}", item=str
    )
    export = described(tmp_path, text)
    assert codes(export) == []
    assert export.description.rows[1][1].behaviors[0].start.isoformat() == "2026-01-15T09:30:01"


@pytest.mark.parametrize("part", ["month", "weekday"])
def test_names_of_months_and_days_say_nothing_that_was_done(tmp_path: Path, part: str) -> None:
    of_calendar = {"month": ("Jan", "Feb", "Mar"), "weekday": ("Monday", "Sun", "周三")}[part]
    text = rows(
        "user",
        "time",
        part,
        "kind",
        user="u",
        time=a_time,
        kind=lambda n: "ab"[n % 2],
        **{part: lambda n: of_calendar[n % 3]},  # type: ignore[arg-type]
    )
    assert described(tmp_path, text).description.columns["action"] == "kind"


def test_who_wrote_a_text_is_proposed_as_the_user_though_nobody_comes_back(tmp_path: Path) -> None:
    text = rows(
        "name",
        "date",
        "text",
        name=lambda n: f"Ann {chr(65 + n % 26)}{'b' * (n + 1)}",
        date=a_time,
        text="it was {} o'clock".format,
    )
    with pytest.raises(InputError) as caught:
        described(tmp_path, text)
    assert 'user = "name"' in caught.value.proposal


def test_a_text_that_is_the_same_in_all_rows_says_nothing(tmp_path: Path) -> None:
    text = rows(
        "user_id",
        "time",
        "description",
        "content",
        user_id="u",
        time=a_time,
        description="a chat",
        content=lambda n: f"hello {n}",
    )
    found = described(tmp_path, text).description.columns
    assert found == {"user": "user_id", "time": "time", "item": "content"}
    alone = rows("user_id", "time", "description", user_id="u", time=a_time, description="a chat")
    assert described(tmp_path, alone).description.columns["text"] == "description"


def test_one_user_by_a_column_that_may_say_something_else_is_said(tmp_path: Path) -> None:
    values: dict[str, Any] = {"time": a_time, "item": str}
    odd = rows("caller_name", "time", "item", caller_name="Acme Test", **values)
    assert "one_user" in codes(described(tmp_path, odd))
    assert "one_user" not in codes(
        described(tmp_path, rows("user_id", "time", "item", user_id="u1", **values))
    )


def test_few_channels_say_where_from_and_not_what_was_done(tmp_path: Path) -> None:
    text = rows(
        "user_id",
        "time",
        "product_type",
        "channel",
        user_id=lambda n: f"u{n % 9}",
        time=a_time,
        product_type=lambda n: "abcde"[n % 5],
        channel=lambda n: f"ads {n % 4}",
        count=300,
    )
    assert described(tmp_path, text).description.columns["action"] == "product_type"


@pytest.mark.parametrize("date", ["15-Jan-2026", "Jan 15, 2026"])
def test_a_date_with_the_name_of_its_month_is_the_day_of_a_time_of_day(tmp_path: Path, date: str) -> None:
    text = rows("user", "time", "date", "item", user="u", time="08:00", date=f'"{date}"', item=str)
    export = described(tmp_path, text)
    assert export.description.rows[0][1].behaviors[0].start.isoformat() == "2026-01-15T08:00:00"


def test_a_time_of_day_beside_its_date_stays(tmp_path: Path) -> None:
    text = rows(
        "user", "time", "date", "item", user="u", time=lambda n: f"10:00:{n:02d}", date="2026-01-15", item=str
    )
    export = described(tmp_path, text)
    assert (export.description.columns["time"], export.description.columns["date"]) == ("time", "date")
    assert (export.behaviors, codes(export)) == (40, [])


def test_a_named_column_never_gives_way_and_a_warning_names_it(tmp_path: Path) -> None:
    text = rows("user", "time", "item", "goods_id", user="u", time=a_time, item=str, goods_id="")
    export = described(tmp_path, text, {"item": "goods_id", "action": "item"})
    assert export.description.columns["item"] == "goods_id"
    (warning,) = [each for each in export.description.warnings if each.code == "named_column_fails"]
    assert "goods_id" in warning.message


@pytest.mark.parametrize(
    ("first", "second", "taken"), [("", "thing", 1), (7, "thing", 1), ("thing", 7, 0), ("thing", "", 0)]
)
def test_what_holds_words_is_taken_before_numbers_and_nothing(
    tmp_path: Path, first: object, second: object, taken: int
) -> None:
    def value(kind: object) -> Callable[[int], object]:
        return lambda number: f"{kind} {number % 9}" if kind == "thing" else kind and f"{kind}{number % 9}"

    names = ("item", "product_name")
    text = rows("user", "time", *names, user="u", time=a_time, item=value(first), product_name=value(second))
    export = described(tmp_path, text)
    assert (export.description.columns["item"], codes(export)) == (names[taken], [])


def test_a_column_that_is_filled_more_often_is_named_with_both_counts(tmp_path: Path) -> None:
    text = rows(
        "user_id", "device_id", "time", "item",
        user_id=lambda n: "u" if n % 5 else "", device_id="d", time=a_time, item=str,
    )  # fmt: skip
    (warning,) = [
        each for each in described(tmp_path, text).description.warnings if each.code == "fuller_column"
    ]
    assert "32 of 40 rows" in warning.message
    assert 'user = "device_id"' in warning.message


def test_a_user_of_few_rows_gives_way_to_one_of_all_and_it_is_said(tmp_path: Path) -> None:
    text = rows(
        "user_id", "member", "time", "item",
        user_id=lambda n: f"a{n % 7}" if n % 2 else "", member=lambda n: f"s{n % 5}", time=a_time, item=str,
    )  # fmt: skip
    export = described(tmp_path, text)
    assert (export.description.columns["user"], codes(export)) == ("member", ["gave_way"])


@pytest.mark.parametrize(
    "place", [lambda n: "" if n % 3 else f"shop {n}", lambda n: "" if n % 3 else "shop", int]
)
def test_a_city_is_never_named_as_the_place(tmp_path: Path, place: Callable[[int], object]) -> None:
    text = rows(
        "user", "time", "item", "place", "city", user="u", time=a_time, item=str, place=place, city="Rome"
    )
    assert codes(described(tmp_path, text)) == []


def test_files_with_the_same_columns_are_read_alike(tmp_path: Path) -> None:
    for name, member in (("a.csv", ""), ("b.csv", "m1")):
        text = rows(
            "member_id", "device_id", "time", "item", member_id=member, device_id="d1", time=a_time, item=str
        )
        write(tmp_path, name, text)
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    with opened(tmp_path, *paths) as export:
        (mapping,) = export.description.mappings
    assert (mapping.files, mapping.columns["user"]) == (tuple(paths), "device_id")


def test_profiles_without_a_wanted_column_or_about_others_are_told(tmp_path: Path) -> None:
    text = rows("user", "time", "item", user="u", time=a_time, item=str)
    (tmp_path / "profiles.csv").write_text("user,age\nsomebody,30\n", encoding="utf-8")
    export = described(tmp_path, text, profiles=str(tmp_path / "profiles.csv"))
    assert {"absent_profile_column", "foreign_profiles"} <= set(codes(export))
    (tmp_path / "profiles.csv").write_text("user,age,city\nu,30,Rome\n", encoding="utf-8")
    export = described(tmp_path, text, profiles=str(tmp_path / "profiles.csv"))
    assert not {"absent_profile_column", "foreign_profiles"} & set(codes(export))


def test_an_empty_column_with_a_usual_name_is_no_reason_to_say_something(tmp_path: Path) -> None:
    text = rows("user", "time", "question_id", "item_id", user="u", time=a_time, question_id=str, item_id="")
    assert "gave_way" not in codes(described(tmp_path, text))


def test_a_time_of_a_browser_is_as_long_as_it_is(tmp_path: Path) -> None:
    time = "Tue Feb {:02d} 2024 10:00:00 GMT+0100 (Central European Standard Time)".format
    text = rows("user", "played_on", "item", user="u", played_on=lambda n: time(n % 28 + 1), item=str)
    export = described(tmp_path, text)
    assert export.description.columns["time"] == "played_on"
    assert export.behaviors == 40


def test_a_time_that_few_rows_can_be_read_by_gives_way_to_the_day(tmp_path: Path) -> None:
    def clocks(number: int) -> str:
        return "08:01" if number % 5 == 0 else "08:01 12:00 18:31"

    day = "2026-01-{:02d}".format
    values: dict[str, Any] = {
        "工号": lambda n: f"u{n % 4}",
        "打卡时间": clocks,
        "打卡日期": lambda n: day(1 + n // 4),
    }
    export = described(tmp_path, rows(*values, "部门", **values, 部门="研发"))
    assert export.description.columns["time"] == "打卡日期"
    assert export.behaviors == 40


def test_an_id_of_many_values_is_no_action_and_one_of_few_is_a_thing(tmp_path: Path) -> None:
    who: dict[str, Any] = {"user": lambda n: f"u{n % 9}", "time": a_time}
    which: dict[str, Any] = {"事件编号": lambda n: f"JX{n}", "备注": lambda n: "ab"[n % 2]}
    export = described(tmp_path, rows("user", "time", *which, count=80, **who, **which))
    assert export.description.columns["action"] == "备注"
    few = rows("user", "time", "mapId", count=80, mapId=lambda n: f"m{n % 4}", **who)
    columns = described(tmp_path, few).description.columns
    assert (columns.get("action"), columns.get("item")) == (None, "mapId")


@pytest.mark.parametrize(
    ("name", "is_one"), [("duration", True), ("question_length", False), ("建号时长", False)]
)
def test_a_plain_number_lasts_only_where_the_name_says_nothing_else_or_a_unit(
    tmp_path: Path, name: str, is_one: bool
) -> None:
    lasting: dict[str, Any] = {name: lambda n: n % 7 + 9}
    text = rows("user", "time", "item", name, user="u", time=a_time, item=str, **lasting)
    assert (described(tmp_path, text).description.columns.get("duration") == name) is is_one
    stated = text.replace(name, f"{name}_min", 1)
    assert described(tmp_path, stated).description.columns["duration"] == f"{name}_min"


def test_what_a_row_holds_is_looked_at_as_it_is_written() -> None:
    row = SampledRow(1, "", {"tags": ["帐篷", 1], "name": " 帐篷 ", "none": None})
    held = [values_of([row], InnerPath(each)) for each in row.values]
    assert held == [['["帐篷", 1]'], ["帐篷"], [""]]


@pytest.mark.parametrize(
    ("columns", "time"),
    [("created_at_utc,created_at", "created_at"), ("time,local_time", "local_time"), ("utc,seen", "utc")],
)
def test_of_a_moment_in_utc_and_in_local_time_the_local_one_is_taken(
    tmp_path: Path, columns: str, time: str
) -> None:
    text = rows(
        "user", "a", "b", "item", user="u", a=a_time, b=lambda n: f"2026-01-16 10:00:{n % 60:02}", item=str
    )
    export = described(tmp_path, text.replace("a,b", columns, 1))
    assert export.description.columns["time"] == time


def a_user(number: int) -> str:
    return f"u{number % 4}"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("pages_viewed", lambda n: n % 30),
        ("UnitsOfService", lambda n: n % 7 + 1),
        ("comment", lambda n: n % 25 if n % 3 else 0),
        ("state", "Kerala {}".format),
    ],
)
def test_a_column_that_counts_or_says_a_state_is_no_thing(
    tmp_path: Path, column: str, value: Callable[[int], object]
) -> None:
    values: dict[str, Any] = {"user": a_user, "time": a_time, "note": "tea {}".format, column: value}
    text = rows("user", "time", column, "note", **values)
    assert described(tmp_path, text).description.columns.get("item") == "note"


@pytest.mark.parametrize("column", ["order_total", "Booking_Value"])
def test_what_a_thing_costs_is_no_thing(tmp_path: Path, column: str) -> None:
    values: dict[str, Any] = {"user": a_user, "time": a_time, column: "{}.5".format}
    values["ended"] = lambda n: ("sold", "back", "lost")[n % 3]
    columns = described(tmp_path, rows("user", "time", column, "ended", **values)).description.columns
    assert (columns["action"], columns.get("item")) == ("ended", None)


@pytest.mark.parametrize("column", ["goods_code", "sales_order", "goodsSn"])
def test_the_number_of_a_thing_counts_nothing(tmp_path: Path, column: str) -> None:
    values: dict[str, Any] = {"user": a_user, "time": a_time, column: lambda n: 7000 + n % 30}
    assert described(tmp_path, rows("user", "time", column, **values)).description.columns["item"] == column


def test_a_code_of_which_each_user_has_one_of_their_own_is_another_name_of_the_user(tmp_path: Path) -> None:
    text = rows("customer_id", "company_id", "time", "note", customer_id=a_user, company_id=lambda n: 300 + n % 4, time=a_time, note="tea {}".format)  # fmt: skip
    assert described(tmp_path, text).description.columns.get("item") == "note"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("bn", ["Chrome 103", "Safari", "Firefox 99"]),
        ("sr", ["1920x1080", "1366x768"]),
        ("q3", ["male", "female"]),
        ("pkg", ["ropensci/alm", "ropensci/rAltmetric"]),
        ("publisher", ["nytimes.com", "nfl.com"]),
        ("theme", ["light", "dark"]),
    ],
)
def test_browsers_screens_sexes_and_addresses_are_never_what_was_done(
    tmp_path: Path, column: str, value: list[str]
) -> None:
    values: dict[str, Any] = {"user": a_user, "time": a_time, "way": lambda n: ("on", "off", "by")[n % 3]}
    values[column] = lambda n: value[n // 4 % len(value)]
    text = rows("user", "time", column, "way", **values)
    assert described(tmp_path, text).description.columns["action"] == "way"


def test_of_columns_of_few_values_the_one_with_words_for_what_was_done_says_it(tmp_path: Path) -> None:
    text = rows("user", "time", "way", "track", user=a_user, time=a_time, way=lambda n: ("on", "off", "by")[n % 3], track=lambda n: ("click", "search", "buy")[n % 3])  # fmt: skip
    assert described(tmp_path, text).description.columns["action"] == "track"


def test_when_all_rows_were_written_at_once_is_not_when_something_was_done(tmp_path: Path) -> None:
    def days(number: int) -> str:
        return f"2026-01-{number % 28 + 1:02} 10:00:00"

    text = rows(
        "user", "comment_at", "created_at", "item", user=a_user, comment_at=days, created_at=a_time, item=str
    )
    assert described(tmp_path, text).description.columns["time"] == "comment_at"
    text = rows(
        "user", "comment_at", "created_at", "item", user=a_user, comment_at=days, created_at=days, item=str
    )
    assert described(tmp_path, text).description.columns["time"] == "created_at"


def test_when_the_rows_of_a_day_were_written_is_not_when_each_was_done(tmp_path: Path) -> None:
    def evening(number: int) -> str:
        return f"2026-01-{number // 8 + 1:02} 20:00:00"

    def morning(number: int) -> str:
        return f"2026-01-{number // 8 + 1:02} 09:{number % 60:02}:00"

    values: dict[str, Any] = {"user": a_user, "check_in_time": morning, "created_at": evening, "item": str}
    text = rows("user", "check_in_time", "created_at", "item", count=80, **values)
    assert described(tmp_path, text).description.columns["time"] == "check_in_time"


def test_a_column_of_users_that_says_not_available_names_nobody(tmp_path: Path) -> None:
    values: dict[str, Any] = {"sender": lambda n: "Not Available" if n % 20 else "Ann"}
    values |= {"order_date": a_time, "item": "tent {}".format}
    with pytest.raises(InputError, match="no user column that is sure"):
        described(tmp_path, rows("sender", "order_date", "item", **values))


def test_who_reviewed_under_a_title_is_proposed_as_the_user(tmp_path: Path) -> None:
    text = rows("name", "date", "title", name=lambda n: f"Ann {chr(65 + n % 26)}ox{'x' * (n // 26)}", date=a_time, title="good bank {}".format)  # fmt: skip
    with pytest.raises(InputError) as refused:
        described(tmp_path, text)
    assert 'user = "name"' in refused.value.proposal


def test_the_device_of_a_user_is_nobody(tmp_path: Path) -> None:
    lines = [{"user": {"device": f"Pixel {n % 3}"}, "visitor": a_user(n), "time": a_time(n), "item": f"x{n}"} for n in range(40)]  # fmt: skip
    text = "\n".join(map(json.dumps, lines))
    with opened(tmp_path, write(tmp_path, "rows.jsonl", text)) as export:
        assert export.description.columns["user"] == "visitor"


def test_of_times_named_alike_the_one_that_more_rows_have_is_taken(tmp_path: Path) -> None:
    text = rows("user", "审批时间", "报工时间", "item", user=a_user, 审批时间=lambda n: a_time(n) if n % 5 else "", 报工时间=a_time, item=str)  # fmt: skip
    assert described(tmp_path, text).description.columns["time"] == "报工时间"


def test_a_user_is_the_user_beside_an_account_of_several(tmp_path: Path) -> None:
    text = rows("account_id", "user_id", "time", "item", account_id=lambda n: f"a{n % 3}", user_id=lambda n: f"u{n % 4}" if n % 14 else "", time=a_time, item=str, count=200)  # fmt: skip
    with pytest.raises(InputError) as refused:
        described(tmp_path, text)
    assert 'user = "user_id"  # or "account_id"' in refused.value.proposal
    assert "max_rejects = " in refused.value.proposal


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_what_begins_behind_the_first_thousand_rows_is_seen(tmp_path: Path, name: str) -> None:
    keys = ("user", "time", "theme", "plan", "kind")
    table = [
        (
            a_user(n),
            a_time(n),
            ("day", "night")[n % 2],
            "weekly",
            "trial" if n < 1200 else ("paid", "trial", "gone")[n % 3],
        )
        for n in range(6000)
    ]
    lines = [",".join(keys), *map(",".join, table)]
    if name.endswith("jsonl"):
        lines = [json.dumps(dict(zip(keys, row, strict=True))) for row in table]
    with opened(tmp_path, write(tmp_path, name, "\n".join(lines) + "\n"), keep_duplicates=True) as export:
        assert export.description.columns["action"] == "kind"


def test_no_row_is_lost_for_a_column_that_only_values_say_was_done(tmp_path: Path) -> None:
    text = rows(
        "user",
        "time",
        "remark",
        user=a_user,
        time=a_time,
        remark=lambda n: ("rest day", "leg day", "")[n % 3],
    )
    export = described(tmp_path, text)
    assert (export.behaviors, export.rejected_rows) == (40, 0)
    assert export.description.columns["item"] == "remark"


def test_a_duration_of_something_else_gives_way_to_the_end(tmp_path: Path) -> None:
    text = rows("user", "TimeFrom", "TimeTo", "DriveTimeMinutes", "item", user=a_user, TimeFrom=a_time, TimeTo="2026-01-15 11:00:59", DriveTimeMinutes=7, item=str)  # fmt: skip
    columns = described(tmp_path, text).description.columns
    assert columns["end"] == "TimeTo"
    assert "duration" not in columns


def test_ends_at_a_time_of_day_before_their_start_are_of_the_next_day_and_said(tmp_path: Path) -> None:
    text = rows("user", "date", "start_time", "end_time", "item", user=a_user, date="2026-01-15", start_time="22:00:00", end_time=lambda n: "23:00:00" if n % 4 else "06:00:00", item=str)  # fmt: skip
    with opened(tmp_path, write(tmp_path, "shifts.csv", text)) as export:
        (said,) = [each.message for each in export.description.warnings if each.code == "next_day_ends"]
        assert said.startswith("10 of 40 rows")
        assert {each.duration for log in export.user_logs() for each in log.behaviors} == {8 * 3600, 3600}


def test_a_time_of_day_before_the_day_is_a_time_in_either_order_of_the_day(tmp_path: Path) -> None:
    values: dict[str, Any] = {"user": a_user, "time": "06:30 {}/10/2023".format, "item": str, "count": 28}
    export = described(tmp_path, rows("user", "time", "item", **values))
    assert (export.behaviors, export.rejected_rows) == (27, 1)  # the 0th
    assert str(export.description.rows[0][1].behaviors[0].start) == "2023-10-01 06:30:00"


def test_seconds_into_a_film_are_no_offset_and_its_length_is_no_duration(tmp_path: Path) -> None:
    lines = [
        {"video": {"length": 16887}, "content_offset_seconds": 30 * n, "commenter": a_user(n), "time": a_time(n), "text": f"so {n} it is"}
        for n in range(60)
    ]  # fmt: skip
    with opened(tmp_path, write(tmp_path, "rows.jsonl", "\n".join(map(json.dumps, lines)))) as export:
        assert export.description.columns == {"user": "commenter", "time": "time", "text": "text"}


def test_what_counts_is_nothing_that_was_done_though_no_column_says_what_was(tmp_path: Path) -> None:
    values: dict[str, Any] = {"user": a_user, "time": a_time, "steps_recorded": lambda n: n * 37 % 400}
    columns = described(
        tmp_path, rows("user", "time", "steps_recorded", count=200, **values)
    ).description.columns
    assert columns == {"user": "user", "time": "time", "action": "=record"}


def test_who_wrote_a_text_under_a_name_of_any_form_is_proposed_as_the_user(tmp_path: Path) -> None:
    text = rows("name", "time", "text", name="阿明{}".format, time=a_time, text="so {} it is".format)
    with pytest.raises(InputError) as refused:
        described(tmp_path, text)
    assert 'user = "name"' in refused.value.proposal


def test_a_thing_that_few_rows_have_keeps_its_role_by_its_name(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "user": a_user,
        "time": a_time,
        "action": lambda n: "view" if n % 50 else "search",
    }
    values |= {
        "place": lambda n: f"shop {n % 7}" if n % 50 else "",
        "item": lambda n: "" if n % 50 else "tent",
    }
    columns = described(tmp_path, rows("user", "time", "action", "place", "item", count=200, **values)).description.columns  # fmt: skip
    assert columns["item"] == "item"
