"""The rules file: what it may say, how behaviors find their type, how names are cleaned up."""

import pytest

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import Language
from eventabs.prompts import default_vocabulary
from eventabs.providers.rules import Rules, load_rules, shipped_rules
from eventabs.shared_records import THING

SHIPPED = load_rules(shipped_rules(), "zh")

SMALL = """
[detail]
session_minutes = 30
[types.meal]
zh = "用餐"
en = "dining"
[types.other]
en = "other"
[[rules]]
type = "meal"
words = ["餐", "pub"]
names = ["Home"]
[[rules]]
type = "other"
"""


def kind(action: str, item: str, place: str = "", *, rules: Rules = SHIPPED) -> str:
    return rules.classify(action, item, place).name


@pytest.mark.parametrize(
    ("action", "item", "place", "expected"),
    [
        ("purchase", "长城_哈弗H6", "长城4S店", "购买"),
        ("visit", "长城4S店", "", "到店"),
        ("visit", "Riverside car dealership", "", "到店"),
        ("compare", "对比_吉利_博越", "汽车之家", "对比"),
        ("click", "吉利_博越_详情页", "新浪汽车", "看车"),
        ("use", "汽车之家", "", "看车"),
        ("browse", "春季连衣裙", "淘宝", "购物"),
        ("browse", "园艺论坛", "", "浏览"),
        ("visit", "XX西餐厅", "", "用餐"),
        ("visit", "老家具市场", "", "外出"),
        ("visit", "儿童医院", "", "就医"),
        ("visit", "barber", "", "生活服务"),
        ("visit", "the bar", "", "社交"),
        ("use", "微信", "", "社交"),
        ("use", "微信读书", "", "阅读"),
        ("use", "计算器", "", "使用应用"),
        ("", "签收了新手机", "", "收货"),
        ("visit", "快递网点", "", "送货"),
        ("", "窗外下雨", "", "日常"),
        ("打赏", "某主播", "", "日常"),
    ],
)
def test_the_shipped_rules_name_what_people_do(action: str, item: str, place: str, expected: str) -> None:
    assert kind(action, item, place) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *[
            (each, "购买")
            for each in ("subscribe", "Plan Upgraded", "orderPaid", "invoice_paid", "re-order: paid")
        ],
        *[(each, "购买") for each in ("下单支付", "下单并支付", "会员续费", "renewing", "checkout_complete")],
        ("加入购物车成功", "加购"),
        *[(each, "结算") for each in ("checkout", "begin_checkout", "提交订单", "payment_started", "去支付")],
        *[(each, "失败") for each in ("payment_failed", "Checkout Error", "Payment Timeout", "订单异常")],
        *[(each, "失败") for each in ("Checkout Blocked", "Purchase Invalid", "支付失败", "支付超时")],
        *[(each, "取消") for each in ("Subscription Cancelled", "申请退款", "Subscription Expired")],
        *[(each, "取消") for each in ("Subscription Paused", "Subscription Ended", "Downgrade Subscription")],
        *[(each, "编辑") for each in ("Manage Subscription", "Edit Order Form", "Create Payment Link")],
        *[(each, "浏览") for each in ("Open Upgrade Dialog", "Dismiss Upgrade Prompt")],
        *[(each, "使用应用") for each in ("Payment Reminder Sent", "Renewal Reminder Shown", "续费提醒")],
        *[(each, "日常") for each in ("到店签到", "团课打卡", "上试课", "完成体测")],
        *[(each, "日常") for each in ("Connect Bank", "Invite Teammate")],
        *[(each, "浏览") for each in ("order_detail_view", "查看订单", "Pricing Page Viewed", "确认订单页")],
        *[(each, "浏览") for each in ("点击购买", "pay_button_clicked")],  # a click is no purchase
        *[(each, "预订") for each in ("book", "hotel_booked", "预约挂号")],
        *[(each, "学习") for each in ("完成章节", "lesson_completed", "提交作业")],
        *[(each, "理财") for each in ("transfer", "transferred", "基金买入")],
        *[(each, "社交") for each in ("comment_added", "点赞笔记")],
        *[(each, "编辑") for each in ("Project Created", "file_uploaded", "上传头像")],
        *[(each, "使用应用") for each in ("Logged In", "退出登录", "session_start")],
        *[(each, "日常") for each in ("锦鲤抽卡", "sprint_groomed", "payroll", "bookish", "started", "")],
        ("thing", "日常"),
    ],
)
def test_actions_that_an_export_calls_in_its_own_words_are_known_by_the_words_inside(
    word: str, expected: str
) -> None:
    assert kind(word, "") == expected
    assert kind(word.upper() if "_" in word else word, "一本书") == expected
    assert (SHIPPED.meaning(word) in SHIPPED.known) == (expected != "日常" or word in {"", THING})


def test_an_action_that_a_rule_names_means_itself() -> None:
    rules = load_rules(SMALL.replace('names = ["Home"]', 'actions = ["pay later"]'), "en")
    assert rules.known == {"", THING, "pay later"}
    rules = load_rules(
        SMALL.replace('names = ["Home"]', 'actions = ["eat"]').replace(
            "[types.meal]",
            '[actions]\neat = ["dine", "sit down", "吃"]\nother = ["pub dining"]\n[types.meal]',
        ),
        "zh",
    )
    words = {
        "eat": "eat",
        "dines out": "eat",
        "DiningOut": "eat",
        "sitting_down": "eat",
        "去吃面": "eat",
        "diner": "diner",
    }
    assert {word: rules.meaning(word) for word in words} == words
    assert kind("dined", "the pub", rules=rules) == "用餐"
    assert kind("walked", "the pub", rules=rules) == "other"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_types_that_the_prompt_offers_are_named_alike(language: Language) -> None:
    rules = load_rules(shipped_rules(), language)
    by_name = {kind.name: kind for kind in rules.kinds.values()}
    offered = {kind.name: kind.category for kind in default_vocabulary(language).types}
    assert offered.keys() - by_name.keys() <= {"签约", "contract"}  # no words say whose contract it is
    for name in offered.keys() & by_name.keys():
        assert by_name[name].category == offered[name]


def test_every_type_of_the_shipped_rules_has_both_languages_and_is_used() -> None:
    english = load_rules(shipped_rules(), "en")
    assert all(not name.isascii() for name in (kind.name for kind in SHIPPED.kinds.values()))
    assert all(name.isascii() for name in (kind.name for kind in english.kinds.values()))
    for key in SHIPPED.kinds:
        assert f'type = "{key}"' in shipped_rules()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("XX西餐厅", "西餐厅"),
        ("去XX西餐厅", "去西餐厅"),
        ("XXL tshirt", "XXL tshirt"),
        ("XX", "XX"),
        ("长城_哈弗H6_详情页", "长城哈弗H6"),
        ("Aerolux_K2", "Aerolux K2"),
        ("对比_长城_WEY VV7", "长城WEY VV7"),
        ("详情页", "详情页"),
        ("a\nb\u202e c\x00", "a b c"),
        ("👩‍👧 亲子", "👩‍👧 亲子"),
        ("  ", ""),
    ],
)
def test_names_are_cleaned_up(name: str, shown: str) -> None:
    assert SHIPPED.clean(name) == shown


def test_words_are_found_anywhere_but_latin_ones_only_whole() -> None:
    rules = load_rules(SMALL, "zh")
    assert kind("visit", "午餐时间", rules=rules) == "用餐"
    assert kind("visit", "The Pub on the corner", rules=rules) == "用餐"
    assert kind("visit", "public library", rules=rules) == "other"


def test_names_are_compared_whole_and_in_any_case() -> None:
    rules = load_rules(SMALL, "en")
    assert kind("visit", "home", rules=rules) == "dining"
    assert kind("visit", "homestead", rules=rules) == "other"


def test_a_verb_of_one_letter_stands_by_itself_too() -> None:
    rules = load_rules(SMALL.replace("[types.meal]", '[actions]\nedit = ["e"]\n[types.meal]'), "en")
    assert [rules.meaning(word) for word in ("press e", "E", "tree", "seed")] == [
        "edit",
        "edit",
        "tree",
        "seed",
    ]


def test_a_type_without_a_name_in_the_language_takes_the_other() -> None:
    assert load_rules(SMALL, "zh").kinds["other"].name == "other"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("session_minutes = 30", "session_minutes = -1", "detail.session_minutes"),
        ("session_minutes = 30", 'session_minutes = "some"', "detail.session_minutes"),
        ("session_minutes = 30", "session_minute = 30", "detail.session_minutes"),
        ("session_minutes = 30\n", "session_minutes = 30\nper_day = 3\n", "detail.per_day"),
        ('zh = "用餐"', 'zh = ""', "types.meal.zh"),
        ('[types.other]\nen = "other"', "[types.other]", "types.other"),
        ('zh = "用餐"\nen = "dining"', "", "types.meal.zh"),
        ('en = "dining"', 'en = "dining"\nweight = 0', "types.meal.weight"),
        ('en = "dining"', 'en = "dining"\nphrase = { zh = "用餐" }', "types.meal.phrase"),
        ("[types.meal]", '[actions]\neat = [" "]\n[types.meal]', "actions.eat.0"),
        ('type = "meal"', 'type = "meals"', "rules.0.type"),
        ('words = ["餐", "pub"]', 'words = [""]', "rules.0.words.0"),
        ('[[rules]]\ntype = "other"', "", "last of the rules"),
        ("[types.meal]", "[[names.replace]]\npattern = '('\nwith = ''\n[types.meal]", "names.replace.0"),
        ("[types.meal]", "[[names.replace]]\npattern = 'a'\nwith = '\\1'\n[types.meal]", "names.replace.0"),
        ("[detail]", "[detail", "not TOML"),
    ],
)
def test_a_file_that_does_not_hold_is_refused_with_the_key(old: str, new: str, key: str) -> None:
    assert old in SMALL
    with pytest.raises(ConfigError) as caught:
        load_rules(SMALL.replace(old, new), "zh")
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["3D打印", "5G套餐", "at home", "e-sport", "kid's day", "吃 喝", "food & drink"]
)
def test_a_type_may_be_named_by_any_words_that_are_no_rows(name: str) -> None:
    assert load_rules(SMALL.replace("用餐", name), "zh").kinds["meal"].name == name


@pytest.mark.parametrize("name", ["用|餐", "用餐!", "吃,喝", "# 用餐", "> 购买", "top 10", "第5行", "１２"])
def test_a_type_that_reads_as_marks_or_rows_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"types\.meal\.zh"):
        load_rules(SMALL.replace("用餐", name), "zh")
