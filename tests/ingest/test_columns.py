"""A missing column is named together with the way to name it."""

import pytest

from eventabs.errors import InputError
from eventabs.ingest.columns import behavior_columns, profile_columns
from eventabs.ingest.files import Content
from eventabs.ingest.sources import Source


def source(*columns: str) -> Source:
    return Source("x.csv", "csv", ",", columns, Content(b"", 0, one_newline=True, longest=0), "x.csv")


@pytest.mark.parametrize(
    ("columns", "named", "message"),
    [
        (
            ("a", "b"),
            {},
            'x.csv has no user column; name it in eventabs.toml: [input.columns] user = "..."; it has: a, b',
        ),
        (
            ("uid", "b"),
            {},
            'x.csv has no time column; name it in eventabs.toml: [input.columns] time = "..."; it has: uid, b',
        ),
        (
            ("uid", "time", "price"),
            {},
            (
                "x.csv has no column that says what was done; name it in eventabs.toml:"
                ' [input.columns] text = "..." or action = "..." and item = "..."; it has: uid, time, price'
            ),
        ),
        (("uid",), {"time": "when"}, 'x.csv has no column when ([input.columns] time = "when"); it has: uid'),
    ],
)
def test_a_missing_column_is_named_with_the_next_step_and_what_was_found(
    columns: tuple[str, ...], named: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        behavior_columns(source(*columns), named)
    assert str(caught.value) == message


def test_many_or_odd_columns_still_make_one_readable_line() -> None:
    with pytest.raises(InputError) as caught:
        behavior_columns(source("a\nb", *(f"column_{number}" for number in range(500))), {})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(caught.value).endswith(" ...")


@pytest.mark.parametrize("what", ["text", "action", "item", "poi", "app", "media"])
def test_any_column_that_says_what_was_done_is_enough(what: str) -> None:
    assert set(behavior_columns(source("uid", "time", what), {})) > {"user", "time"}


def test_the_profiles_user_column_is_the_named_one_or_a_usual_one() -> None:
    profiles = source("会员", "用户ID", "年龄")
    assert profile_columns(profiles, "会员", ("age", "city")) == ("会员", [("age", "年龄")])
    assert profile_columns(profiles, "", ("age",)) == ("用户ID", [("age", "年龄")])
    assert profile_columns(profiles, "only_in_the_export", ()) == ("用户ID", [])


def test_profiles_without_a_user_column_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"profiles file x\.csv has no user column; call it user_id; it has: age"
    ):
        profile_columns(source("age"), "", ("age",))


def test_a_profile_column_that_was_asked_for_by_name_has_to_be_there() -> None:
    profiles = source("user_id", "age", "Income")
    assert profile_columns(profiles, "", ("age", "city", "income")) == (
        "user_id",
        [("age", "age"), ("income", "Income")],
    )
    with pytest.raises(InputError) as caught:
        profile_columns(profiles, "", ("age", "incom"))
    assert str(caught.value) == (
        "profiles file x.csv has no column incom ([profiles] columns); it has: user_id, age, Income"
    )
