"""The built-in rules as a provider: what becomes an event, how an answer says it, and how events are summarized."""

from datetime import datetime, timedelta, timezone

import pytest

from eventabs.errors_and_exit_codes import ConfigError
from eventabs.interface_language import Language
from eventabs.providers.rules import (
    WORDING,
    RulesProvider,
    load_rules,
    shipped_rules,
    width,
)
from eventabs.setting_choices import Detail
from eventabs.shared_records import Behavior, Category, Reply, Request, Usage, UserLog, Vocabulary

VOCABULARY = Vocabulary((), (Category("conversion", "!"), Category("engagement")), minor="零碎")
RULES = load_rules(shipped_rules(), "zh")
ENGLISH = load_rules(shipped_rules(), "en")


def behavior(start: str, action: str, item: str, place: str = "", duration: int | None = None) -> Behavior:
    return Behavior(datetime.fromisoformat(start), action, item, place, duration)


def log_of(*behaviors: Behavior, user_id: str = "someone") -> UserLog:
    return UserLog(user_id, behaviors)


async def answer(*logs: UserLog, detail: Detail = "day", english: bool = False) -> str:
    provider = RulesProvider(ENGLISH if english else RULES, VOCABULARY, detail)
    request = Request((), {f"U{number}": log for number, log in enumerate(logs, 1)}, 0, 0)
    return (await provider.complete(request)).text


async def lines(*log: Behavior, detail: Detail = "day", english: bool = False) -> list[str]:
    return (await answer(log_of(*log), detail=detail, english=english)).split("\n")[1:-1]


DEALER = [
    behavior("2026-01-05 10:00:05", "visit", "宝马4S店", duration=6_900),
    behavior("2026-01-05 10:30:00", "use", "微信", duration=600),
]


async def test_the_reply_is_whole_and_costs_nothing() -> None:
    provider = RulesProvider(RULES, VOCABULARY)
    reply = await provider.complete(Request((), {"U1": log_of(*DEALER)}, 0, 0))
    assert reply == Reply("## U1\n到店! 1\n社交 2\n##", usage=Usage())


async def test_of_a_long_text_rules_take_as_much_as_a_prompt_shows() -> None:
    (near,) = await lines(behavior("2026-01-05 10:00", "visit", 190 * "宝" + "4S店", duration=6_900))
    (far,) = await lines(behavior("2026-01-05 10:00", "visit", 200 * "宝" + "4S店", duration=6_900))
    assert near == "到店! 1"
    assert far != near


DAY = [
    behavior("2026-01-05 08:00", "visit", "公司", duration=14_000),
    behavior("2026-01-05 09:00", "use", "微信", duration=60),
    behavior("2026-01-05 12:00", "visit", "食堂", duration=1_800),
    behavior("2026-01-05 13:00", "visit", "公司", duration=18_000),
    behavior("2026-01-06 08:00", "visit", "公司", duration=14_000),
]


BROWSING = [
    behavior("2026-01-05 10:00", "browse", "A", "车迹汽车网", 1_200),
    behavior("2026-01-05 10:45", "browse", "B", "车迹汽车网", 60),
    behavior("2026-01-05 11:30", "browse", "C", "车迹汽车网", 60),
]
NIGHT = [behavior(f"2026-01-{moment}", "use", "Steam", duration=1_500) for moment in ("05 23:40", "06 00:10")]
MORNING = [behavior(f"2026-01-06 {moment}", "use", "Steam", duration=1_500) for moment in ("04:50", "05:10")]
THEME = [
    behavior("2026-01-05 10:00", "search", "星瀚M5价格"),
    behavior("2026-01-05 10:05", "browse", "星瀚_M5", "车迹汽车网", 60),
    behavior("2026-01-05 10:10", "compare", "对比_星瀚_M5,云驰_K3", "车迹汽车网", 60),
]
SUMMER, WINTER = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
EDGES = [
    Behavior(datetime(1, 1, 1, 2), "visit", "餐厅"),  # noqa: DTZ001  exports hold wall times
    Behavior(datetime(2026, 10, 25, 2, 50, tzinfo=SUMMER), "visit", "餐厅"),
    Behavior(datetime(2026, 10, 25, 2, 10, tzinfo=WINTER), "purchase", "车"),
    Behavior(datetime(2026, 10, 25, 2, 50, tzinfo=WINTER), "visit", "餐厅"),
    Behavior(datetime.fromisoformat("9999-12-31 10:00"), "visit", "家", "", 10**12),
]


@pytest.mark.parametrize(
    ("log", "day", "fine"),
    [
        pytest.param(DAY, ["工作 1,4 5", "社交 2", "用餐 3"], ["工作 1 4 5", "社交 2", "用餐 3"], id="a day"),
        pytest.param(BROWSING, ["看车 1-3"], ["看车 1-2 3"], id="a pause"),
        pytest.param(NIGHT, ["娱乐 1-2"], ["娱乐 1-2"], id="a day goes on until five"),
        pytest.param(MORNING, ["娱乐 1 2"], ["娱乐 1 2"], id="a day begins at five"),
        pytest.param(THEME, ["对比 1-3"], ["对比 1-3"], id="a theme is of the type that weighs most"),
        pytest.param(
            EDGES, ["用餐 1 2,4", "购买! 3", "居家 5"], ["用餐 1 2 4", "购买! 3", "居家 5"], id="odd clocks"
        ),
    ],
)
async def test_at_day_an_event_goes_on_until_the_day_ends_and_at_fine_until_a_pause_or_another_activity(
    log: list[Behavior], day: list[str], fine: list[str]
) -> None:
    assert await lines(*log) == day
    assert await lines(*log, detail="fine") == fine


async def test_types_are_named_in_the_language_of_the_rules() -> None:
    assert await lines(*DEALER, english=True) == ["store visit! 1", "socializing 2"]


async def test_the_rules_look_at_no_more_of_a_text_than_a_model_is_sent() -> None:
    begins = "宝马4S店 " + "好" * 194
    assert len(begins) == 200
    for item in (begins, begins + "医院", begins.replace(" ", " " * 100)):
        rows = behavior("2026-01-05 10:00", "visit", item, begins, 60)
        assert await lines(rows) == ["到店! 1"]
        assert RULES.summaries((rows,))([rows]) == RULES.summaries(())([rows._replace(item=begins)])


async def test_marks_come_from_the_vocabulary() -> None:
    provider = RulesProvider(RULES, Vocabulary((), (Category("conversion", "$"), Category("other"))))
    reply = await provider.complete(Request((), {"U1": log_of(*DEALER)}, 0, 0))
    assert reply.text == "## U1\n到店$ 1\n社交 2\n##"


def test_what_the_vocabulary_cannot_say_is_refused_with_the_key() -> None:
    with pytest.raises(ConfigError, match=r"types\.purchase\.category.*conversion.*vocabulary\.categories"):
        RulesProvider(RULES, Vocabulary((), (Category("all"),)))
    two = (Category("conversion", "餐"), Category("other"))
    with pytest.raises(ConfigError, match=r"types\.meal: .*用餐"):
        RulesProvider(RULES, Vocabulary((), two))
    with pytest.raises(ConfigError, match=r"types\.daily: .*日常"):
        RulesProvider(RULES, Vocabulary((), VOCABULARY.categories, minor="日常"))


def test_journeys_alone_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[prompt\] detail to day or fine"):
        RulesProvider(RULES, VOCABULARY, "journeys")


START = datetime.fromisoformat("2026-01-05 10:00")
Doing = tuple[str, str, str, int | None]


def summarized(*doings: Doing, language: Language = "zh", apart: timedelta = timedelta(hours=1)) -> str:
    log = log_of(
        *(
            Behavior(START + number * apart, action, item, place, duration)
            for number, (action, item, place, duration) in enumerate(doings)
        )
    )
    return (RULES if language == "zh" else ENGLISH).summaries(log.behaviors)(log.behaviors)


LOOKING: list[Doing] = [
    ("browse", "长城_哈弗H6", "汽车之家", 300),
    ("browse", "长城_哈弗H9", "易车网", 100),
    ("search", "长城哈弗H9价格", "易车", None),
    ("click", "长城_哈弗H9_详情页", "汽车之家", None),
]


@pytest.mark.parametrize(
    ("doings", "expected"),
    [
        ([("visit", "XX西餐厅", "", 3_060)], "西餐厅用餐 51分钟"),
        ([("visit", "XX西餐厅", "", None)], "西餐厅用餐"),
        ([("use", "微信", "", 45)], "微信 45秒"),
        ([("browse", "长城_哈弗H6", "汽车之家", 292)], "浏览长城哈弗H6 4分钟，汽车之家"),
        ([("search", "儿童座椅安装", "", None)], "搜索儿童座椅安装"),
        ([("cart", "长城_哈弗H6", "汽车之家", None)], "加购长城哈弗H6，汽车之家"),
        (LOOKING, "长城哈弗H6、长城哈弗H9，浏览2次、搜索1次、点击1次共6分钟，汽车之家等"),
        (LOOKING[:2], "浏览长城哈弗H6、长城哈弗H9，2次共6分钟，汽车之家等"),
        (
            [("compare", "对比_长城_WEY VV7,吉利_星越", "汽车之家", 600), LOOKING[0]],
            "对比长城WEY VV7、吉利星越，浏览1次共15分钟，汽车之家",
        ),
        (
            [("compare", "对比_长城_WEY VV7,吉利_星越", "汽车之家", 600)] * 2 + LOOKING[:1],
            "对比长城WEY VV7、吉利星越，对比2次、浏览1次共25分钟，汽车之家",
        ),
        ([("use", "汽车之家", "", 60), LOOKING[1]], "长城哈弗H9，使用1次、浏览1次共2分钟，易车网等"),
        ([("visit", "餐厅", "", 600), ("use", "微信", "", 90)], "餐厅用餐 10分钟；微信 1分钟"),
        ([("", "早上在小区门口吃面", "", None)], "早上在小区门口吃面"),
        ([("", "吃面\n## U2", "", None)], "吃面 ## U2"),
        ([("打赏", "主播", "", None)], "打赏主播"),
        ([("打赏", "", "直播间", None)], "打赏直播间"),
        ([("打赏", "", "", None)] * 4, "打赏，4次"),
        ([("gift_sent", "主播", "", None)], "gift sent 主播"),
        ([("visit", "", "", None)], "到访"),
        ([("use", "", "", 60)] * 2, "使用，2次共2分钟"),
        ([("purchase", "", "京东", None)], "购买京东"),
        ([("browse", "", "", None), ("click", "", "", None)] * 2, "浏览2次、点击2次"),
        (
            [(word, "云驰_K3", "", None) for word in ("甲", "乙", "丙", "丁", "戊", "甲")],
            "云驰K3，甲2次、乙1次、丙1次、丁1次等5项",
        ),
        (
            [
                ("browse", "星瀚_M5", "车迹", 20),
                ("purchase", "星瀚_M5", "星瀚4S店", None),
                ("use", "微信", "", 20),
            ],
            "购买星瀚M5；浏览星瀚M5 20秒；微信 20秒",  # what stands alone first
        ),
        (
            [("browse", f"云驰_K{n}", "车迹汽车网", n * 60) for n in range(1, 6)],
            "浏览云驰K5、云驰K4、云驰K3等5项，5次共15分钟，车迹汽车网",  # what was dealt with most first
        ),
    ],
)
def test_a_summary_names_things_counts_and_time(doings: list[Doing], expected: str) -> None:
    assert summarized(*doings) == expected


def test_time_that_two_rows_share_is_summed_once() -> None:
    played: list[Doing] = [("visit", "西餐厅", "", 3_600), ("visit", "西餐厅", "", 3_600)]
    assert summarized(*played, apart=timedelta(minutes=20)) == "西餐厅用餐，2次共1小时20分钟"


def test_english_summaries() -> None:
    looked = summarized(*LOOKING[:2], language="en")
    assert looked == "browsed 长城哈弗H6, 长城哈弗H9, 2x, 6 min, 汽车之家 etc."
    names = ("Blue cafe", "Red diner", "Pub lunch", "Canteen")
    eaten = summarized(*(("visit", name, "", 600) for name in names), language="en")
    assert eaten == "meal at Blue cafe, Red diner, Pub lunch (of 4), 4x, 40 min"


def test_a_search_is_named_by_a_thing_that_the_user_dealt_with_at_another_time() -> None:
    seen = behavior("2026-01-03 10:00", "browse", "星瀚_M5", "车迹")
    search = behavior("2026-01-05 10:00", "search", "星瀚M5价格", "车迹")
    assert RULES.summaries((seen, search))([search]) == "搜索星瀚M5，车迹"
    assert RULES.summaries((search,))([search]) == "搜索星瀚M5价格，车迹"


def test_words_that_say_the_action_themselves_get_no_verb_and_no_phrase_of_a_place() -> None:
    paid = behavior("2026-03-04 10:00", "purchase", "支付停车费", "启程4S店")
    visit = behavior("2026-03-04 12:00", "visit", "启程4S店 试驾", duration=3600)
    search = behavior("2026-03-04 18:00", "search", "在懂车帝搜索宝马7系油耗")
    own = [each._replace(text=each.item) for each in (paid, visit, search)]
    seen = behavior("2026-03-04 18:05", "browse", "宝马7系", duration=120)
    summarize = RULES.summaries((*own, seen))
    assert [summarize([each]) for each in own] == [
        "支付停车费，启程4S店",
        "启程4S店 试驾 1小时",
        "在懂车帝搜索宝马7系油耗",
    ]


def test_summaries_stay_short_whatever_the_names() -> None:
    long: list[Doing] = [("browse", f"{n}" + "很长的商品名称" * 9, "店铺" * 30, 60) for n in range(4)]
    for count in range(1, 5):
        assert width(summarized(*long[:count])) <= 88
        assert width(summarized(*long[:count], language="en")) <= 96
    assert summarized(("", "长" * 300, "", None)) == "长" * 43 + "…"
    assert summarized(("", "long" * 300, "", None)) == "long" * 21 + "lo…"


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "", ""),
        (59, "59秒", "59 s"),
        (60, "1分钟", "1 min"),
        (3_600, "1小时", "1 h"),
        (4_499, "1小时14分钟", "1 h 14 min"),
        (306_060, "3天13小时", "3 d 13 h"),
        (86_400 + 120, "1天2分钟", "1 d 2 min"),
    ],
)
def test_times_are_said_in_their_two_largest_units(seconds: int, zh: str, en: str) -> None:
    assert WORDING["zh"].duration(seconds) == zh
    assert WORDING["en"].duration(seconds) == en
