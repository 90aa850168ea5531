"""Users counted by log are found by what users have in common; one too many does no harm, one too few does."""

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from eventabs.prompts.user_costs import users_counted_by_log
from eventabs.shared_records import ActivityName


class Group:
    """A group whose users are asked for, and are none."""

    def __init__(self, items: Sequence[str], user_id: str) -> None:
        self.names = [ActivityName("browse", item, "") for item in items]
        self.users = [SimpleNamespace(user_id=user_id)]

    def users_of(self, names: Collection[int]) -> set[int]:
        self.positions = sorted(names)
        return set()

    def users_named(self, keys: Sequence[str | None]) -> set[int]:
        self.keys = list(keys)
        return set()


def counted(*items: str, marks: Sequence[str] = (), user_id: str = "") -> tuple[list[int], list[str | None]]:
    """Return the positions of the names and the ids that users are asked for by."""
    group: Any = Group(items, user_id)
    users_counted_by_log(group, marks)
    return group.positions, group.keys


@pytest.mark.parametrize(
    "text", ["two  spaces", " before", "behind ", "zero\u200bwidth", "Straße", "ÉCOLE", "K\u212aelvin"]
)
def test_texts_that_cleaning_or_their_case_may_change_are_irregular(text: str) -> None:
    assert counted("plain", text, "西餐厅 A")[0] == [1]


def test_ordinary_texts_of_any_script_are_regular() -> None:
    assert counted("plain", "BIG Letters", "西餐厅", "école", "😀 `|` 10:00")[0] == []


@pytest.mark.parametrize(
    ("user_id", "key"),
    [
        ("User_7", "user_7"),
        ("Straße", "strasse"),
        ("12345", "12345"),
        ("1234", None),
        ("a", None),
        ("a|b", ""),
    ],
)
def test_the_key_of_a_user_is_what_a_text_would_hold(user_id: str, key: str | None) -> None:
    assert counted("plain", user_id=user_id)[1] == [key]


def test_texts_that_become_one_without_their_marks_are_ambiguous() -> None:
    names = "XX公园", "公园", "XX餐厅", "YY公园", "海滩"
    assert counted(*names, marks=("XX", "YY"))[0] == [0, 1, 3]


def test_without_marks_no_text_is_ambiguous() -> None:
    assert counted("XX公园", "公园")[0] == []
