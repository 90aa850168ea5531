"""Users counted by log are found by what users have in common; one too many does no harm, one too few does."""

import pytest

from eventabs.prompts.user_costs import ambiguous_names, id_key, irregular_names
from eventabs.shared_records import ActivityName


def names(*items: str) -> list[ActivityName]:
    return [ActivityName("browse", item, "") for item in items]


@pytest.mark.parametrize(
    "text", ["two  spaces", " before", "behind ", "zero\u200bwidth", "Straße", "ÉCOLE", "K\u212aelvin"]
)
def test_texts_that_cleaning_or_their_case_may_change_are_irregular(text: str) -> None:
    assert irregular_names(names("plain", text, "西餐厅 A")) == [1]


def test_ordinary_texts_of_any_script_are_regular() -> None:
    assert irregular_names(names("plain", "BIG Letters", "西餐厅", "école", "😀 `|` 10:00")) == []


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
    assert id_key(user_id) == key


def test_texts_that_become_one_without_their_marks_are_ambiguous() -> None:
    assert ambiguous_names(names("XX公园", "公园", "XX餐厅", "YY公园", "海滩"), ("XX", "YY")) == [0, 1, 3]


def test_without_marks_no_text_is_ambiguous() -> None:
    assert ambiguous_names(names("XX公园", "公园"), ()) == []
