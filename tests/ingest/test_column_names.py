"""Names and words have one meaning each, in any spelling."""

import string
from typing import get_args

import duckdb
import pytest
from hypothesis import given, strategies as st

from eventabs.ingest.column_names import CANONICAL, MARKERS, ROLES, Action, fit, plain
from eventabs.ingest.normal_form import define_macros, define_words

CONNECTION = duckdb.connect()
define_macros(CONNECTION)
define_words(CONNECTION)


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
        ("會員編號", "user"),
        ("num_conta", "user"),
        ("appointment_date", "date"),
        ("Assigned To: Full Name", "user"),
        ("商品名称", "item"),
        ("訂單時間", "time"),
        ("觀看時長", "duration"),
        ("dischtime", "end"),
        ("DateTimeTo", "end"),
        ("timeStamp", "time"),
        ("ReaderID", "user"),
        ("cus_name", "user"),
        ("Porteur", "user"),
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
        "num_users",
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


NAMES = {  # usual ones, beside those that docs/formats.md lists
    "user": "user, client_id, 用户, 用户编号, 用户标识, 用户名, 会员ID, 客户ID, uid, user_name, open_id, visitor_id",
    "time": "time, start_time, begin_time, utc_timestamp, 时间, 发生时间, 事件时间, 操作时间, datetime, ts, 开始时间, 日期时间",
    "text": "behavior_text, behaviour_text, behaviour, behavior_description, 行为, 描述, 行为文本, 行为内容, 文本",
    "action": "type, behaviour_type, event, action_type, action_name, 动作类型, 事件类型, 操作类型, 类型, 行为名称, behavior_type, event_name, 动作",
    "item": "item_name, item_title, product_title, movie_name, book_title, 商品名, 商品标题, 产品名称, 物品名称, 商品, goods_name, sku_name, 产品",
    "place": "poi, poi_name, place_name, venue, venue_name, venue_id, 地点名称, 门店名称, 店铺, venue_category, 位置, 场所, 兴趣点",
    "app": "app, app_name, application_name, app_package, 应用, 应用ID, APP名称, 应用程序, application, 软件",
    "media": "media, media_name, site_name, 媒体ID, 媒体名称, 平台, 站点, 网站名称, media_id, website, hostname, 媒体",
    "duration": "duration_seconds, dwell_time, duration_sec, stay_time, seconds, time_spent_seconds, 停留时长, 使用时长, 时长秒, 时长(秒), 使用时间, stay_seconds, 持续时间",
    "end": "end, end_timestamp, finish_time, stop_time, finished_at, end_at, 结束, 终止时间, finish, 退出时间",
    "date": "event_date, visit_date, purchase_date, transaction_date, 消费日期, 访问日期, 记账日期, 成交日期, 交易日期, 下单日期",
    "category": "category, category_name, product_category, category_id, 商品类目, 商品类别, 商品品类, 品类, 商品分类",
    "brand": "品牌名称, 商品品牌",
    "offset": "tz_offset",
    "price": "sale_price, 售价",
    "marker": "status, event_state, lifecycle, transition, start_end, 起止标记, 开始结束, begin_end, 标记, 阶段",
    "result": "event_result, event_outcome, action_result, pay_status, transaction_status, 操作结果, 交易状态, 当前状态, 登录状态, 登录结果, order_status, login_status, 订单状态",
}


def test_usual_names_of_columns_are_found() -> None:
    listed = [(role, name) for role, names in NAMES.items() for name in names.split(", ")]
    assert [(role, name) for role, name in listed if fit(name, role) < 0.45] == []
