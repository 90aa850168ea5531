"""Names of columns and words of actions in exports, English and Chinese: extend them here.

Names and words are compared in lower case and without SEPARATORS.
"""

from typing import Final, Literal

from eventabs.records import DurationUnit

SEPARATORS: Final = " _-$"


def plain(word: str) -> str:
    """Return `word` as names are compared."""
    return word.lower().translate({ord(mark): None for mark in SEPARATORS})


def _plain_words(words: str) -> tuple[str, ...]:
    return tuple(map(plain, words.split()))


# The columns of an export by role. In order of preference: of two columns that fit a role, the name further left wins.
_COLUMNS: Final = {
    "user": "user_id uid user user_name member_id customer_id client_id open_id distinct_id visitor_id account_id"
    " anonymous_id user_pseudo_id domain_userid device_id network_userid amplitude_id union_id account subscriber_id"
    " participant_id participant subject_id person_id employee_id student_id reviewer_id buyer_id card_id card_no phone_number"
    " mobile phone msisdn email login_name case:concept:name case_id"
    " user_no user_number user_code user_key user_uuid user_guid member member_no member_number member_code membership_id"
    " membership_no customer customer_no customer_number customer_code cust_id client_no shopper_id consumer_id guest_id viewer_id"
    " player_id patient_id learner_id staff_id employee_no student_no passenger_id respondent_id panelist_id account_no"
    " account_number login_id card_number loyalty_id"
    " 用户ID 用户 用户编号 用户标识 用户名 会员ID 会员编号 客户ID 设备ID 账号 账号ID 账户 用户账号 会员卡号 卡号 学号 工号 员工编号"
    " 手机号 手机号码 用户手机号 买家ID 买家 客户编号 客户 会员 姓名 昵称"
    " 用户号 用户编码 用户代码 用户唯一标识 用户名称 用户昵称 用户姓名 用户手机 用户卡号 会员号 会员编码 会员代码 会员标识 会员账号 会员名"
    " 会员名称 会员姓名 会员昵称 会员手机号 会员手机 会员卡 客户号 客户编码 客户代码 客户标识 客户名 客户名称 客户姓名 客户手机号 顾客 顾客ID"
    " 顾客编号 顾客号 顾客姓名 消费者ID 访客ID 玩家ID 乘客ID 患者ID 读者ID 读者编号 读者证号 借书证号 学员ID 学员编号 学员 学生ID 学生编号 学生学号"
    " 员工ID 员工号 员工工号 职工号 人员编号 人员ID 账户ID 账户号 账号名 登录名 登录账号 卡编号 设备号 设备编号 设备标识",
    "time": "timestamp event_time time datetime start start_time begin_time created_at utc_timestamp"
    " ts event_timestamp occurred_at started_at derived_tstamp client_event_time original_timestamp create_time created_time"
    " event_date_time visit_time access_time action_time click_time check_in_time order_time pay_time"
    " payment_time purchase_time purchase_date transaction_time trans_time watched_at collector_tstamp server_time log_time"
    " start_timestamp time:timestamp date 时间 时间戳 行为时间 发生时间 事件时间 开始时间 操作时间 日期时间 交易时间 下单时间 付款时间 支付时间 浏览时间 访问时间"
    " 点击时间 签到时间 打卡时间 消费时间 刷卡时间 登录时间 借阅时间 进入时间 到达时间 记录时间 创建时间 交易创建时间"
    " 记账时间 成交时间 日期 交易日期 记账日期 成交日期",
    "text": "behavior_text behaviour_text text behavior behaviour behavior_description description"
    " 行为 行为描述 描述 行为文本 行为内容 文本",
    "action": "action event_type type behavior_type behaviour_type event_name event action_type activity"
    " action_name behavior_name behaviour_name activity_type activity_name event_action operation concept:name"
    " 行为类型 动作 动作类型 事件类型 操作 操作类型 类型 行为名称 事件名称 事件名 事件 动作名称 操作名称 用户行为 行为类别 交易摘要 摘要 交易名称",
    "item": "item item_name item_title product_name product_title goods_name sku_name movie_name movie_title book_title track_name"
    " video_title article_title course_name title page_title"
    " item_id product_id product goods_id sku_id content object query goods sku product_sku movie_id movie book_id book"
    " song_id song video_id video article_id article news_id course_id course"
    " search_term search_query search_keyword keyword keywords screen_name page_name page_url page_path url page page_id feature_id"
    " 商品名称 商品名 商品标题 产品名称 物品名称 商品 产品 物品 电影名称 书名 图书名称 歌曲名称 视频标题 课程名称 文章标题 标题 页面标题"
    " 商品ID 物品ID 产品ID 商品编号 对象 内容 车型 关键词 搜索词"
    " 搜索关键词 电影 歌曲 视频 课程 菜品 页面名称 页面 网址 链接 证券名称 对方户名 对方账户名 对手信息",
    "place": "poi_id poi poi_name place place_name venue venue_name venue_category venue_id location location_name"
    " store_name store shop_name shop merchant_name merchant restaurant room address city"
    " 地点 地点名称 位置 场所 门店 兴趣点 门店名称 店铺 店铺名称 商户 商户名称 商家 商家名称 签到地点 消费地点 交易地点 交易场所 房间 地址 详细地址"
    " 城市",
    "app": "app_id app app_name application package_name application_name app_package bundle_id"
    " 应用 应用ID 应用名称 APP名称 应用程序 软件 小程序",
    "media": "media_id media media_name site website channel platform site_name domain hostname"
    " 媒体 媒体ID 媒体名称 网站 平台 渠道 站点 网站名称 平台名称 域名",
    "duration": "duration dwell duration_seconds dwell_time duration_sec stay_seconds stay_time seconds"
    " time_spent time_spent_seconds time_on_page watch_time watch_duration usage_time usage_duration play_duration"
    " session_duration duration_s elapsed_seconds"
    " 时长 停留时长 持续时间 停留时间 使用时长 时长秒 时长(秒) 使用时间 观看时长 播放时长 浏览时长 访问时长 阅读时长 学习时长 通话时长"
    " 持续时长 停留时长(秒) 使用时长(秒) 观看时长(秒) 停留秒数 时长秒数 秒数 驻留时长 驻留时间 逗留时长 逗留时间 在线时长 收听时长 游戏时长"
    " dwell_duration stay_duration visit_duration view_duration viewing_time reading_time listening_time listen_time call_duration"
    " engagement_time time_on_site length_of_stay screen_time",
    "end": "end end_time end_timestamp finish finish_time stop stop_time ended_at finished_at end_at stopped_at end_date_time"
    " complete_timestamp time:timestamp leave_time exit_time check_out_time logout_time 结束时间 结束 离开时间 退出时间 终止时间",
    "date": "date event_date day visit_date order_date purchase_date transaction_date 日期 交易日期 下单日期 消费日期 访问日期 记账日期 成交日期",
    "offset": "timezone_offset tz_offset utc_offset 时区偏移",
    "category": "category_code category category_name item_category product_category category_id 类目 品类 商品类目"
    " 商品分类 商品类别 商品品类",
    "brand": "brand brand_name 品牌 品牌名称 商品品牌",
    "price": "price unit_price sale_price 价格 单价 售价",
    "marker": "marker phase state status event_state lifecycle lifecycle:transition transition begin_end start_end start_stop open_close on_off"
    " 标记 状态 阶段 起止 起止标记 开始结束",
    "result": "result outcome event_result event_outcome action_result payment_status pay_status order_status"
    " transaction_status login_status success is_success status state"
    " 结果 操作结果 支付状态 订单状态 交易状态 当前状态 登录状态 登录结果 支付结果 是否成功 状态",
}
USUAL_NAMES: Final = {role: _plain_words(names) for role, names in _COLUMNS.items()}

# A duration's name may end in its unit. What alone is an action's word is a duration with a unit that is a word too.
_UNIT_NAMES: Final[dict[DurationUnit, str]] = {
    "ms": "ms msec msecs millis millisecond milliseconds 毫秒 毫秒数",
    "s": "s sec secs second seconds in_seconds 秒 秒钟 秒数",
    "min": "min mins minute minutes in_minutes 分钟 分钟数",
    "h": "h hr hrs hour hours in_hours 小时 小时数",
}
_TIMED: Final = _plain_words(
    "stay dwell watch play listen visit session engagement active usage elapsed 停留 驻留 逗留 使用 观看 播放 收听 浏览 访问 阅读 学习 通话 持续"
    " 在线"
)
_BRACKETS: Final = str.maketrans("", "", "()（）[]【】")


_UNIT_OF_NAME: Final = {
    name.translate(_BRACKETS) + word: unit
    for unit, words in _UNIT_NAMES.items()
    for word in _plain_words(words)
    for name in (*USUAL_NAMES["duration"], *(_TIMED if len(word) > 1 or not word.isascii() else ()))
}


def stated_unit(name: str) -> DurationUnit | None:
    """Return the unit in which a duration's name ends, None for any other name: `duration_ms`, `停留时长（分钟）`."""
    return _UNIT_OF_NAME.get(plain(name).translate(_BRACKETS))


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
ACTION_WORDS: Final[dict[Action, str]] = {
    "visit": "visit_poi visit_place visit_venue visited check_in checked_in store_visit visit_store enter_store arrive arrived"
    " arrival 到访 访问地点 停留 签到 到店 打卡 到达 进店 光顾",
    "use": "use_app open_app app_use app_open launch launch_app app_launch used app_opened opened_app application_opened"
    " app_launched app_start start_app use_application 使用 使用应用 打开应用 启动应用 启动APP 打开APP 使用APP",
    "browse": "view pv page_view view_item view_product item_view browsing product_view page_viewed viewed_page"
    " view_page page_views product_viewed viewed_product product_detail_viewed view_product_detail product_detail"
    " view_content view_item_list product_list_viewed screen_view screen_viewed view_screen app_view_screen"
    " mp_view_screen viewed browsed item_viewed view_goods goods_view page screen"
    " 浏览 查看 浏览商品 浏览页面 页面浏览 浏览商品详情 浏览详情 查看商品 查看详情 商品浏览 商品详情 访问页面 看",
    "click": "tap clk click_item item_click clicked tapped click_button button_click button_clicked element_clicked element_click"
    " product_clicked product_click link_click link_clicked select_item select_content web_click app_click mp_click"
    " 点击 点击商品 点击按钮 元素点击 按钮点击 商品点击",
    "search": "search_item searching searched search_product search_products products_searched product_search site_search"
    " view_search_results search_goods search_keyword 搜索 查询 检索 搜索商品 商品搜索 关键词搜索",
    "compare": "comparison compare_item compare_items compared compare_products product_compared add_to_compare"
    " 对比 比较 商品对比 加入对比",
    "cart": "add_cart add_to_cart cart_add added_to_cart cart_added product_added product_added_to_cart add_product_to_cart"
    " add_to_shopping_cart add_item_to_cart add_to_basket basket_add add_to_bag"
    " 加购 加购物车 加入购物车 添加购物车 添加到购物车 放入购物车 加车 加入购物袋",
    "favorite": "fav favourite collect add_favorite add_to_favorites bookmark favorited favourited add_favourite"
    " add_to_favourites wishlist add_to_wishlist added_to_wishlist product_added_to_wishlist item_favorited"
    " 收藏 加收藏 加入收藏 添加收藏 收藏商品 加入心愿单",
    "purchase": "buy order pay purchased place_order checkout_complete bought paid payment order_completed completed_order"
    " complete_order order_placed submit_order order_submitted create_order order_created pay_order order_paid"
    " purchase_completed complete_purchase checkout_completed payment_completed payment_success payment_succeeded"
    " ecommerce_purchase in_app_purchase product_purchased"
    " 购买 下单 支付 成交 付款 提交订单 支付订单 订单支付 创建订单 确认下单 下单成功 付款成功 支付成功 购买成功 支付完成 已付款 购买商品",
}
CANONICAL: Final[dict[str, Action]] = {
    word: action for action, words in ACTION_WORDS.items() for word in _plain_words(f"{action} {words}")
}


def canonical_action(word: str) -> str:
    """Return the action that a word of an export means, the word itself where it is none of them."""
    return CANONICAL.get(plain(word), word)


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

# What a description begins with that says its row's action itself: 打开汽车之家, Opened Autohome. English verbs also in -s, -d and -ed.
OPENING_VERBS: Final[dict[Action, str]] = {
    "use": "打开 启动 使用 进入 刷 玩 open launch start use check play",
    "browse": "浏览 查看 观看 看 阅读 访问 view browse look read watch visit",
    "click": "点击 点开 click tap tapped",
    "search": "搜 查询 检索 查找 search look google",
    "compare": "对比 比较 compare",
    "cart": "加购 加入 添加 放入 将 把 add put",
    "favorite": "收藏 save bookmark favorite favourite",
    "purchase": "购买 买 支付 付款 下单 buy bought purchase pay paid order",
}

# The values in a column of results (role `result`) of an attempt that came to nothing.
FAILURES: Final = _plain_words(
    "fail failed failure error denied declined rejected refused canceled cancelled cancel aborted timeout timed_out"
    " unsuccessful unauthorized forbidden refunded voided false payment_failed login_failed access_denied"
    " 失败 错误 异常 拒绝 已拒绝 被拒绝 取消 已取消 超时 未成功 未支付 未通过 否 支付失败 交易失败 登录失败 购买失败 下单失败 订单取消"
    " 交易关闭 已关闭 已退款 退款成功 已全额退款 对方已退还"
)
# The words of a column of results that say less than its name does.
FAILURE_SAID: Final = {"false": "failed", "否": "失败"}

# Platforms are where something was done, never what was done.
PLATFORMS: Final = _plain_words(
    "web h5 m wap pc desktop mobile tablet phone app native ios iphone ipad ios_app android android_app android_phone harmony"
    " harmonyos windows mac macos linux browser server mini_program wechat_mini_program mini_app"
    " 网页 网页端 电脑 电脑端 手机 手机端 移动端 安卓 安卓端 苹果 苹果端 鸿蒙 小程序 客户端"
)

# Words that begin beside those that end. The first word of a family names it.
_MARKERS: Final = (
    ("begin start began begun started", "end stop finish ended stopped finished complete completed"),
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
