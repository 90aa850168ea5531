"""Names and words have one meaning each, in any spelling."""

import string
from typing import get_args

import duckdb
import pytest
from hypothesis import given, strategies as st

from eventabs.ingest.column_names import CANONICAL, MARKERS, USUAL_NAMES, Action, plain, stated_unit
from eventabs.ingest.normal_form import define_macros

CONNECTION = duckdb.connect()
define_macros(CONNECTION)


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("visit_poi", "visit"),
        ("use_app", "use"),
        ("openApp", "use"),
        ("pv", "browse"),
        ("Page-View", "browse"),
        ("add_to_cart", "cart"),
        ("addtocart", "cart"),
        ("fav", "favorite"),
        ("buy", "purchase"),
        ("order", "purchase"),
        ("购买", "purchase"),
        ("浏览", "browse"),
        ("加入购物车", "cart"),
        ("$pageview", "browse"),
        ("Product Added", "cart"),
        ("order_completed", "purchase"),
        ("SubmitOrder", "purchase"),
        ("付款", "purchase"),
    ],
)
def test_usual_words_get_their_canonical_action(word: str, action: str) -> None:
    assert CANONICAL[plain(word)] == action


def test_every_canonical_action_names_itself_and_every_key_is_plain() -> None:
    assert all(CANONICAL[action] == action for action in get_args(Action))
    assert all(plain(word) == word for word in CANONICAL)


@given(st.text(alphabet=string.printable + "加购Äß\u3000", max_size=12))
def test_sql_compares_words_as_python_does(word: str) -> None:
    ((found,),) = CONNECTION.execute("SELECT plain_word($1::VARCHAR)", [word]).fetchall()
    assert found == plain(word)


def test_no_usual_name_stands_for_two_roles() -> None:
    # a date stands for the time where there is no other, and a status says how an attempt ended where it begins nothing
    # and the one time of a log in the form of XES is an end where a start stands beside it
    names = [name for role, each in USUAL_NAMES.items() if role not in {"date", "result"} for name in each]
    names.remove("time:timestamp")
    assert sorted(names) == sorted(set(names))


def test_no_name_of_another_role_is_a_duration_with_its_unit() -> None:
    others = {name for role, names in USUAL_NAMES.items() if role != "duration" for name in names}
    assert not [name for name in others if stated_unit(name)]


def test_no_word_both_begins_and_ends_or_stands_in_two_families() -> None:
    words = [each for family in MARKERS for kind in family for each in kind]
    assert len(words) == len(set(words))
