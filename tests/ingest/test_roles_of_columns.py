"""Columns are found by their usual names or as the user named them; a missing one is named with the next step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eventabs.errors_and_exit_codes import InputError
from eventabs.ingest import InputSettings
from eventabs.ingest.columns_by_their_values import profiles
from eventabs.ingest.inner_paths import Inventory
from eventabs.ingest.roles_of_columns import (
    choose,
    find_profile_columns,
    profile_columns,
    refuse_absent_columns,
    required,
)
from input_files import facts, opened, write


def chosen(columns: Sequence[str], named: Mapping[str, str] = {}) -> dict[str, str]:
    return choose(profiles(Inventory(columns), (), None), named).roles


def source(columns: Sequence[str], named: Mapping[str, str] = {}) -> Any:  # noqa: ANN401  a file's columns alone
    settings = InputSettings(columns=dict(named))
    file = SimpleNamespace(path="x.csv", named=dict(settings.columns), settings=settings)
    return SimpleNamespace(file=file, columns=columns, inventory=Inventory(columns))


def required_of(columns: Sequence[str], named: Mapping[str, str] = {}) -> dict[str, str]:
    found = profiles(Inventory(columns), (), None)
    refuse_absent_columns(source(columns, named))
    return required(source(columns, named), choose(found, named))


def refused(columns: Sequence[str], named: Mapping[str, str] = {}) -> str:
    try:
        required_of(columns, named)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("columns", "named", "told"),
    [
        (("a", "b"), {}, ("neither a user nor a time column", "it has: a, b")),
        (("a", "time"), {}, ("no user column", "--user me", '--user "{stem}"')),
        (("uid", "time", "item"), {"user": "-"}, ("no user column", "it has: uid, time, item")),
        (("uid", "b"), {}, ("no time column", "[input.columns]")),
        (
            ("uid",),
            {"time": "when"},
            ('x.csv has no column when ([input.columns] time = "when"); it has: uid',),
        ),
    ],
)
def test_a_missing_column_is_named_with_the_next_step_and_what_was_found(
    columns: tuple[str, ...], named: dict[str, str], told: tuple[str, ...]
) -> None:
    message = refused(columns, named)
    assert [part for part in told if part not in message] == []


def test_many_or_odd_columns_still_make_one_readable_line() -> None:
    message = refused(["a\nb", *(f"column_{number}" for number in range(500))])
    assert "\n" not in message
    assert len(message) < 500
    assert message.endswith(" ...")


@pytest.mark.parametrize("what", ["text", "action", "item", "poi", "app", "media"])
def test_any_column_that_says_what_was_done_is_enough(what: str) -> None:
    assert set(required_of(["uid", "time", what])) > {"user", "time"}


def test_the_profiles_user_column_is_the_named_one_or_a_usual_one() -> None:
    profiles = ["会员", "用户ID", "年龄"]
    assert profile_columns(source(profiles, {"user": "会员"}), ("age", "city")) == ("会员", [("age", "年龄")])
    assert profile_columns(source(profiles), ("age",)) == ("用户ID", [("age", "年龄")])
    assert profile_columns(source(profiles, {"user": "only_in_the_export"}), ()) == ("用户ID", [])


def test_profiles_without_a_user_column_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"profiles file x\.csv has no user column; call it user_id; it has: age"
    ):
        profile_columns(source(["age"]), ("age",))


def test_a_profile_column_that_was_asked_for_by_name_has_to_be_there() -> None:
    profiles = ["user_id", "age", "Income"]
    assert profile_columns(source(profiles), ("age", "city", "income")) == (
        "user_id",
        [("age", "age"), ("income", "Income")],
    )
    with pytest.raises(InputError) as caught:
        profile_columns(source(profiles), ("age", "incom"))
    assert str(caught.value) == (
        "profiles file x.csv has no column incom ([profiles] columns); it has: user_id, age, Income"
    )


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (["user_id", "timestamp", "behavior_text"], {"user": 0, "time": 1, "text": 2}),
        (["UserID", "Event Time", "Event-Type"], {"user": 0, "time": 1, "action": 2}),
        (["用户ID", "行为时间", "行为类型", "商品", "停留时长"], {"user": 0, "time": 1, "action": 2, "item": 3, "duration": 4}),
        (["uid", "时间戳", "行为描述", "地点", "应用", "网站"], {"user": 0, "time": 1, "text": 2, "place": 3, "app": 4, "media": 5}),
        (["user", "start", "end", "object"], {"user": 0, "time": 1, "item": 3, "end": 2}),
        (["cost", "maker"], {}),
    ],
)  # fmt: skip
def test_roles_are_found_in_english_and_chinese_whatever_the_spelling(
    columns: list[str], roles: dict[str, int]
) -> None:
    assert chosen(columns) == {role: columns[position] for role, position in roles.items()}


def test_of_two_fitting_columns_the_more_specific_name_wins() -> None:
    assert chosen(["user", "time", "user_id", "timestamp"]) == {
        "user": "user_id",
        "time": "timestamp",
    }


def test_a_named_column_is_taken_and_is_free_for_no_other_role() -> None:
    found = chosen(["user_id", "time", "text", "type"], {"user": "text", "item": "type", "action": ""})
    assert found == {"user": "text", "time": "time", "item": "type"}


def test_profile_columns_come_in_the_wanted_order_under_english_names() -> None:
    columns = ["用户ID", "城市", "性别", "Income", "职业", "年龄"]
    wanted = ("age", "gender", "职业", "城市", "income", "hobby")
    assert find_profile_columns(columns, wanted) == [
        ("age", "年龄"),
        ("gender", "性别"),
        ("occupation", "职业"),
        ("city", "城市"),
        ("income", "Income"),
    ]


def test_a_profile_column_wanted_twice_is_shown_once() -> None:
    assert find_profile_columns(["age"], ("age", "年龄")) == [("age", "age")]


SEVERAL = "distinct_id,time,item\nu1,2026-01-15 10:00:42,tent\nu2,2026-01-15 10:00:42,tent\n"
CODES = "mycode,time,item\nu1,2026-01-15 10:00:42,tent\nu2,2026-01-15 10:00:42,tent\n"
SEGMENT = (
    '{{"type": "track", "event": "View", "userId": "{user}", "messageId": "m", "originalTimestamp": "2026-01-15T10:00:42Z",'
    ' "properties": {{}}}}\n'
)


@pytest.mark.parametrize("user", ["me", "distinctid", "distinct_id", "{stem}"])
def test_several_users_are_not_made_one_by_the_id_of_one(tmp_path: Path, user: str) -> None:
    path = write(tmp_path, "a.csv", SEVERAL)
    with (
        pytest.raises(InputError, match=r'\[input.columns\] user = "distinct_id"'),
        opened(tmp_path, path, user=user),
    ):
        pass
    assert not list((tmp_path / "work").rglob("*.csv")), "nothing was read"


def test_several_users_of_a_known_tool_are_not_made_one_either(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", "".join(SEGMENT.format(user=user) for user in ("u1", "u2")))
    with (
        pytest.raises(InputError, match=r'\[input.columns\] user = "userId"'),
        opened(tmp_path, path, user="me"),
    ):
        pass


@pytest.mark.parametrize("user", ["mycode", "my_code", "MyCod", "time"])
def test_a_column_in_the_place_of_a_user_is_told_how_to_name_it(tmp_path: Path, user: str) -> None:
    path = write(tmp_path, "a.csv", CODES)
    with (
        pytest.raises(InputError, match=r"\[input.columns\] user = \"(mycode|time)\""),
        opened(tmp_path, path, user=user),
    ):
        pass


def test_a_column_of_one_user_gives_way_to_who_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", SEVERAL.replace("u2", "u1"))
    assert facts(tmp_path, path, user="me")[0].startswith("me|")


@pytest.mark.parametrize(("data", "user"), [(SEVERAL, "me"), (CODES, "mycode"), (CODES, "me")])
def test_who_says_that_no_column_holds_the_user_is_believed(tmp_path: Path, data: str, user: str) -> None:
    path = write(tmp_path, "a.csv", data)
    with opened(tmp_path, path, user=user, columns={"user": "-"}) as export:
        assert list(export.user_ids()) == [user]


def test_a_role_can_be_taken_from_every_column(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user,time,item,channel\nu1,2026-01-15 10:00:42,tent,web\n")
    assert facts(tmp_path, path, columns={"media": "-"}) == ["u1|2026-01-15T10:00:42|thing|tent||"]


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("停留秒数", 90),
        ("停留时间(秒)", 90),
        ("停留时长（分钟）", 5400),
        ("学习分钟数", 5400),
        ("使用时长_小时", 324_000),
        ("duration_ms", ""),
        ("durationMs", ""),
        ("dwell_seconds", 90),
        ("time_spent_min", 5400),
        ("resolution_time_min", 5400),
        ("call_time_in_sec", 90),
        ("停留时长(分)", 5400),
        ("用时（时）", 324_000),
        ("duration_m", 5400),
        ("duration_min_us", 90 * 60),
        ("duration_us", ""),
    ],
)
def test_a_duration_is_of_the_unit_that_its_name_states(tmp_path: Path, name: str, seconds: object) -> None:
    rows = f"user,time,item,{name}\nu1,2026-01-15 10:00:42,tent,90\n"
    assert facts(tmp_path, write(tmp_path, "a.csv", rows)) == [
        f"u1|2026-01-15T10:00:42|thing|tent||{seconds}"
    ]


def test_a_unit_that_is_named_wins_over_that_of_the_name_and_nested_names_have_theirs(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "user,time,item,duration_ms\nu1,2026-01-15 10:00:42,tent,90\n")
    assert facts(tmp_path, path, duration_unit="min") == ["u1|2026-01-15T10:00:42|thing|tent||5400"]
    row = '{"user": "u1", "time": "2026-01-15 10:00:42", "item": "tent", "p": {"stay_minutes": 90}}\n'
    assert facts(tmp_path, write(tmp_path, "b.jsonl", row)) == ["u1|2026-01-15T10:00:42|thing|tent||5400"]


@pytest.mark.parametrize(
    ("name", "value", "action"),
    [
        ("is_success", "0", "failed purchase"),
        ("是否成功", "N", "failed purchase"),
        ("success", "1", "purchase"),
        ("status", "0", "purchase"),
    ],
)
def test_a_column_that_says_success_has_failures_where_it_says_no(
    tmp_path: Path, name: str, value: str, action: str
) -> None:
    path = write(tmp_path, "a.csv", f"user,time,action,item,{name}\nu1,2026-01-15,pay,tent,{value}\n")
    assert facts(tmp_path, path) == [f"u1|2026-01-15T00:00:00|{action}|tent||"]


@pytest.mark.parametrize("name", ["visits", "plays", "sessions", "time_ms", "学习分"])
def test_counts_and_times_are_no_durations(name: str) -> None:
    assert "duration" not in chosen([name])


@pytest.mark.parametrize(
    "name", ["会员号", "客户号", "用户号", "member_no", "customer", "顾客编号", "Customer Number"]
)
def test_what_shops_call_their_customers_is_a_user(name: str) -> None:
    assert chosen([name]) == {"user": name}


@pytest.mark.parametrize("names", [("from_user", "to_user"), ("FromUserName", "ToUserName")])
def test_of_sender_and_receiver_the_sender_is_the_user(names: tuple[str, str]) -> None:
    assert chosen(names) == {"user": names[0]}


def test_days_with_dots_are_times(tmp_path: Path) -> None:
    rows = "".join(f"u{number % 7},2024.05.{1 + number % 28:02d},我去过{number}\n" for number in range(40))
    path = write(tmp_path, "rows.csv", f"用户ID,评论日子,评论内容\n{rows}")
    with opened(tmp_path, path) as export:
        assert export.description.columns["time"] == "评论日子"


def test_the_numbers_of_the_rows_are_no_thing(tmp_path: Path) -> None:
    rows = "".join(f"u{number % 7},2024-05-01 10:{number:02d},bought,{number}\n" for number in range(60))
    path = write(tmp_path, "rows.csv", f"user_id,time,action,order\n{rows}")
    with opened(tmp_path, path) as export:
        assert "item" not in export.description.columns
