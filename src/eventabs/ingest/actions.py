"""The canonical actions, and the usual raw words for them in English and Chinese."""

from typing import Final, Literal

Action = Literal["visit", "use", "browse", "click", "search", "compare", "cart", "favorite", "purchase"]

_MARKS: Final = " _-"
_WORDS: Final[dict[Action, str]] = {
    "visit": "visit_poi visit_place visit_venue visited check_in checkin 到访 访问地点 停留 签到 到店 打卡",
    "use": "use_app open_app app_use app_open launch launch_app app_launch 使用 使用应用 打开应用 启动应用",
    "browse": "view pv page_view view_item view_product item_view browsing product_view 浏览 查看 浏览商品",
    "click": "tap clk click_item item_click 点击 点击商品",
    "search": "query search_item searching 搜索 查询 检索",
    "compare": "comparison compare_item compare_items 对比 比较",
    "cart": "add_cart add_to_cart cart_add 加购 加购物车 加入购物车 添加购物车",
    "favorite": "fav favourite collect add_favorite add_to_favorites bookmark 收藏 加收藏",
    "purchase": "buy order pay purchased place_order checkout_complete 购买 下单 支付 成交",
}


def plain(word: str) -> str:
    """Return `word` as names are compared: lower case, without space, underscore and hyphen."""
    return word.lower().translate({ord(mark): None for mark in _MARKS})


def plain_sql(text: str) -> str:
    """Return SQL that does to an SQL expression what `plain` does to a word."""
    low = f"lower({text})"
    marked = " OR ".join(f"contains({low}, '{mark}')" for mark in _MARKS)
    return f"CASE WHEN {marked} THEN translate({low}, '{_MARKS}', '') ELSE {low} END"  # translate is slow


CANONICAL: Final[dict[str, Action]] = {
    plain(word): action for action, words in _WORDS.items() for word in (action, *words.split())
}
