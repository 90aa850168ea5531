"""Structured rows and sentences with the same facts get the same normal form."""

from collections.abc import Mapping, Sequence
from itertools import starmap
from operator import itemgetter
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.ingest import sort_and_pair
from eventabs.ingest.column_names import MARKERS, ROLES
from eventabs.ingest.normal_form import BEGINS, ENDS, define_macros, define_words, normal_form, quoted

CONNECTION = duckdb.connect()
define_macros(CONNECTION)
define_words(CONNECTION)
WHEN = "2026-01-15 10:00:42"


def normalized(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return the normal forms of rows, all by one query: most of its time goes into its macros."""
    raw = " UNION ALL ".join(starmap(_raw, enumerate(rows)))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        sort_and_pair.prepare(connection)
        define_words(connection)
        cursor = connection.execute(normal_form(raw, "", None, "s", {*ROLES, "described"}))
        names = [str(column[0]) for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return sorted(found, key=itemgetter("line"))


def _raw(line: int, fields: Mapping[str, str]) -> str:
    values = {"user": "u", "time": WHEN, **fields}
    row = ", ".join(f'{quoted(values.get(role, ""))} AS "{role}"' for role in ROLES)
    problem = quoted(values.get("problem", ""))
    return (
        f"SELECT 0 AS file, {line} AS line, nullif({problem}, '') AS problem, NULL::UBIGINT AS digest, {row}"
    )


def facts(row: Mapping[str, Any]) -> tuple[Any, ...]:
    assert row["reason"] is None
    return tuple(row[name] for name in ("action", "item", "place", "duration"))


ROWS: list[tuple[dict[str, str], tuple[Any, ...]]] = [
    ({"action": "visit_poi", "place": "西餐厅", "duration": "4440"}, ("visit", "西餐厅", "", 4440)),
    ({"action": "visit", "item": "西餐厅"}, ("visit", "西餐厅", "", None)),
    ({"action": "use_app", "app": "微信", "duration": "60"}, ("use", "微信", "", 60)),
    (
        {"action": "browse", "item": "博越", "media": "懂车帝", "duration": "292"},
        ("browse", "博越", "懂车帝", 292),
    ),
    ({"action": "search", "item": "油耗", "app": "易车"}, ("search", "油耗", "易车", None)),
    (
        {"action": "compare", "item": "a", "app": "易车", "media": "懂车帝"},
        ("compare", "a", "懂车帝", None),
    ),
    (
        {"action": "buy", "item": "汉兰达", "place": "4S店", "app": "京东"},
        ("purchase", "汉兰达", "4S店", None),
    ),
    ({"action": "buy", "item": "书", "app": "京东"}, ("purchase", "书", "京东", None)),
    ({"action": "点击", "media": "易车", "place": "家"}, ("click", "易车", "家", None)),
    ({"action": "click", "app": "易车", "place": "家"}, ("click", "易车", "家", None)),
    ({"action": "click", "place": "家"}, ("click", "家", "", None)),
    ({"action": "Log_In"}, ("Log_In", "", "", None)),
    ({"place": "Cafe"}, ("visit", "Cafe", "", None)),
    ({"app": "WeChat", "duration": "90s"}, ("use", "WeChat", "", 90)),
    ({"item": "X5", "media": "易车"}, ("thing", "X5", "易车", None)),
    ({"action": " pv ", "item": "\u3000X5 "}, ("browse", "X5", "", None)),
    ({"text": "购买", "item": "X5"}, ("purchase", "X5", "", None)),
    ({"item": "Bed", "place": "Bedroom"}, ("thing", "Bed", "Bedroom", None)),
    ({"action": "购买", "item": "X5", "result": "失败"}, ("购买失败", "X5", "", None)),
    ({"action": "buy", "item": "X5", "result": "DECLINED"}, ("declined purchase", "X5", "", None)),
    ({"action": "login", "result": "false"}, ("failed login", "", "", None)),
    ({"action": "登录", "result": "登录失败"}, ("登录失败", "", "", None)),
    ({"item": "X5", "result": "已取消"}, ("已取消", "X5", "", None)),
    ({"action": "buy", "item": "X5", "result": "paid"}, ("purchase", "X5", "", None)),
    ({"action": "view", "media": "WEB"}, ("browse", "", "", None)),
    ({"action": "view", "item": "X5", "media": "iOS"}, ("browse", "X5", "iOS", None)),
    ({"action": "Played", "media": "Web", "app": "123456"}, ("Played", "", "", None)),
    ({"action": "Played", "media": "Web", "app": "-323232"}, ("Played", "", "", None)),
    ({"action": "click", "app": "android", "place": "家"}, ("click", "家", "", None)),
    ({"action": "use_app", "app": "123456"}, ("use", "123456", "", None)),
    ({"app": "123456"}, ("use", "123456", "", None)),
    ({"action": "purchase", "price": "9.90"}, ("purchase", "", "", None)),
    ({"action": "purchase", "item": "书", "price": "9.90"}, ("purchase", "书 9.90", "", None)),
    ({"action": "$AppViewScreen", "item": "首页"}, ("browse", "首页", "", None)),
]


def test_structured_rows() -> None:
    found = normalized([fields for fields, _expected in ROWS])
    assert list(map(facts, found)) == [expected for _fields, expected in ROWS]
    assert {row["text"] for row in found} == {None}


SENTENCES: list[tuple[str, dict[str, str]]] = [
    ("在XX西餐厅停留 1小时14分钟", {"action": "visit_poi", "place": "XX西餐厅", "duration": "4440"}),
    (
        "浏览吉利_博越 在懂车帝上 292秒",
        {"action": "browse", "item": "吉利_博越", "media": "懂车帝", "duration": "292"},
    ),
    ("使用大众点评 13分钟", {"action": "use_app", "app": "大众点评", "duration": "780"}),
    ("搜索博越油耗 在易车", {"action": "search", "item": "博越油耗", "app": "易车"}),
    ("将宝马_X3加入购物车 在汽车之家", {"action": "add_cart", "item": "宝马_X3", "app": "汽车之家"}),
    ("购买宝马_X5 在宝马4S店", {"action": "purchase", "item": "宝马_X5", "place": "宝马4S店"}),
]


def test_a_sentence_gives_the_same_as_the_structured_row() -> None:
    said = normalized([{"text": sentence} for sentence, _fields in SENTENCES])
    assert list(map(facts, said)) == list(map(facts, normalized([fields for _text, fields in SENTENCES])))
    assert [row["text"] for row in said] == [sentence for sentence, _fields in SENTENCES]


def test_free_text_is_its_own_item_stored_once() -> None:
    (row,) = normalized([{"text": " 看了一部电影 ", "place": "万达影城", "duration": "2小时"}])
    assert (row["action"], row["item"], row["text"], row["place"]) == ("", None, "看了一部电影", "万达影城")
    assert row["duration"] == 7200


def test_columns_beside_a_sentence_fill_what_it_does_not_say() -> None:
    beside = {"text": "浏览博越", "media": "易车", "duration": "30"}
    said = {"text": "浏览博越 在懂车帝上 292秒", "media": "易车", "duration": "291"}
    found = list(map(facts, normalized([beside, said])))
    assert found == [("browse", "博越", "易车", 30), ("browse", "博越", "懂车帝", 291)]


UNREADABLE: list[tuple[dict[str, str], str]] = [
    ({"problem": "bad_json"}, "bad_json"),
    ({"user": " \t", "action": "pv"}, "no_user"),
    ({"user": "x" * 1025, "action": "pv"}, "no_user"),
    ({"time": "", "action": "pv"}, "bad_time"),
    ({"time": "soon", "action": "pv"}, "bad_time"),
    ({"time": "7", "action": "pv"}, "no_day"),
    ({"time": "2026-01", "action": "pv"}, "no_day"),
    ({"time": "10:00", "action": "pv"}, "no_day"),
    ({"duration": "-5", "action": "pv"}, "bad_duration"),
    ({"duration": "long", "action": "pv"}, "bad_duration"),
    ({"duration": "5"}, "no_behavior"),
    ({"media": "Web"}, "no_behavior"),
    ({"price": "9.90"}, "no_behavior"),
]


def test_what_cannot_be_read_has_its_reason() -> None:
    found = normalized([fields for fields, _reason in UNREADABLE])
    assert [row["reason"] for row in found] == [reason for _fields, reason in UNREADABLE]


@pytest.mark.parametrize(("begin", "end"), [(begins[0], ends[0]) for begins, ends in MARKERS])
def test_both_words_of_a_pair_are_known_to_sql_in_any_spelling(begin: str, end: str) -> None:
    for text, kind in ((begin, BEGINS), (end.upper(), ENDS)):
        found = CONNECTION.execute(
            "SELECT marker_kind(w), marker_family(w) FROM (SELECT plain_word(?::VARCHAR) AS w)", [text]
        )
        assert found.fetchall() == [(kind, begin)]


@settings(max_examples=60, deadline=None)
@given(st.text("a好 \t\r\n\u3000\u00a0\ufeff'", max_size=6))
def test_trimming_takes_what_python_would_and_the_byte_order_mark(text: str) -> None:
    found = CONNECTION.execute("SELECT trimmed(?::VARCHAR)", [text]).fetchone()
    assert found == (text.strip(" \t\r\n\u3000\u00a0\ufeff") or None,)


DESCRIBED: list[tuple[dict[str, str], tuple[Any, ...]]] = [
    # the words say the action, and stay as they are
    ({"action": "使用", "text": "打开汽车之家", "duration": "1740"}, ("use", "打开汽车之家", "", 1740)),
    ({"action": "open_app", "text": "Opened Autohome"}, ("use", "Opened Autohome", "", None)),
    ({"action": "支付", "text": "微信支付 35元", "place": "启程4S店"}, ("purchase", "微信支付 35元", "启程4S店", None)),
    ({"action": "登录", "text": "手机号登录成功"}, ("登录", "手机号登录成功", "", None)),
    # they do not: they are what it was done with
    ({"action": "search", "text": "best family SUV"}, ("search", "best family SUV", "", None)),
    ({"action": "登录", "text": "微信扫码"}, ("登录", "微信扫码", "", None)),
    ({"action": "pay", "text": "打开汽车之家", "result": "failed"}, ("failed purchase", "打开汽车之家", "", None)),
    # a sentence with the row's facts
    ({"action": "到访", "text": "在启程4S店停留 95 分钟", "place": "启程4S店"}, ("visit", "启程4S店", "", 5700)),
    ({"action": "搜索", "text": "搜索“SUV 对比”", "app": "懂车帝"}, ("search", "“SUV 对比”", "懂车帝", None)),
    ({"action": "浏览", "text": "浏览商品详情", "item": "宝马7系"}, ("browse", "商品详情 宝马7系", "", None)),
    # what they repeat is said once
    ({"action": "使用", "text": "打开汽车之家", "app": "汽车之家"}, ("use", "打开汽车之家", "", None)),
    ({"action": "view", "text": "Viewed the tent", "item": "Tent"}, ("browse", "Viewed the tent", "", None)),
    ({"action": "到访", "text": "启程4S店看车", "place": "启程4S店"}, ("visit", "启程4S店看车", "", None)),
    ({"action": "到访", "text": "启程4S店", "place": "启程4S店（吴中店）"}, ("visit", "启程4S店（吴中店）", "", None)),
    ({"action": "click", "text": "CLICK", "item": "tent"}, ("click", "tent", "", None)),
    ({"action": "使用", "text": "打开汽车之家 29分钟", "duration": "1745"}, ("use", "打开汽车之家", "", 1745)),
    ({"action": "学习", "text": "学习Python（30分钟）", "duration": "1800"}, ("学习", "学习Python", "", 1800)),
    ({"action": "使用", "text": "30分钟", "app": "微信", "duration": "1800"}, ("use", "微信", "", 1800)),
    # how long it lasted, where no column says so
    ({"action": "visit", "text": "Stayed at the mall for 95 minutes"}, ("visit", "Stayed at the mall", "", 5700)),
    ({"action": "到访", "text": "看车 2小时", "end": "2026-01-15 11:00:42"}, ("visit", "看车 2小时", "", 3600)),
    ({"action": "search", "text": "nap of 30 minutes"}, ("search", "nap of 30 minutes", "", None)),
    ({"action": "使用", "text": "打开闹钟 7时30分"}, ("use", "打开闹钟 7时30分", "", None)),
    ({"action": "message", "text": "back in 5 min"}, ("message", "back in 5 min", "", None)),
    ({"action": "评论", "text": "排队2小时"}, ("评论", "排队2小时", "", None)),
    # what they do not repeat stays
    ({"action": "到访", "text": "试驾", "place": "启程4S店"}, ("visit", "启程4S店 试驾", "", None)),
    ({"action": "使用", "text": "打开汽车之家", "place": "家"}, ("use", "打开汽车之家 家", "", None)),
    ({"action": "view", "text": "cart page", "item": "art"}, ("browse", "cart page art", "", None)),
    ({"action": "浏览", "text": "首页", "media": "懂车帝"}, ("browse", "首页", "懂车帝", None)),
    ({"action": "使用", "text": "打开汽车之家 30分钟", "duration": "600"}, ("use", "打开汽车之家 30分钟", "", 600)),
]  # fmt: skip


def test_a_text_beside_an_action_is_what_was_done_in_words() -> None:
    found = normalized([fields for fields, _expected in DESCRIBED])
    words = [row["text"] if row["item"] is None else row["item"] for row in found]
    assert [
        (row["action"], each, row["place"], row["duration"]) for row, each in zip(found, words, strict=True)
    ] == [expected for _fields, expected in DESCRIBED]


SAYING: list[tuple[dict[str, str], bool]] = [
    ({"action": "使用", "text": "打开汽车之家"}, True),
    ({"action": "使用", "text": "汽车之家"}, False),
    ({"action": "view", "text": "Viewed the tent"}, True),
    ({"action": "view", "text": "review of the tent"}, False),
    ({"action": "payment", "text": "Order 7"}, True),
    ({"action": "payment", "text": "Bordeaux"}, False),
    ({"action": "支付", "text": "支付停车费", "result": "失败"}, False),
]


def test_words_that_say_the_action_themselves_take_the_place_of_the_object() -> None:
    said = [is_said for _fields, is_said in SAYING]
    found = normalized([fields for fields, _is_said in SAYING])
    assert [row["item"] is None for row in found] == said
    assert [row["text"] == fields["text"] for row, (fields, _is) in zip(found, SAYING, strict=True)] == said


def test_a_row_that_begins_or_ends_something_is_known_by_its_object_alone() -> None:
    (row,) = normalized([{"action": "use", "app": "微信", "text": "打开微信", "marker": "begin"}])
    assert (row["item"], row["text"], row["mark"]) == ("微信", None, BEGINS)
