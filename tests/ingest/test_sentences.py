"""A sentence that holds the facts of a structured row gives those facts."""

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from eventabs.ingest.normal_form import define_macros, define_words

CONNECTION = duckdb.connect()
define_macros(CONNECTION)
define_words(CONNECTION)


def read(sentence: str) -> tuple[Any, ...] | None:
    """Return action, item, place and duration, None for free text."""
    row: Any = CONNECTION.execute(
        """SELECT action, sentence_item(parts), sentence_place(parts, action), sentence_duration(parts)
        FROM (SELECT parts, sentence_action(parts) AS action FROM (SELECT sentence_parts(?::VARCHAR) AS parts))""",
        [sentence],
    ).fetchone()
    return tuple(row) if row[0] is not None else None


@pytest.mark.parametrize(
    ("sentence", "facts"),
    [
        ("在XX西餐厅停留 1小时14分钟", ("visit", "XX西餐厅", "", "1小时14分钟")),
        ("在公司停留8小时", ("visit", "公司", "", "8小时")),
        ("在公司停留", ("visit", "公司", "", None)),
        ("浏览吉利_博越 在懂车帝上 292秒", ("browse", "吉利_博越", "懂车帝", "292秒")),
        ("浏览吉利 博越 在懂车帝上 292秒", ("browse", "吉利 博越", "懂车帝", "292秒")),
        ("使用大众点评 13分钟", ("use", "大众点评", "", "13分钟")),
        ("搜索吉利缤越油耗 在易车", ("search", "吉利缤越油耗", "易车", None)),
        ("搜索深圳天气 30分钟", ("search", "深圳天气 30分钟", "", None)),
        ("搜索停车 在易车上 30秒", ("search", "停车", "易车", "30秒")),
        ("点击详情页 在新浪汽车", ("click", "详情页", "新浪汽车", None)),
        ("对比对比_吉利_博越 在汽车之家", ("compare", "对比_吉利_博越", "汽车之家", None)),
        ("将本田_奥德赛加入购物车 在汽车之家", ("cart", "本田_奥德赛", "汽车之家", None)),
        ("把宝马加入购物车", ("cart", "宝马", "", None)),
        ("购买丰田_汉兰达 在丰田4S店", ("purchase", "丰田_汉兰达", "丰田4S店", None)),
        ("购买书 在海上", ("purchase", "书", "海上", None)),
        ("收藏宝马X5 在易车", ("favorite", "宝马X5", "易车", None)),
        ("浏览新闻 在上", ("browse", "新闻", "上", None)),
    ],
)
def test_a_known_sentence_gives_the_facts_of_the_structured_row(
    sentence: str, facts: tuple[Any, ...]
) -> None:
    assert read(sentence) == facts


@pytest.mark.parametrize("sentence", ["看了一部电影", "在公园散步", "将来的打算", "浏览", "", "went home"])
def test_other_sentences_stay_free_text(sentence: str) -> None:
    assert read(sentence) is None


NAMES = st.text("宝马吉利AB_7号店", min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, st.integers(1, 999))
def test_any_name_comes_back_from_the_sentence_made_of_it(item: str, place: str, seconds: int) -> None:
    assert read(f"浏览{item} 在{place}上 {seconds}秒") == ("browse", item, place, f"{seconds}秒")
    assert read(f"购买{item} 在{place}") == ("purchase", item, place, None)
    assert read(f"在{item}停留 {seconds}分钟") == ("visit", item, "", f"{seconds}分钟")
