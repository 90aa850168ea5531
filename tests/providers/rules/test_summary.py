"""Summaries: short, concrete, in the language of the run."""

from datetime import datetime, timedelta

import pytest

from eventabs.language import Language
from eventabs.providers.rules.book import load_rules, shipped_rules
from eventabs.providers.rules.segments import segments
from eventabs.providers.rules.summary import WORDING, Summarizer, clipped, width
from eventabs.records import Behavior

RULES = {language: load_rules(shipped_rules(), language) for language in WORDING}
START = datetime.fromisoformat("2026-01-05 10:00")
Doing = tuple[str, str, str, int | None]


def summarized(*doings: Doing, language: Language = "zh") -> str:
    log = [
        Behavior(START + timedelta(seconds=second), action, item, place, duration)
        for second, (action, item, place, duration) in enumerate(doings)
    ]
    (stretch,) = segments(log, RULES[language], "day")
    return Summarizer(log, RULES[language]).summary(stretch)


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
        ([("打赏", "主播", "", None)], "主播"),
        ([("打赏", "", "直播间", None)], "直播间"),
        ([("visit", "", "", None)], ""),
    ],
)
def test_a_summary_names_things_counts_and_time(doings: list[Doing], expected: str) -> None:
    assert summarized(*doings) == expected


def test_english_summaries() -> None:
    assert (
        summarized(*LOOKING[:2], language="en") == "browsed 长城哈弗H6, 长城哈弗H9, 2x, 6 min, 汽车之家 etc."
    )
    places: list[Doing] = [
        ("visit", name, "", 600) for name in ("Blue cafe", "Red diner", "Pub lunch", "Canteen")
    ]
    assert summarized(*places, language="en") == "meal at Blue cafe, Red diner, Pub lunch (of 4), 4x, 40 min"


def test_what_was_dealt_with_most_comes_first() -> None:
    seen: list[Doing] = [("browse", f"云驰_K{n}", "车迹汽车网", n * 60) for n in range(1, 6)]
    assert summarized(*seen) == "浏览云驰K5、云驰K4、云驰K3等5项，5次共15分钟，车迹汽车网"


def test_summaries_stay_short_whatever_the_names() -> None:
    long: list[Doing] = [("browse", f"{n}" + "很长的商品名称" * 9, "店铺" * 30, 60) for n in range(4)]
    for count in range(1, 5):
        assert width(summarized(*long[:count])) <= 88
        assert width(summarized(*long[:count], language="en")) <= 96
    assert summarized(("", "长" * 300, "", None)) == "长" * 43 + "…"
    assert summarized(("", "long" * 300, "", None)) == "long" * 21 + "lo…"


def test_further_themes_are_left_out_where_no_room_is() -> None:
    doings: list[Doing] = [("visit", "餐厅" * 20, "", 3_600), ("use", "微信" * 20, "", 60)]
    assert "微信" not in summarized(*doings)


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
    assert WORDING["zh"].time(seconds) == zh
    assert WORDING["en"].time(seconds) == en


def test_a_name_that_is_cut_shows_it() -> None:
    assert clipped("abcdef", 6) == "abcdef"
    assert clipped("abcdefg", 6) == "abcd…"
    assert clipped("长城哈弗", 8) == "长城哈弗"
    assert clipped("长城哈弗H6", 8) == "长城哈…"
