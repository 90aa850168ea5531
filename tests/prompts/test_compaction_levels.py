"""Level `dense` loses nothing: what stands in it reads back to behaviors."""

import re
from collections.abc import Mapping
from datetime import datetime

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.interface_language import Language
from eventabs.prompts.compact_lines import CODES, Compactor, make_legend
from eventabs.prompts.instructions_and_requests import CHAT_FRAMING_TOKENS
from eventabs.prompts.packing import BatchLimits
from eventabs.prompts.tokens import TokenCounter
from eventabs.shared_records import THING, Behavior, UserLog
from read_back import BEHAVIORS, at, make_builder, read_body, seen, what_comes_back

COUNTER = TokenCounter()
LEGEND_LINE = re.compile(r"([A-Z]{1,2})=(.*)")
DURATION = re.compile(r"(.*?) ?((?<![^ ])\d+s?)", re.ASCII)


def expand_dense(text: str, language: Language) -> list[tuple[str, ...]]:
    """Read a message at level `dense` back as `expand` does at level `line`; slow and obvious."""
    legend: dict[str, str] = {}
    rows: list[tuple[str, ...]] = []
    year = day = ""
    for line in text.removesuffix("\n").split("\n"):
        if found := LEGEND_LINE.fullmatch(line):
            legend[found[1]] = found[2]
        elif line.startswith("# "):
            date = line.split(" ")[1]
            year, day = (date[:4], date[5:]) if len(date) == 10 else (year, date)
        elif not line.startswith("## "):
            number, clock, rest = line.split(" ", 2)
            assert int(number) == len(rows) + 1
            found = DURATION.fullmatch(rest)
            body, duration = found.groups() if found else (rest, "")
            if duration and not duration.endswith("s"):
                duration = Compactor("en").duration(60 * int(duration)).strip()
            time = f"{int(clock[:-2]):02}:{clock[-2:]}"
            rows.append((f"{year}-{day}", time, *read_body(decoded(body, legend), language), duration))
    return rows


def decoded(body: str, legend: Mapping[str, str]) -> str:
    first, space, others = body.partition(" ")
    body = legend.get(first, first) + space + others
    last = others.rpartition(" ")[2]
    return body.removesuffix(last) + legend[last] if last in legend else body


def written(behaviors: list[Behavior], legend: Mapping[str, str], language: Language = "zh") -> str:
    compactor = Compactor(language, level="dense", legend=legend)
    return compactor.legend() + "".join(compactor.block("U1", UserLog("", tuple(behaviors)), 1))


def test_a_dense_message_has_the_documented_shape() -> None:
    behaviors = [
        at("00:05", "visit", "西餐厅", "", 4_440),
        at("07:43", "browse", "宝马7系", "汽车之家", 179),
        at("14:30", "use", "微信", "", 45),
        at("15:00", "use", "微信"),
    ]
    assert written(behaviors, {"A": "看 宝马7系", "B": "汽车之家"}) == (
        "A=看 宝马7系\nB=汽车之家\n## U1\n# 2026-01-01 周四\n"
        "1 005 西餐厅 74\n2 743 A B 2\n3 1430 用 微信 45s\n4 1500 用 微信\n"
    )


@pytest.mark.parametrize(
    ("behavior", "line"),
    [
        (at("10:00", "visit", "A"), '1000 "A"'),
        (at("10:00", "", "plan A"), '1000 ·"plan A"'),
        (at("10:00", "browse", "鞋", "A"), '1000 看 "鞋" "A"'),
        (at("10:00", "A", "鞋"), '1000 "A": 鞋'),
        (at("10:00", "browse", "A4", "B"), "1000 看 A4 B"),
        (at("10:00", "visit", "家"), "1000 A"),
        (at("10:00", "visit", "地铁 2", "", 1_440), '1000 "地铁 2" 24'),
        (at("10:00", "", "跑了 45s"), '1000 ·"跑了 45s"'),
        (at("10:00", "visit", "Route 5m"), "1000 Route 5m"),
    ],
)
def test_a_name_that_reads_as_a_code_or_ends_like_minutes_is_quoted(behavior: Behavior, line: str) -> None:
    assert Compactor("zh", level="dense", legend={"A": "家"}).lines(UserLog("", (behavior,))) == [line]


@settings(max_examples=150, deadline=None)
@given(BEHAVIORS, st.sampled_from(["zh", "en"]), st.data())
def test_every_behavior_comes_back_from_a_dense_line(
    behaviors: list[Behavior], language: Language, data: st.DataObject
) -> None:
    texts = sorted(Compactor(language, level="dense").texts([UserLog("", tuple(behaviors))]))
    chosen = data.draw(st.lists(st.sampled_from(texts), unique=True, max_size=4)) if texts else []
    legend = dict(zip(CODES, chosen, strict=False))
    assert expand_dense(written(behaviors, legend, language), language) == what_comes_back(behaviors)


CODED = st.builds(
    Behavior,
    st.just(datetime.fromisoformat("2026-01-01T10:00")),
    st.sampled_from(["visit", THING, "", "browse", "use", "B", "A x"]),
    st.lists(st.sampled_from(["A", "B", "AB", "x", "1000", '"', "5s", "7"]), max_size=3).map(" ".join),
    st.sampled_from(["", "A", "B", "x A", "10", "3 1000"]),
    st.none() | st.just(60),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(CODED, min_size=1, max_size=4))
def test_names_that_look_like_codes_and_numbers_come_back_too(behaviors: list[Behavior]) -> None:
    texts = sorted(Compactor("zh", level="dense").texts([UserLog("", tuple(behaviors))]))
    text = written(behaviors, dict(zip(CODES, texts[:2], strict=False)))
    rows = [(action, item, place) for _day, _clock, action, item, place, _length in expand_dense(text, "zh")]
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


def test_a_part_costs_the_same_in_any_batch_and_all_adds_up() -> None:
    plain = make_builder("dense")
    limits = BatchLimits(40_000, plain.instructions_tokens, 8_192, 30, 0, plain.counter)
    builder = make_builder("dense", plain.legend_for(LOGS, limits))
    assert builder.legend_tokens > 0
    assert builder.instructions_tokens == plain.instructions_tokens + builder.legend_tokens
    limits = BatchLimits(40_000, builder.instructions_tokens, 8_192, 30, 0, builder.counter)
    for logs in (LOGS[:1], LOGS[:7], LOGS):
        request = builder.request(logs, max_output_tokens=1)
        counted = sum(COUNTER.count(message["content"]) for message in request.messages)
        assert request.input_tokens == counted + CHAT_FRAMING_TOKENS
        assert request.input_tokens == limits.input_tokens([builder.measure(log) for log in logs])
    assert builder.measure(LOGS[0]).input_tokens < 0.7 * plain.measure(LOGS[0]).input_tokens


def test_nobody_makes_no_legend() -> None:
    builder = make_builder("dense")
    assert builder.legend_for([], BatchLimits(40_000, 900, 8_192, 30, 0, builder.counter)) == {}
