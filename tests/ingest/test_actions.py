"""Raw words for actions get one canonical name."""

import string
from typing import get_args

import duckdb
import pytest
from hypothesis import given, strategies as st

from eventabs.ingest.actions import CANONICAL, Action, plain, plain_sql


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
    ],
)
def test_usual_words_get_their_canonical_action(word: str, action: str) -> None:
    assert CANONICAL[plain(word)] == action


def test_every_canonical_action_names_itself_and_every_key_is_plain() -> None:
    assert all(CANONICAL[action] == action for action in get_args(Action))
    assert all(plain(word) == word for word in CANONICAL)


@given(st.text(alphabet=string.printable + "加购Äß\u3000", max_size=12))
def test_sql_compares_words_as_python_does(word: str) -> None:
    ((found,),) = duckdb.execute(f"SELECT {plain_sql('$1::VARCHAR')}", [word]).fetchall()
    assert found == plain(word)
