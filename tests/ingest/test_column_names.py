"""Names and words have one meaning each, in any spelling."""

import string
from typing import get_args

import duckdb
import pytest
from hypothesis import given, strategies as st

from eventabs.ingest.column_names import CANONICAL, MARKERS, ROLES, Action, fit, plain
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
        ("PlaceOrder", "purchase"),
        ("付款", "purchase"),
    ],
)
def test_usual_words_get_their_canonical_action(word: str, action: str) -> None:
    assert CANONICAL[plain(word)] == action


@pytest.mark.parametrize("word", ["submit_order", "order_created", "提交订单", "创建订单"])
def test_an_order_that_is_only_submitted_is_no_purchase(word: str) -> None:
    assert plain(word) not in CANONICAL


def test_every_canonical_action_names_itself_and_every_key_is_plain() -> None:
    assert all(CANONICAL[action] == action for action in get_args(Action))
    assert all(plain(word) == word for word in CANONICAL)


@given(st.text(alphabet=string.printable + "加购Äß\u3000", max_size=12))
def test_sql_compares_words_as_python_does(word: str) -> None:
    ((found,),) = CONNECTION.execute("SELECT plain_word($1::VARCHAR)", [word]).fetchall()
    assert found == plain(word)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("InvoiceDate", "date"),
        ("@timestamp", "time"),
        ("visitor", "user"),
        ("#account_id", "user"),
        ("user_id:token", "user"),
        ("ocel:activity", "action"),
        ("cliente_id", "user"),
        ("会员编号", "user"),
        ("商品名称", "item"),
        ("dischtime", "end"),
        ("停留时长(秒)", "duration"),
        ("watch_time", "duration"),
    ],
)
def test_the_words_of_a_name_tell_its_role_in_any_case_and_with_any_prefix(name: str, role: str) -> None:
    assert max(ROLES, key=lambda each: fit(name, each)) == role
    assert fit(name.upper(), role) > 0


@pytest.mark.parametrize(
    "name",
    [
        "user_level",
        "userAgent",
        "updated_at",
        "timeframe",
        "device_type",
        "消费金额",
        "StatusCode",
        "author_association",
        "用户性别",
    ],
)
def test_a_word_that_turns_the_meaning_takes_the_role_away(name: str) -> None:
    assert [
        role for role in ("user", "time", "action", "item", "place", "duration") if fit(name, role) > 0.5
    ] == []


def test_no_word_both_begins_and_ends_or_stands_in_two_families() -> None:
    words = [each for family in MARKERS for kind in family for each in kind]
    assert len(words) == len(set(words))
