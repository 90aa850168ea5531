"""The shorter levels lose nothing: what stands in them reads back to level `line`, and from there to behaviors."""

import re
from collections.abc import Mapping
from datetime import datetime

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.choices import Compaction
from eventabs.language import Language
from eventabs.prompts.builder import CHAT_FRAMING_TOKENS
from eventabs.prompts.lines import CODES, Compactor, make_legend
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.records import THING, Behavior, UserLog
from read_back import BEHAVIORS, DURATION, at, expand, make_builder, seen, what_comes_back

COUNTER = TokenCounter()
SPLIT = re.compile(r" (?=\d\d:\d\d(?: |$))", re.ASCII)
LEGEND_LINE = re.compile(r"([A-Z]{1,2})=(.*)")


def as_lines(text: str) -> str:
    """Read a user message at level `legend` or `day` back to level `line`; slow and obvious."""
    legend: dict[str, str] = {}
    lines: list[str] = []
    year = month = ""
    for line in text.removesuffix("\n").split("\n"):
        if (found := LEGEND_LINE.fullmatch(line)) and not lines:
            legend[found[1]] = found[2]
        elif line.startswith(("## ", "# ")):
            lines.append(line)
        elif re.match(r"\d\d:\d\d ", line):
            lines.append(as_line(line, legend))
        else:
            day, *behaviors = SPLIT.split(line)
            date, _, weekday = day.partition(" ")
            if weekday:
                year, month = date[:4], date[5:7]
                lines.append(f"# {day}")
            else:
                month = date[:2] if len(date) == 5 else month
                lines.append(f"# {month}-{date[-2:]}")
            lines += [as_line(behavior, legend) for behavior in behaviors]
    assert year or "# " in text or not lines[1:]
    return "\n".join(lines) + "\n"


def as_line(behavior: str, legend: Mapping[str, str]) -> str:
    clock, _, rest = behavior.partition(" ")
    found = DURATION.fullmatch(rest)
    body, duration = found.groups() if found else (rest, "")
    first, space, others = body.partition(" ")
    body = legend.get(first, first) + space + others
    if space:
        before, _, last = body.rpartition(" ")
        if last in legend and others.rpartition(" ")[2] == last:
            body = f"{before} {legend[last]}"
    return f"{clock} {body} {duration}".rstrip() if duration else f"{clock} {body}"


def written(
    behaviors: list[Behavior], level: Compaction, legend: Mapping[str, str], language: Language = "zh"
) -> str:
    compactor = Compactor(language, level=level, legend=legend)
    return compactor.legend() + "".join(compactor.block("U1", UserLog("", tuple(behaviors))))


def test_a_message_at_level_legend_has_the_documented_shape() -> None:
    behaviors = [at("10:00", "visit", "西餐厅", "", 4_440), at("14:30", "browse", "宝马7系", "汽车之家", 179)]
    assert written(behaviors, "legend", {"A": "看 宝马7系", "B": "汽车之家"}) == (
        "A=看 宝马7系\nB=汽车之家\n## U1\n# 2026-01-01 周四\n10:00 西餐厅 1h14m\n14:30 A B 2m\n"
    )


def test_a_message_at_level_day_has_a_line_a_day_and_the_month_where_it_changes() -> None:
    days = (
        "2025-12-30T10:00",
        "2025-12-31T10:00",
        "2025-12-31T11:30",
        "2026-01-01T00:05",
        "2026-02-01T09:00",
    )
    behaviors = [Behavior(datetime.fromisoformat(day), "visit", "家", "", 60) for day in days]
    assert written(behaviors, "day", {"A": "家"}) == (
        "A=家\n## U1\n2025-12-30 周二 10:00 A 1m\n31 10:00 A 1m 11:30 A 1m\n"
        "2026-01-01 周四 00:05 A 1m\n02-01 09:00 A 1m\n"
    )


@pytest.mark.parametrize(
    ("behavior", "line"),
    [
        (at("10:00", "visit", "A"), '10:00 "A"'),
        (at("10:00", "visit", "A Bar"), '10:00 "A Bar"'),
        (at("10:00", "", "plan A"), '10:00 ·"plan A"'),
        (at("10:00", "browse", "鞋", "A"), '10:00 看 "鞋" "A"'),
        (at("10:00", "A", "鞋"), '10:00 "A": 鞋'),
        (at("10:00", "browse", "A4", "B"), "10:00 看 A4 B"),
        (at("10:00", "visit", "家"), "10:00 A"),
    ],
)
def test_a_name_that_looks_like_a_code_is_quoted(behavior: Behavior, line: str) -> None:
    assert written([behavior], "legend", {"A": "家"}).split("\n")[3] == line


def test_a_name_with_a_clock_in_it_does_not_begin_a_behavior() -> None:
    text = written([at("10:00", "", "聊到 22:30 才走"), at("11:00", "visit", "09:00")], "day", {})
    assert text.split("\n")[1] == '2026-01-01 周四 10:00 ·"聊到 \\22:30 才走" 11:00 "09:00"'


LEVELS: st.SearchStrategy[Compaction] = st.sampled_from(["legend", "day"])


@settings(max_examples=300, deadline=None)
@given(BEHAVIORS, st.sampled_from(["zh", "en"]), LEVELS, st.data())
def test_every_behavior_comes_back_from_a_shorter_level(
    behaviors: list[Behavior], language: Language, level: Compaction, data: st.DataObject
) -> None:
    texts = sorted(Compactor(language, level=level).texts([UserLog("", tuple(behaviors))]))
    chosen = data.draw(st.lists(st.sampled_from(texts), unique=True, max_size=4)) if texts else []
    legend = dict(zip(CODES, chosen, strict=False))
    assert expand(as_lines(written(behaviors, level, legend, language)), language) == what_comes_back(
        behaviors
    )


CODED = st.builds(
    Behavior,
    st.just(datetime.fromisoformat("2026-01-01T10:00")),
    st.sampled_from(["visit", THING, "", "browse", "use", "B", "A x"]),
    st.lists(st.sampled_from(["A", "B", "AB", "x", "10:00", '"', "5m"]), max_size=3).map(" ".join),
    st.sampled_from(["", "A", "B", "x A", "10:00"]),
    st.none() | st.just(60),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CODED, min_size=1, max_size=4), LEVELS)
def test_names_that_look_like_codes_and_clocks_come_back_too(
    behaviors: list[Behavior], level: Compaction
) -> None:
    texts = sorted(Compactor("zh", level=level).texts([UserLog("", tuple(behaviors))]))
    text = written(behaviors, level, dict(zip(CODES, texts[:2], strict=False)))
    rows = [
        (action, item, place) for _day, _clock, action, item, place, _length in expand(as_lines(text), "zh")
    ]
    assert rows == [seen(b.action, b.item, b.place) for b in behaviors]


def test_a_text_gets_a_code_only_where_that_is_shorter() -> None:
    uses = {"看 宝马7系": 100, "汽车之家": 50, "西餐厅": 1, "car": 1_000}
    legend = make_legend(uses, 0.1, COUNTER.count)
    assert legend == {"A": "看 宝马7系", "B": "汽车之家"}
    for code, text in legend.items():
        saved = (COUNTER.count(f" {text}") - COUNTER.count(f" {code}")) * uses[text] * 0.1
        assert saved > COUNTER.count(f"{code}={text}\n")


def test_there_are_no_more_entries_than_codes_and_the_best_have_the_cheapest() -> None:
    legend = make_legend({f"很长的名字{n}": 2_000 - n for n in range(1_000)}, 1.0, COUNTER.count)
    assert sorted(legend) == sorted(CODES)
    assert list(legend.values()) == [f"很长的名字{n}" for n in range(len(CODES))]
    costs = [COUNTER.count(f" {code}") for code in legend]
    assert costs == sorted(costs)


LOGS = [
    UserLog(
        f"u{n}", tuple(at(f"{hour:02d}:15", "browse", "宝马7系", "汽车之家", 90) for hour in range(8, 20))
    )
    for n in range(30)
]


@pytest.mark.parametrize("level", ["legend", "day"])
def test_a_part_costs_the_same_in_any_batch_and_all_adds_up(level: Compaction) -> None:
    plain = make_builder(level)
    legend = plain.legend_for(LOGS, BatchLimits(40_000, plain.instructions_tokens, 8_192, 30))
    builder = make_builder(level, legend)
    assert set(legend.values()) == {"看 宝马7系", "汽车之家"}
    assert builder.instructions_tokens == plain.instructions_tokens + builder.legend_tokens
    for logs in (LOGS[:1], LOGS[:7], LOGS):
        request = builder.request(logs, max_output_tokens=1)
        measured = builder.instructions_tokens + sum(builder.measure(log).input_tokens for log in logs)
        counted = sum(COUNTER.count(message["content"]) for message in request.messages)
        assert request.input_tokens == measured == counted + CHAT_FRAMING_TOKENS
    assert builder.measure(LOGS[0]).input_tokens < 0.7 * plain.measure(LOGS[0]).input_tokens


def test_nobody_makes_no_legend() -> None:
    assert make_builder("legend").legend_for([], BatchLimits(40_000, 900, 8_192, 30)) == {}
