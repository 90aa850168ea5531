"""Whatever a model makes of the form, a good answer is read as it was meant."""

import json
import re

import pytest
from hypothesis import given, strategies as st

from eventabs.replies.forms_of_answers import Answer, Labels, without_reasoning
from eventabs.shared_records import FinishReason
from reply_cases import ASKED, GOOD, SCHEMA, VOCABULARY, Short, asked, behaviors, dumped, one, read, told

MEANT = told(GOOD)
STEPS = "：搜索 5；浏览 6,8；加购! 10"
JSON = dumped(SCHEMA)
COMPACT = json.dumps(SCHEMA, ensure_ascii=False, separators=(",", ":"))
DRAFT = "## U1\n工作 1-12\n## U2\n用餐 13\n##\n"
TYPES = r"^(工作|用餐|运动|零碎)"


def with_types(pattern: str, instead: str) -> str:
    return re.sub(TYPES + pattern, instead, GOOD, flags=re.MULTILINE)


def bulleted(bullet: str) -> str:
    return re.sub(r"^(?=[^#\n])", bullet, GOOD, flags=re.MULTILINE)


AROUND = {
    "CRLF": GOOD.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + GOOD,
    "fence": f"```\n{GOOD}```",
    "prose": f"以下是 2 位用户的结果，共 13 行：\n\n{GOOD}\n共 2 位用户，13 行。",
    "prose with a type": f"整理 13\n{GOOD}",
    "fence with a name in prose": f"好的：\n```text\n{GOOD}```\n希望有帮助",
    "blank lines": GOOD.replace("\n", "\n\n"),
    "thought": f"<think>\n{DRAFT}</think>\n{GOOD}",
    "thought whose opening tag is in the prompt": f"{DRAFT}</think>\n{GOOD}",
    "thought that never ends": f"<think>\nA draft:\n{DRAFT}So the answer is\n{GOOD}",
    "full width": GOOD.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)})
    .replace(",", "，")
    .replace("!", "！")
    .replace(" ", "　")
    .replace("#", "＃")
    .replace(">", "＞"),
    "echo of the lines in front": f"## U1 34岁 女\n# 2087-03-03 周一\n1 07:35 地铁2号线 24m\n{GOOD}",
}
HEADERS = {
    "number": GOOD.replace("## U", "## "),
    "zero": GOOD.replace("## U", "## U0"),
    "bold": re.sub(r"## (U\d)", r"**\1**", GOOD),
    "用户": re.sub(r"## U(\d)", r"用户\1：", GOOD),
    "User": GOOD.replace("## U", "### User "),
    "bare": GOOD.replace("## ", ""),
    "small, with a colon": re.sub(r"## U(\d)", r"u\1:", GOOD),
    "with words": GOOD.replace("## U1", "U1 的事件："),
    "day": GOOD.replace("## U1", "## U1 2087-03-03"),
    "days without #": GOOD.replace("## U1", "U1 2087-03-03 周一"),
    "one a day": GOOD.replace("工作 2", "## U1 2087-03-05\n工作 2"),
    "profile": GOOD.replace("## U1", "## U1 34岁 女 教师 8"),
    "in front of every line": "".join(
        f"{alias}：{line}\n"
        for alias, lines in (("U1", GOOD.split("\n")[1:6]), ("U2", ["运动 13"]))
        for line in lines
    )
    + "##",
}
TYPE_LINES = {
    "brackets": with_types("", r"【\1】"),
    "square brackets": with_types("", r"[\1]"),
    "gloss": GOOD.replace("工作", "工作(work)").replace("用餐", "用餐（dining）"),
    "gloss that is the type": GOOD.replace("工作", "出勤(工作)"),
    "other name": GOOD.replace("工作", "work"),
    "colon": with_types(" ", r"\1："),
    "equals": with_types(" ", r"\1 = "),
    "arrow": with_types(" ", r"\1 → "),
    "dash": with_types(" ", r"\1 – "),
    "bold": with_types("", r"**\1**"),
    "code": with_types("", r"`\1`"),
    "underlined": with_types("", r"__\1__"),
    "heading": with_types(" ", r"### \1\n"),
    "mark in front": GOOD.replace("加购!", "!加购"),
    "mark behind the group": GOOD.replace("加购! 10", "加购 10!"),
    "one event a line": GOOD.replace("工作 2,4 9", "工作 2,4\n工作 9").replace("零碎 1 7", "零碎 1\n零碎 7"),
    "wrapped": GOOD.replace("工作 2,4 9", "工作 2,4\n9"),
    "several a line": GOOD.replace("9\n用餐 3\n零碎", "9；用餐 3；零碎"),
    "several a line, nothing between": GOOD.replace("9\n用餐 3\n零碎", "9 用餐 3 零碎"),
    "table": re.sub(r"^([^#>\n]\S*) (.*)$", r"| \1 | \2 |", GOOD, flags=re.MULTILINE).replace(
        "| 工作", "| 类型 | 行 |\n|---|:---|\n| 工作"
    ),
    "table with notes": re.sub(r"^([^#>\n]\S*) (.*)$", r"| \1 | \2 | 上班等 |", GOOD, flags=re.MULTILINE),
    "YAML": GOOD.replace("工作 2,4 9", "工作:\n  - 2,4\n  - 9").replace("零碎 1 7", "零碎：\n  1\n  7"),
    "YAML with keys": GOOD.replace("工作 2,4 9", "- type: 工作\n  rows: 2,4 9"),
    "rows first": GOOD.replace("工作 2,4 9\n用餐 3\n零碎 1 7", "2,4 工作\n9：工作\n3 用餐\n1,7 零碎"),
    "minor in the other language": GOOD.replace("零碎", "minor"),
    "minor with a gloss": GOOD.replace("零碎 ", "零碎（minor）："),
    "how many": GOOD.replace("工作 ", "工作（2）："),
    "note": GOOD.replace("2,4 9", "2,4 9 (共3行)"),
    "comment": GOOD.replace("2,4 9", "2,4 9  # 上班"),
    "full stop": re.sub(r"(\d)$", r"\1。", GOOD, flags=re.MULTILINE),
}
GROUPS = {
    "第 行": GOOD.replace("2,4 9", "第2,4行 第9行"),
    "行": GOOD.replace("2,4 9", "行 2,4 9"),
    "行号": GOOD.replace("2,4 9", "行号：2,4 9"),
    "rows": GOOD.replace("2,4 9", "rows 2,4 9"),
    "、": GOOD.replace(",", "、"),
    "、 and no space": GOOD.replace("工作 2,4", "工作2、4"),
    "spaces": GOOD.replace(",", ", "),
    "and": GOOD.replace("2,4", "2 and 4"),
    "和": GOOD.replace("2,4", "2和4"),
    "#": GOOD.replace("2,4", "#2,#4"),
    "lists": GOOD.replace("2,4 9", "[2,4], [9]").replace("1 7", "[1] [7]"),
    "list of lists": GOOD.replace("2,4 9", "[[2,4],[9]]"),
    "round brackets": GOOD.replace("2,4 9", "(2,4) (9)"),
    "semicolons": GOOD.replace("2,4 9", "2,4; 9"),
}
JOURNEYS = {
    "steps below": GOOD.replace(STEPS, "：\n  搜索 5\n  浏览 6,8\n  加购! 10"),
    "steps with bullets": GOOD.replace(STEPS, "：\n- 搜索 5\n- 浏览 6,8\n- 加购! 10"),
    "steps below, not deeper": GOOD.replace(STEPS, "：\n搜索 5\n浏览 6,8\n加购! 10"),
    "wrapped": GOOD.replace("浏览 6,8；", "浏览 6,8；\n"),
    "again for each step": GOOD.replace("；浏览", "\n> 购买 露营帐篷：浏览"),
    "arrows": GOOD.replace("；", " → "),
    "commas": GOOD.replace("；", "，"),
    "bars": GOOD.replace("；", " | "),
    "slashes": GOOD.replace("；", " / "),
    "bar behind the name": GOOD.replace("篷：", "篷 | "),
    "no colon": GOOD.replace("篷：", "篷 "),
    "ASCII": GOOD.replace("：", ": ").replace("；", "; "),
    "colons in the steps": GOOD.replace("搜索 5", "搜索：5"),
    "kind in brackets": GOOD.replace("> 购买 ", "> 【购买】"),
    "kind with a colon": GOOD.replace("> 购买 ", "> 购买："),
    "kind and name in one": GOOD.replace("> 购买 ", "> 购买"),
    "name in brackets": GOOD.replace("露营帐篷", "（露营帐篷）"),
    "bold": GOOD.replace("> 购买 露营帐篷", "> **购买 露营帐篷**"),
}
ENDS = {
    "word": GOOD[:-3] + "### 结束",
    "bold": GOOD[:-3] + "**##**",
    "same line": GOOD[:-4] + " ##",
    "none": GOOD[:-3],
    "none in a fence": f"```\n{GOOD[:-3]}```",
    "behind every user": GOOD.replace("## U2", "##\n## U2"),
}
IN_JSON = {
    "schema": JSON,
    "compact": COMPACT,
    "pretty": json.dumps(SCHEMA, ensure_ascii=False, indent=2),
    "fence": f"好的\n```json\n{JSON}\n```\n共 2 位",
    "prose": f"Here [as asked] it is:\n{JSON}\nThat's all.",
    "thought": f"<think>maybe {{}} or [1]</think>{JSON}",
    "single quotes": str(SCHEMA),
    "curly quotes": re.sub(r'"([^"]*)"', r"“\1”", COMPACT),
    "full width": COMPACT.replace('":', '"：').replace('",', '"，'),
    "trailing commas": JSON.replace("}]", "},],"),
    "bare keys": re.sub(r'"(\w+)":', r"\1:", JSON),
    "forgotten comma": JSON.replace("}, {", "} {"),
    "forgotten brace": JSON.replace('"5"},', '"5",', 1),
    "forgotten bracket": JSON.replace(']}, {"user"', '}, {"user"', 1),
    "rows as lists": JSON.replace('"6,8"', "[6,8]")
    .replace('"2,4 9"', "[[2,4],[9]]")
    .replace('"1 7"', "[1,7]"),
    "rows as texts": JSON.replace('"2,4 9"', '["2,4","9"]'),
    "a line a user": "\n".join(map(dumped, SCHEMA["users"])),
    "a fence a user": "\n".join(f"```json\n{dumped(user)}\n```" for user in SCHEMA["users"]),
    "number as user": re.sub(r'"U(\d)"', r"\1", JSON),
    "by alias": dumped(
        {user["user"]: {key: user[key] for key in user if key != "user"} for user in SCHEMA["users"]}
    ),
    "by type": dumped(
        {
            "U1": {
                "journeys": {
                    "购买 露营帐篷": {"搜索": 5, "浏览": "6,8", "加购!": [10]},
                    "旅行 湖边度假": {"住宿": 11, "旅行": "12"},
                },
                "events": {"工作": [[2, 4], [9]], "用餐": [3]},
                "minor": [1, 7],
            },
            "U2": {"运动": "13"},
        }
    ),
    "pairs": dumped(
        [
            ["U1", ["工作", "2,4 9"], ["用餐", 3], ["零碎", 1, 7], *GOOD.split("\n")[1:3]],
            ["U2", ["运动", "13"]],
        ]
    ),
    "lines in lists": dumped({"U1": GOOD.split("\n")[1:6], "U2": ["运动 13"]}),
    "lines in a text": dumped({"answer": GOOD}),
    "Chinese keys": JSON.replace('"user"', '"用户"')
    .replace('"type"', '"类型"')
    .replace('"rows"', '"行号"')
    .replace('"kind"', '"类别"')
    .replace('"name"', '"名称"')
    .replace('"journeys"', '"历程"')
    .replace('"steps"', '"步骤"')
    .replace('"events"', '"事件"')
    .replace('"minor"', '"零碎"'),
}
BULLETS = {
    bullet: bulleted(bullet)
    for bullet in ("- ", "* ", "● ", "・", "• ", "① ", "1、", "1. ", "(1) ", "- [ ] ", "- [x] ", "  - ", "+ ")
}
DRESSES = [
    pytest.param(text, id=f"{name}: {kind}")
    for name, texts in (
        ("around", AROUND),
        ("header", HEADERS),
        ("types", TYPE_LINES),
        ("groups", GROUPS),
        ("journeys", JOURNEYS),
        ("end", ENDS),
        ("JSON", IN_JSON),
        ("bullet", BULLETS),
    )
    for kind, text in texts.items()
]


def test_what_a_good_answer_means() -> None:
    assert {
        "U1": Short(
            None,
            [
                "工作 1,3",
                "用餐 2",
                "搜索 4 <购买 露营帐篷>",
                "浏览 5,7 <购买 露营帐篷>",
                "工作 8",
                "加购! 9 <购买 露营帐篷>",
                "住宿 10 <旅行 湖边度假>",
                "旅行 11 <旅行 湖边度假>",
            ],
            (0, 6),
        ),
        "U2": Short(None, ["运动 0"]),
    } == MEANT


@pytest.mark.parametrize("text", DRESSES)
def test_a_good_answer_is_read_in_whatever_dress_it_comes(text: str) -> None:
    reading = read(text)
    assert told(text) == MEANT
    assert (reading.unknown_aliases, reading.repeated_users) == (0, 0)


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ("工作 5-8", ["工作 4,5,6,7"]),
        ("工作 5–8", ["工作 4,5,6,7"]),
        ("工作 5~8", ["工作 4,5,6,7"]),
        ("工作 5～8", ["工作 4,5,6,7"]),
        ("工作 5 to 8", ["工作 4,5,6,7"]),
        ("工作 5 至 8", ["工作 4,5,6,7"]),
        ("工作 5到8", ["工作 4,5,6,7"]),
        ("工作 5 -> 8", ["工作 4,5,6,7"]),
        ("工作 5→8", ["工作 4,5,6,7"]),
        ("工作 第5-8行", ["工作 4,5,6,7"]),
        ("工作：第5行到第8行", ["工作 4,5,6,7"]),
        ("工作 １－３，５", ["工作 0,1,2,4"]),
        ("工作 lines 5-8", ["工作 4,5,6,7"]),
        ("5G套餐 9", ["5G套餐 8"]),
        ("3D打印 5-7", ["3D打印 4,5,6"]),
        ("meal prep 9", ["meal prep 8"]),
        ("Meal  Prep：9", ["meal prep 8"]),
        ("iPhone 15 9", ["iPhone 15 8"]),
        ("工作日 9", ["工作日 8"]),
        ("银行 9", ["银行 8"]),
        ("看车、看房 9", ["看车、看房 8"]),
        ("自拟类型：9", ["自拟类型 8"]),
        ("攀岩! 9", ["攀岩! 8"]),
        ("攀岩✓ 9", ["攀岩 8"]),
        ("工作! 9", ["工作! 8"]),
        ("加购 9", ["加购! 8"]),
        ("加购(engagement) 9", ["加购! 8"]),
        ("攀岩(conversion) 9", ["攀岩! 8"]),
        ("1、工作 12", ["工作 11"]),
        ("1、3、5 工作", ["工作 0,2,4"]),
    ],
)
def test_types_and_groups_are_told_apart(line: str, events: list[str]) -> None:
    assert one(line).events == events


@pytest.mark.parametrize(
    "line",
    [
        "一共有 3 个事件，对应 12",
        "9 07:35 地铁2号线 24m",
        "9 735 用 iPhone 12",
        "10:00 工作 9",
        "Rows 1-3, see 9.",
        "工作",
        "9",
    ],
)
def test_prose_and_echoed_lines_are_no_events(line: str) -> None:
    assert one(line).events == []


def test_rows_come_first_only_where_no_line_begins_with_a_type() -> None:
    assert one("9 工作\n3 用餐").events == ["用餐 2", "工作 8"]
    assert one("9 工作\n用餐 3").events == ["用餐 2"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("> 购买 露营帐篷：搜索 5；浏览 6,8", "购买 露营帐篷"),
        ("> 购买 3:1 比分球衣：搜索 5；浏览 6,8", "购买 3:1 比分球衣"),
        ("> 购买 帐篷: 冷山2: 搜索 5; 浏览 6,8", "购买 帐篷: 冷山2"),
        ("> 购买 iPhone 15：搜索 5；浏览 6,8", "购买 iPhone 15"),
        ("> 健身 减重：搜索 5；浏览 6,8", "健身 减重"),
        ("> 露营：搜索 5；浏览 6,8", "露营 露营"),
        ("> workshop 木工：搜索 5；浏览 6,8", "workshop 木工"),
        ("> 看病：搜索 5；浏览 6,8", "看病 看病"),
        ("> 购买 帐篷 user1 的：搜索 5；浏览 6,8", "购买 帐篷 [id] 的"),
        ("> 购买 帐篷 USER1：搜索 5；浏览 6,8", "购买 帐篷 [id]"),
        ("> 购买 " + "帐" * 80 + "：搜索 5；浏览 6,8", "购买 " + "帐" * 60),
        ("> 购买 帐\u202e篷\x07：搜索 5；浏览 6,8", "购买 帐 篷"),
        ("> 购买 露营帐篷：搜索 5；浏览；浏览 6,8", "购买 露营帐篷"),
    ],
)
def test_a_journeys_name_ends_at_the_first_colon_after_which_everything_parses(line: str, name: str) -> None:
    assert one(line).events == [f"搜索 4 <{name}>", f"浏览 5,7 <{name}>"]


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ("工作 2,4? 9", ["工作 1,3?", "工作 8"]),
        ("工作 2,4 ? 9", ["工作 1,3?", "工作 8"]),
        ("工作 2,4(?) 9", ["工作 1,3?", "工作 8"]),
        ("工作? 2,4 9", ["工作 1,3?", "工作 8?"]),
        ("工作？ 2,4 9", ["工作 1,3?", "工作 8?"]),
        ("加购!? 9", ["加购! 8?"]),
        ("> 购买 帐篷?：搜索 5；浏览 6", ["搜索 4? <购买 帐篷>", "浏览 5? <购买 帐篷>"]),
        ("> 购买 帐篷：搜索 5?；浏览 6", ["搜索 4? <购买 帐篷>", "浏览 5 <购买 帐篷>"]),
    ],
)
def test_a_question_mark_says_not_sure(line: str, events: list[str]) -> None:
    assert one(line).events == events


U1, U2 = MEANT["U1"], MEANT["U2"]
NONE = {
    reason: Short(reason, [])
    for reason in ("empty", "unparsable", "refused", "cut", "missing", "content_filter")
}
HALF = GOOD[: GOOD.index("## U2")]
BAD: dict[str, tuple[str, FinishReason, Short, Short]] = {
    "empty": ("", "stop", NONE["empty"], NONE["empty"]),
    "white space": (" \n\t\ufeff", "stop", NONE["empty"], NONE["empty"]),
    "only a thought": ("<think>hm</think>\n", "stop", NONE["empty"], NONE["empty"]),
    "a thought that never ends": (f"<think>\n{DRAFT}Hm, no", "stop", NONE["empty"], NONE["empty"]),
    "a thought that is cut": (f"<think>\n{GOOD}", "length", NONE["cut"], NONE["cut"]),
    "nothing arrived": ("", "interrupted", NONE["cut"], NONE["cut"]),
    "a Chinese refusal": ("很抱歉，我无法处理这些数据。", "stop", NONE["refused"], NONE["refused"]),
    "an English refusal": ("I’m sorry, but I can't assist.", "stop", NONE["refused"], NONE["refused"]),
    "chatter": ("The users lead varied lives.", "stop", NONE["unparsable"], NONE["unparsable"]),
    "null": ("null", "stop", NONE["unparsable"], NONE["unparsable"]),
    "other JSON": ('{"error": {"code": 7}}', "stop", NONE["unparsable"], NONE["unparsable"]),
    "moderated": ("", "content_filter", NONE["content_filter"], NONE["content_filter"]),
    "moderated after the first": (HALF + "## U2", "content_filter", U1, NONE["content_filter"]),
    "second user missing": (HALF + "##", "stop", U1, NONE["missing"]),
    "second user missing in JSON": (dumped(SCHEMA["users"][:1]), "stop", U1, NONE["missing"]),
    "cut before the second user": (HALF, "length", NONE["cut"], NONE["cut"]),
    "ended without a word before the second": (HALF, "stop", U1, NONE["cut"]),
    "no end, and cut by length": (GOOD[:-3], "length", U1, NONE["cut"]),
    "cut in a number": (GOOD[: GOOD.index("3\n##")], "stop", U1, NONE["cut"]),
    "cut in the second header": (HALF + "## U", "length", NONE["cut"], NONE["cut"]),
    "cut JSON": (JSON[: JSON.index('"13"')], "length", U1, NONE["cut"]),
    "cut JSON, unsaid": (JSON[: JSON.index('"运动"')], "stop", U1, NONE["cut"]),
    "JSON closed and yet cut": (JSON, "length", U1, U2),
    "cut JSON lines": ("\n".join(map(dumped, SCHEMA["users"]))[:-20], "stop", U1, NONE["cut"]),
    "only unknown users": (GOOD.replace("## U", "## U9"), "stop", NONE["missing"], NONE["missing"]),
}


@pytest.mark.parametrize(("text", "finish", "first", "second"), BAD.values(), ids=BAD)
def test_users_that_cannot_be_read_have_the_reason(
    text: str, finish: FinishReason, first: Short, second: Short
) -> None:
    assert told(text, finish) == {"U1": first, "U2": second}


def test_unknown_and_repeated_users_are_counted() -> None:
    reading = read(GOOD.replace("##\n", "## U7\n工作 1\n## U1\n工作 9\n##\n"))
    assert (reading.unknown_aliases, reading.repeated_users) == (1, 1)
    assert reading.outcomes["U1"].repeated == 1
    assert read(dumped({"U1": {"工作": 2}, "U9": {"工作": 1}})).unknown_aliases == 1


def test_a_user_alone_needs_no_header() -> None:
    alone = asked(behaviors("2087-03-03 10:00", "2087-03-03 11:00"))
    assert told("工作 1\n用餐 2\n##", asked=alone)["U1"] == Short(None, ["工作 0", "用餐 1"])
    assert told('{"events": [{"type": "工作", "rows": "1,2"}]}', asked=alone)["U1"] == Short(
        None, ["工作 0,1"]
    )


def test_reasoning_beside_the_text_is_no_answer() -> None:
    assert told("")["U1"].reason == "empty"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", ("plain", "")),
        ("\ufeff plain", ("plain", "")),
        ("<think>a</think>b", ("b", "")),
        ("a</think>b", ("b", "")),
        ("<think>a</think>b</think>c", ("c", "")),
        ("b\n<think>a</think>", ("b\n", "")),
        ("a</think>", ("", "")),
        ("<think>a", ("", "a")),
        ("b\n<THINKING>a", ("b\n", "a")),
        ("b <think>a", ("b <think>a", "")),
        ("[THINK]a[/THINK]b", ("b", "")),
        ("◁think▷a◁/think▷b", ("b", "")),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", ("b", "")),
        ("<thinker>a</thinker>b", ("<thinker>a</thinker>b", "")),
        ("a\n> 学习 </think> 标签：搜索 5", ("a\n> 学习 </think> 标签：搜索 5", "")),
        ("<think>a\n> b</think>c", ("c", "")),
    ],
)
def test_reasoning_is_taken_away(text: str, answer: tuple[str, str]) -> None:
    assert without_reasoning(text) == answer


def test_the_request_of_the_cases_has_rows_of_two_users() -> None:
    assert [len(user.rows) for user in ASKED.values()] == [12, 1]


PLAIN = (
    *(
        "工作 2,4 9",
        "夜跑 3?",
        "加购! 10",
        "work 1-3,5",
        "meal prep 3",
        "3D打印 4",
        "rows 3",
        "user 2",
        "第 3",
    ),
    *("type: 工作 3", "工作： 3", "a, b, c 3", "foo # 3", "- 工作 3", "  工作 3", "夜跑 99", "工作 ７，８ 5"),
    *("> 购买 帐篷：搜索 5；夜跑 6,8", "> 旅行 湖: foo: 工作 7; 住宿 11", "> 购买 帐篷 搜索 5"),
)


@pytest.mark.parametrize("line", PLAIN)
def test_a_line_in_the_form_that_is_asked_for_says_what_it_says_where_other_forms_are_read(line: str) -> None:
    labels = Labels(VOCABULARY)
    quick, slow = (Answer(labels, {"U1": range(1, 13)}) for _ in range(2))
    text = f"## U1\n{line}\n> 购买 车：\n  {line}\n{line}\n7-8 9"
    quick.read(text)
    for each in text.splitlines():
        slow.line(each)
    slow.end_block()
    assert quick == slow


WORDS = st.sampled_from(
    [
        "工作",
        "夜跑",
        "# 夜跑",
        "// x",
        "type: 工作",
        "工作,",
        "x(搜索)",
        "加购!",
        "* x",
        "rest",
        "用餐?",
        "零碎",
        "3D打印",
    ]
)
ROWS = st.builds(
    lambda numbers, sign, end: sign.join(map(str, numbers)) + end,
    st.lists(st.integers(0, 99), min_size=1, max_size=3),
    st.sampled_from([",", "-", " "]),
    st.sampled_from(["", "?"]),
)
PLAIN_STEPS = st.lists(st.builds("{} {}".format, WORDS, ROWS), min_size=1, max_size=3)
LINES = st.builds(
    lambda head, steps, sign: head + sign.join(steps),
    st.sampled_from(["", "> 购买 帐篷：", "> 旅行 a: ", "- ", "> x: "]),
    PLAIN_STEPS,
    st.sampled_from(["; ", "；"]),
)


@given(st.lists(LINES, max_size=4))
def test_lines_in_the_form_that_is_asked_for_say_what_the_general_reading_finds(lines: list[str]) -> None:
    labels = Labels(VOCABULARY)
    quick, slow = (Answer(labels, {"U1": range(1, 13), "U2": range(13, 20)}) for _ in range(2))
    quick.read("\n".join(["## U1", *lines]))
    for each in ["## U1", *lines]:
        slow.line(each)
    slow.end_block()
    assert quick == slow
