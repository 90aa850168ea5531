"""The long form: what structured rows say when they are written out."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.prompts.tokens import TokenCounter
from eventabs.prompts.user_costs import long_pieces, sentence
from eventabs.shared_records import Behavior, UserLog

NOON = datetime.fromisoformat("2026-01-01T12:00:05")
COUNTER = TokenCounter()


@pytest.mark.parametrize(
    ("fields", "chinese", "english"),
    [
        (
            ("visit", "西餐厅", "", 4_440),
            "在西餐厅停留 1小时14分钟",
            "stayed at 西餐厅 for 1 hours 14 minutes",
        ),
        (("use", "微信", "", 788), "使用微信 13分钟", "used 微信 for 13 minutes"),
        (("use", "微信", "", 42), "使用微信 42秒", "used 微信 for 42 seconds"),
        (("browse", "A", "B", 292), "浏览A 在B上 292秒", "viewed A on B for 4 minutes"),
        (("click", "A", "B", 9), "点击A 在B", "clicked A on B"),
        (("search", "A {} C", "B"), "搜索A {} C 在B", "searched for A {} C on B"),
        (("purchase", "A", "B"), "购买A 在B", "bought A on B"),
        (("打卡", "A", "B", 60), "打卡 A 在B 1分钟", "打卡 A on B for 1 minutes"),
        (("", "今天吃饭"), "今天吃饭", "今天吃饭"),
    ],
)
def test_structured_rows_are_written_out_by_the_documented_template(
    fields: tuple[Any, ...], chinese: str, english: str
) -> None:
    behavior = Behavior(NOON, *fields)
    assert sentence(behavior) == chinese
    assert sentence(behavior, "en") == english


def test_the_exports_own_sentence_is_kept() -> None:
    assert sentence(Behavior(NOON, "use", "微信", text="使用微信 13分钟")) == "使用微信 13分钟"


def test_long_lines_are_stamped_with_wall_time_and_joined_by_newlines() -> None:
    east = timezone(timedelta(hours=8))
    log = UserLog("u", (Behavior(NOON, "use", "微信"), Behavior(NOON.replace(tzinfo=east), "", "hello you")))
    assert "".join(long_pieces(log)) == "2026-01-01 12:00:05 使用微信\n2026-01-01 12:00:05 hello you"
    assert "".join(long_pieces(UserLog("u", ()))) == ""


TEXTS = st.text(st.sampled_from("ab  \n\t\u3000。)1好'"), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_the_counts_of_long_pieces_add_up_to_that_of_the_lines(texts: list[str]) -> None:
    log = UserLog("u", tuple(Behavior(NOON, "", "", text=text) for text in texts))
    assert COUNTER.total(long_pieces(log)) == COUNTER.count("".join(long_pieces(log)))
