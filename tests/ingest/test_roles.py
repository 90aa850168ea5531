"""Columns are found by their usual names, or taken as the user named them."""

import pytest

from eventabs.ingest.columns import USUAL_NAMES, UnknownColumnError, find_profile_columns, find_roles


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
    assert find_roles(columns, {}) == {role: columns[position] for role, position in roles.items()}


def test_of_two_fitting_columns_the_more_specific_name_wins() -> None:
    assert find_roles(["user", "time", "user_id", "timestamp"], {}) == {
        "user": "user_id",
        "time": "timestamp",
    }


def test_a_named_column_is_taken_and_is_free_for_no_other_role() -> None:
    found = find_roles(["user_id", "time", "text", "type"], {"user": "text", "item": "type", "action": ""})
    assert found == {"user": "text", "time": "time", "item": "type"}


def test_a_named_column_that_is_not_there_is_an_error_with_role_and_name() -> None:
    with pytest.raises(UnknownColumnError) as caught:
        find_roles(["a"], {"user": "b"})
    assert (caught.value.role, caught.value.name) == ("user", "b")


def test_no_usual_name_stands_for_two_roles() -> None:
    # a date stands for the time where there is no other
    names = [name for role, each in USUAL_NAMES.items() if role != "date" for name in each]
    assert sorted(names) == sorted(set(names))


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
