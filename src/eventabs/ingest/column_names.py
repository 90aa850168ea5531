"""Words of columns and of actions in exports, English and Chinese: extend them here.

Words of actions are compared in lower case and without SEPARATORS.
"""

import re
from functools import cache
from typing import Final, Literal

from eventabs.records import DurationUnit

SEPARATORS: Final = " _-$"


def plain(word: str) -> str:
    """Return `word` as words of actions are compared."""
    return word.lower().translate({ord(mark): None for mark in SEPARATORS})


def _plain_words(words: str) -> tuple[str, ...]:
    return tuple(map(plain, words.split()))


# What the name of a column says of each role: words with how much they say, from 0 to 1. A name is split into words first,
# also where nothing separates them, so that `UserID`, `actor.login`, `#account_id` and 会员编号 need no entry of their own.
ROLE_WORDS: Final[dict[str, dict[float, str]]] = {
    "user": {
        1: "user uid 用户",
        0.95: "member customer openid distinct visitor subscriber participant subject person buyer reviewer shopper consumer"
        " viewer player patient learner student passenger respondent panelist employee account patron rider owner"
        " open_id union_id membership cust loyalty 会员 客户 顾客 消费者 访客 玩家 乘客 患者 读者 学员 学生 员工 职工 人员 买家 账号 账户",
        0.9: "actor sender author creator operator login principal guest anonymous pseudo unionid 登录名 学号 工号 读者证 借书证",
        0.85: "amplitude device network domain msisdn 卡号 会员卡 设备",
        0.8: "card phone mobile email 手机 手机号 手机号码 卡",
        0.78: "case_concept_name",
        0.75: "profile response candidate resource ressource 姓名 昵称",
        0.7: "client staff agent cliente usuario",
        0.5: "case session ip",
        0.35: "name",
    },
    "time": {
        1: "timestamp 时间戳",
        0.97: "time datetime tstamp 时间 日期时间",
        0.95: "start begin started ts when time_timestamp occurred created watched unixdate utc 时刻",
        0.8: "date day 日期 fecha datum",
        0.75: "hora clock",
    },
    "text": {
        1: "behaviortext behavior behaviour description text sentence 行为 描述 文本",
    },
    "action": {
        1: "action event activity operation behavior behaviour 行为 用户行为 动作 事件 操作 concept",
        0.8: "verb 摘要 交易名称 handling",
        0.7: "type purpose method 类型",
        0.5: "status 类别",
    },
    "item": {
        1: "item product goods sku movie film book track song video article course title page content object query search stock"
        " keyword keywords term screen material"
        " 商品 产品 物品 电影 书名 图书 歌曲 视频 课程 文章 标题 页面 对象 内容 车型 关键词 搜索词 菜品 网址 链接 证券",
        0.95: "url uri path news feature beer stream show episode file",
        0.8: "project task element component information message detail subject diagnosis 对方户名 对方账户名 对手信息",
    },
    "place": {
        1: "poi place venue 地点 场所 兴趣点",
        0.97: "location 位置",
        0.95: "store shop merchant restaurant station 门店 店铺 商户 商家",
        0.85: "room 房间",
        0.8: "address 地址",
        0.75: "city 城市",
    },
    "app": {1: "app application package bundle 应用 应用程序 软件 小程序"},
    "media": {1: "media site website 媒体 网站 站点", 0.9: "channel platform domain hostname 平台 渠道 域名"},
    "duration": {
        1: "duration dwell elapsed 时长 停留 停留时长 停留时间 驻留 逗留 持续 持续时间 duracion dauer",
        0.95: "watch_time usage_time viewing_time reading_time listening_time listen_time screen_time play_time time_on_page time_on_site",
        0.9: "time_taken spent taken length stay lasting engagement seconds minutes hours millis 使用时间 秒数 毫秒数 分钟数 小时数 耗时 用时",
    },
    "end": {
        1: "end ended check_out 结束",
        0.5: "time_timestamp",
        0.9: "finish finished stop stopped leave left exit complete completed until checkout logout discharge disch"
        " 离开 退出 终止 离店 离场",
    },
    "date": {1: "date day 日期 fecha datum"},
    "offset": {1: "offset 时区偏移"},
    "category": {1: "category 类目 品类 类别 分类"},
    "brand": {1: "brand 品牌"},
    "price": {1: "price 价格 单价 售价"},
    "marker": {
        1: "marker begin_end start_end start_stop open_close on_off phase lifecycle transition 标记 起止 起止标记 阶段",
        0.9: "state status 状态 开始结束",
    },
    "result": {
        1: "result outcome 结果",
        0.8: "status state success 状态 是否成功",
    },
}

# Words that may stand beside those of a role and change nothing. All others make a name say less of it.
_BESIDE: Final = {
    "": "context cs c s sc ocel concept id no nr num number code key name type value str string int float token the of in a my own 号 编号 编码 代码 名 名称 id",
    "user": "survey remote id uuid guid pseudo unique identity identifier login arn hash uniq ui 标识 唯一 手机 手机号 昵称 姓名 证号 initials",
    "time": "event start started begin created create occurred occurs action activity visit order pay payment purchase"
    " transaction trans click check watch view access use operation behavior play log utc unix ms us ns local derived loan"
    " borrow admit impression interaction session at on 行为 发生 事件 开始 操作 交易 下单 付款 支付 浏览 访问 点击 签到 打卡 消费 刷卡"
    " 登录 借阅 进入 到达 记录 创建 记账 成交 时间",
    "text": "event action",
    "action": "user item primary category",
    "item": "user",
    "place": "merchant store shop check visit transaction detail detailed 签到 消费 交易 详细",
    "app": "package application bundle",
    "media": "media",
    "duration": "time session watch play view viewing reading listening listen call usage use visit page site screen ms msec s sec"
    " secs second seconds min mins minute minutes h hr hrs hour hours millisecond milliseconds dwell stay on 秒 分钟 小时 毫秒 秒钟 时间"
    " 观看 播放 浏览 访问 阅读 学习 通话 使用 在线 收听 游戏 停留 entrenamiento training",
    "end": "time timestamp date at datetime utc 时间 时刻 日期",
    "date": "event visit order purchase transaction start 交易 下单 消费 访问 记账 成交",
    "offset": "timezone tz utc time minutes",
    "category": "item product goods 商品 产品",
    "brand": "product item 商品",
    "price": "unit sale item product 商品",
    "marker": "event begin end start stop open close on off lifecycle",
    "result": "event action payment pay order transaction login is current 操作 支付 订单 交易 登录 当前",
}
# Words after which a name is not of the role, whatever else it says.
_NEVER: Final = {
    "user": "type types level count agent group segment list last role status time date 类型 等级 级别 数",
    "time": "end ended finish finished stop due update updated modified modify expire expires birth birthday death last latest next"
    " zone timezone offset frame dwell 结束 停留 使用 时长 离开 退出 到期 更新 修改 出生 持续 驻留 逗留 在线 耗时 long length taken"
    " return returned leave left until exit logout checkout discharge disch 离店 退出 终止 engagement elapsed upd",
    "date": "end due update updated birth death last return discharge 结束 更新 到期 出生",
    "text": "id url type code title",
    "action": "id no number count source time date value device payment user member item product file content card room store price page"
    " brewery message account parent transport agent 时间 用户 商品 支付 会员",
    "item": "error count price status time date action list amount quantity category brand type size num length duration views position"
    " 类目 品类 品牌 价格 数量 类型 金额 分类 类别 时间 时长 class event 停留 浏览 观看 阅读",
    "place": "ip type count price link email",
    "app": "version time duration 时长 时间",
    "media": "time duration 时长",
    "duration": "start end begin created at date timestamp video track song film movie media phase 视频 歌曲 影片 电影 曲目 学分 estimated expected",
    "end": "reason name id user page",
    "offset": "page",
    "category": "path event venue place poi shop store merchant page app site 门店 店铺 商户",
    "marker": "code country order payment pay login marital province id key",
    "result": "count marital code id country province",
    "brand": "id",
    "price": "id total",
}
_PREFERRED: Final = {
    "user": ("id", "uid"),
    "item": ("name", "title"),
    "place": ("name", "title"),
    "action": ("name", "type"),
}
_UNIT_WORDS: Final[dict[DurationUnit, str]] = {
    "ms": "ms msec msecs millis millisecond milliseconds 毫秒 毫秒数 time_taken",
    "s": "s sec secs second seconds 秒 秒钟 秒数",
    "min": "min mins minute minutes 分钟 分钟数",
    "h": "h hr hrs hour hours 小时 小时数",
}
_UNITS: Final = {word: unit for unit, words in _UNIT_WORDS.items() for word in words.split()}
_WEIGHTS: Final = {
    role: {word: weight for weight, words in kinds.items() for word in words.split()}
    for role, kinds in ROLE_WORDS.items()
}
ROLES: Final = tuple(_WEIGHTS)
_ALL: Final = {
    *_UNITS,
    *(word for words in _WEIGHTS.values() for word in words),
    *(word for table in (_BESIDE, _NEVER) for words in table.values() for word in words.split()),
}
_PIECES: Final = "|".join(
    sorted((word for word in _ALL if len(word) > 1 or not word.isascii()), key=len, reverse=True)
)
_PHRASES: Final = re.compile(
    rf"\b({'|'.join(word.replace('_', ' ') for word in sorted(_ALL, key=len, reverse=True) if '_' in word)})\b"
)
# What other words end in, such as `admittime`; of shorter or other words that would be chance.
_ENDS: Final = re.compile(r"(.{2,}?)(time|date|stamp|name|person)")
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zà-öø-ÿ]+|[^\W\d_A-Za-zà-öø-ÿ]+")


@cache
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case: they change at case, marks, and where known words meet."""
    found: list[str] = []
    for part in _PARTS.findall(name):
        word = part.lower()
        if word in _ALL:
            found.append(word)
        elif word[-1:] == "s" and word[:-1] in _ALL and len(word) > 2:  # noqa: PLR2004
            found.append(word[:-1])
        elif not word.isascii() or re.fullmatch(f"(?:{_PIECES})+", word):
            pieces = re.findall(_PIECES, word)
            found += pieces + ([rest] if (rest := re.sub(_PIECES, "", word)) else [])
        elif ended := _ENDS.fullmatch(word):
            found += ended.groups()
        else:
            found.append(word)
    return tuple(_PHRASES.sub(lambda phrase: phrase[0].replace(" ", "_"), " ".join(found)).split())


@cache
def fit(name: str, role: str) -> float:
    """Return how well a column's name fits a role, from 0 to 1."""
    words = words_of(name)
    known = [_WEIGHTS[role][word] for word in words if word in _WEIGHTS[role]]
    if not known or not {*_NEVER.get(role, "").split()}.isdisjoint(words):
        return 0.0
    beside = {*_BESIDE[""].split(), *_BESIDE.get(role, "").split(), *_WEIGHTS[role]}
    strange = sum(word not in beside for word in words)
    # of names that fit alike the plain id of a user wins, and the name of a thing
    mark = _PREFERRED.get(role, ("", ""))
    if "ip" in words and role == "user":
        known = [_WEIGHTS[role]["ip"]]
    better = 0.02 * (mark[0] in words) + 0.01 * (mark[-1] in words)
    return max(known) * 0.7**strange + better - 0.001 * len(words)


def stated_unit(name: str) -> DurationUnit | None:
    """Return the unit in a duration's name, None for any other name: `duration_ms`, `停留时长（分钟）`, `Hours`."""
    words = words_of(name)
    units = [_UNITS[word] for word in words if word in _UNITS]
    timed = {*_WEIGHTS["duration"], *_BESIDE["duration"].split()} - _UNITS.keys() - {"time", "on", "时间"}
    counted = [word for word in words if word in _UNITS and (len(word) > 4 or word.endswith("数"))]  # noqa: PLR2004  `mins` may be one thing's
    is_timed = bool(counted) or not timed.isdisjoint(words)
    return units[-1] if units and is_timed and {*_NEVER["duration"].split()}.isdisjoint(words) else None


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
