"""Requests of an extension: journeys that are known stand in front of the days."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import default_vocabulary
from eventabs.prompts.instructions_and_requests import Instructions, PromptBuilder
from eventabs.prompts.tokens import TokenCounter
from eventabs.shared_records import Behavior, KnownJourney, UserLog

COUNTER = TokenCounter()


def make_builder(counter: TokenCounter = COUNTER) -> PromptBuilder:
    return PromptBuilder(Instructions(language="zh", vocabulary=default_vocabulary("zh")), counter=counter)


def user(name: str) -> UserLog:
    start = datetime(2026, 1, 1, 10)  # noqa: DTZ001  exports hold wall times
    rows = (Behavior(start + timedelta(hours=7 * n), "visit", f"餐厅{n}", "", 60 * n) for n in range(3))
    return UserLog(name, tuple(rows), (("city", "上海"),))


KNOWN = (
    KnownJourney("购买", "露营帐篷", ()),
    KnownJourney("旅行", "湖边度假", (0, 2)),
    KnownJourney("", "", (1,)),
)


def test_a_line_a_journey_with_the_numbers_of_its_rows_in_the_request() -> None:
    logs = [user("a"), user("b")._replace(known=KNOWN)]
    text = make_builder().request(logs, max_output_tokens=9).messages[1]["content"]
    assert "## U2 上海\n> 购买 露营帐篷\n> 旅行 湖边度假: 4,6\n>: 5\n# 2026-01-01 周四\n4 " in text


names = (
    st.text(st.sampled_from('ab Z019露营：:;>#,-"“😀'), min_size=1, max_size=9).map(str.strip).filter(bool)
)
known = st.lists(
    st.builds(KnownJourney, st.sampled_from(["购买", "trip", ""]), names, st.just(()) | st.just((0, 2)))
)


@given(known, st.integers(1, 4), st.sampled_from(["cl100k_base", "o200k_base"]))
def test_what_is_planned_for_a_block_with_known_journeys_is_never_passed(
    found: list[KnownJourney], users: int, encoding: str
) -> None:
    counter = TokenCounter(encoding)
    builder = make_builder(counter)
    logs = [user(f"u{number}")._replace(known=tuple(found)) for number in range(users)]
    request = builder.request(logs, max_output_tokens=9)
    sizes = [builder.measure(log) for log in logs]
    numbers = builder.counter.numbers(3 * users)[3 * users]
    planned = builder.instructions_tokens + sum(size.input_tokens for size in sizes) + numbers
    rows = users * sum(len(each.rows) for each in found)
    spare = counter.count("9999") - counter.count("9")
    assert request.input_tokens == planned - spare * rows
    content = request.messages[1]["content"]
    assert request.input_tokens == builder.instructions_tokens + counter.count(content)
    assert content.count("\n> ") + content.count("\n>:") == users * len(found)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_instructions_of_an_extension_say_what_known_journeys_are(language: Language) -> None:
    usual = Instructions(language=language, vocabulary=default_vocabulary(language))
    extended = replace(usual, extends=True).text()
    told = "`>: 行号`" if language == "zh" else "`>: rows`"
    assert (told in extended, told in usual.text()) == (True, False)
    assert COUNTER.count(extended) - COUNTER.count(usual.text()) < 150
