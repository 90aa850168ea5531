"""Names of columns and words of actions in exports, English and Chinese: extend them here.

Names and words are compared in lower case and without SEPARATORS.
"""

from typing import Final, Literal

SEPARATORS: Final = " _-"


def plain(word: str) -> str:
    """Return `word` as names are compared."""
    return word.lower().translate({ord(mark): None for mark in SEPARATORS})


def _plain_words(words: str) -> tuple[str, ...]:
    return tuple(map(plain, words.split()))


# The columns of an export by role. In order of preference: of two columns that fit a role, the name further left wins.
_COLUMNS: Final = {
    "user": "user_id uid user user_name member_id customer_id client_id visitor_id device_id"
    " 用户ID 用户 用户编号 用户标识 用户名 会员ID 会员编号 客户ID 设备ID",
    "time": "timestamp event_time time datetime start start_time begin_time created_at utc_timestamp"
    " ts event_timestamp occurred_at date 时间 时间戳 行为时间 发生时间 事件时间 开始时间 操作时间 日期时间 日期",
    "text": "behavior_text behaviour_text text behavior behaviour behavior_description description"
    " 行为 行为描述 描述 行为文本 行为内容 文本",
    "action": "action event_type type behavior_type behaviour_type event_name event action_type activity"
    " 行为类型 动作 动作类型 事件类型 操作 操作类型 类型",
    "item": "item_id item item_name product_id product product_name goods_id sku_id content object query"
    " 商品 商品ID 商品名称 物品 物品ID 产品 对象 内容 车型",
    "place": "poi_id poi poi_name place place_name venue venue_name venue_category venue_id location location_name"
    " 地点 地点名称 位置 场所 门店 兴趣点",
    "app": "app_id app app_name application package_name 应用 应用ID 应用名称 APP名称",
    "media": "media_id media media_name site website channel platform 媒体 媒体ID 媒体名称 网站 平台 渠道",
    "duration": "duration dwell duration_seconds dwell_time duration_sec stay_seconds stay_time seconds"
    " 时长 停留时长 持续时间 停留时间 使用时长 时长秒 时长(秒)",
    "end": "end end_time end_timestamp finish finish_time stop stop_time ended_at 结束时间 结束",
    "date": "date event_date day 日期",
    "offset": "timezone_offset tz_offset utc_offset 时区偏移",
    "category": "category_code category category_name item_category product_category category_id 类目 品类 商品类目",
    "brand": "brand brand_name 品牌",
    "price": "price unit_price 价格 单价",
    "marker": "marker phase state status event_state lifecycle transition begin_end start_end start_stop open_close on_off"
    " 标记 状态 阶段 起止 起止标记 开始结束",
}
USUAL_NAMES: Final = {role: _plain_words(names) for role, names in _COLUMNS.items()}
ROLES: Final = tuple(USUAL_NAMES)

# The columns of a file of profiles, by the name that is shown.
PROFILE_NAMES: Final = {
    "age": ("age", "年龄"),
    "gender": ("gender", "sex", "性别"),
    "occupation": ("occupation", "job", "profession", "职业"),
    "city": ("city", "城市", "所在城市", "居住城市"),
}

Action = Literal["visit", "use", "browse", "click", "search", "compare", "cart", "favorite", "purchase"]

# The words of each action.
_ACTIONS: Final[dict[Action, str]] = {
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
CANONICAL: Final[dict[str, Action]] = {
    word: action for action, words in _ACTIONS.items() for word in _plain_words(f"{action} {words}")
}

# The verbs that open a Chinese sentence with the facts of a row: 浏览A 在B上 292秒.
SENTENCE_VERBS: Final[dict[str, Action]] = {
    "浏览": "browse",
    "使用": "use",
    "搜索": "search",
    "点击": "click",
    "对比": "compare",
    "购买": "purchase",
    "收藏": "favorite",
}

# Words that begin beside those that end. The first word of each family stands for all of it.
_MARKERS: Final = (
    ("begin start began begun started", "end stop finish ended stopped finished"),
    ("open opened open_app app_open", "close closed close_app app_close"),
    ("enter entered entry", "exit exited leave"),
    (
        "foreground move_to_foreground to_foreground activity_resumed",
        "background move_to_background to_background activity_paused",
    ),
    ("on turn_on turned_on switch_on screen_on", "off turn_off turned_off switch_off screen_off"),
    ("开始 起始", "结束 终止 停止"),
    ("打开 开启 打开应用", "关闭 关掉 关闭应用"),
    ("进入", "离开 退出"),
    ("前台 进入前台 切换到前台 切到前台", "后台 进入后台 切换到后台 切到后台"),
    ("开", "关"),
)
MARKERS: Final = tuple((_plain_words(begins), _plain_words(ends)) for begins, ends in _MARKERS)
