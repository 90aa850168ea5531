"""The whole ladder: whatever a model sends, every user of the batch has an outcome."""

import re
import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st

from eventabs.records import FinishReason
from eventabs.replies.reader import AnswerText, without_reasoning
from reply_cases import (
    FORMS,
    GOOD,
    JSON_LINES,
    LINES,
    OBJECTS,
    PARTS,
    PIPES,
    ROWS,
    SCHEMA,
    USERS,
    dumped,
    read,
    told,
)

KEYS = ("开始", "结束", "类型", "类别", "摘要")
DECOY = "## U1\n# 01-02\n09:30-10:00 诱饵\n## U2\n# 01-01\n12:00 诱饵\n##\n"


def keyed(*names: str) -> dict[str, list[dict[str, str]]]:
    return {alias: [dict(zip(names, row, strict=True)) for row in rows] for alias, rows in ROWS.items()}


WELL = {
    "lines": LINES,
    "json a line a user": JSON_LINES,
    "schema": SCHEMA,
    "rows with bars": PIPES,
    "markdown table": "| user | start | end |\n|---|---|---|\n" + PIPES.replace("U", "| U"),
    "byte order mark": "\ufeff" + LINES,
    "byte order mark before json": "\ufeff" + SCHEMA,
    "CRLF": LINES.replace("\n", "\r\n"),
    "old Mac line ends": LINES.replace("\n", "\r"),
    "json with CRLF": JSON_LINES.replace("\n", "\r\n"),
    "prose around": f"Sure! Here are the events:\n\n{LINES}\nI hope that 10:00 helps.",
    "prose around json": f"Here [as asked] they are:\n{SCHEMA}\nAnything else?",
    "fence": f"```\n{LINES}```",
    "fence around json": f"Here:\n```json\n{SCHEMA}\n```\n",
    "a fence a user": "\n".join(f"```json\n{dumped(user)}\n```" for user in OBJECTS),
    "thought": f"<think>Let me see.</think>\n{LINES}",
    "thought with a decoy": f"<think>Perhaps\n{DECOY}No.</think>{LINES}",
    "thought with a decoy before json": f"<think>\n{DECOY}</think>\n\n{JSON_LINES}",
    "thought whose opening tag is in the prompt": f"{DECOY}</think>\n{LINES}",
    "thought in another tag": f"<thinking>{DECOY}</thinking>{LINES}",
    "a draft that ends in a tag": f"<think>{DECOY.removesuffix(chr(10) + '##' + chr(10))}</think>\n{LINES}",
    "thought behind the answer": f"{LINES}<think>{DECOY}</think>",
    "thought that never ends, before an answer": f"<think>\nA draft:\n{DECOY}So the answer is\n{LINES}",
    "the same before json": f"<think>\nWell, so the answer is\n{SCHEMA}\n```",
    "day headers with weekdays": LINES.replace("2026-01-01", "2026-01-01 周四").replace(
        "01-02\n", "01-02 Fri\n"
    ),
    "chinese day headers": LINES.replace("# 2026-01-01", "# 2026年1月1日（周四）").replace(
        "# 01-02", "# 1月2日"
    ),
    "days in bold": LINES.replace("# 2026-01-01", "**2026-01-01**").replace("# 01-02", "01/02:"),
    "full-width punctuation": LINES.replace(":", "：")
    .replace("-1", "～1")
    .replace("|", "｜")
    .replace("!", "！"),
    "full-width digits": LINES.translate({ord(str(digit)): 0xFF10 + digit for digit in range(10)}),
    "en dashes": re.sub(r"(?<=:\d\d)-", " – ", LINES),
    "bullets": re.sub(r"^(?=\d)", "- ", LINES, flags=re.MULTILINE),
    "numbers": re.sub(r"^(?=\d)", "12. ", LINES, flags=re.MULTILINE),
    "headers with the profile": LINES.replace("## U1", "## U1 40岁 男 企业管理者"),
    "bare aliases": LINES.replace("## U", "u"),
    "aliases with a colon": LINES.replace("## U1", "U1:").replace("## U2", "U2："),
    "aliases in bold": re.sub(r"## (U\d)", r"**\1**", LINES),
    "chinese aliases": LINES.replace("## U", "### 用户"),
    "spelled aliases": LINES.replace("## U", "## User "),
    "chinese json aliases": JSON_LINES.replace('"U', '"用户U'),
    "numbers as json aliases": re.sub(r'"U(\d)"', r"\1", SCHEMA),
    "every block ended": LINES.replace("## U2", "##\n## U2"),
    "pretty json": dumped({"users": OBJECTS}).replace("],[", "],\n  [").replace('{"u"', '{\n"u"'),
    "users by alias": dumped(ROWS),
    "users by alias, wrapped": dumped(
        {"status": "ok", "result": {"data": {"u1": ROWS["U1"], "用户U2": ROWS["U2"]}}}
    ),
    "english keys": dumped(keyed("start", "end", "type", "category", "summary")),
    "other english keys": dumped(keyed("start_time", "endTime", "Event Type", "category", "description")),
    "chinese keys": dumped([{"用户": alias, "事件": rows} for alias, rows in keyed(*KEYS).items()]),
    "an object an event": dumped(
        [
            {"user": a} | row
            for a, rows in keyed("start", "end", "type", "category", "summary").items()
            for row in rows
        ]
    ),
    "an array an event": dumped([[alias, *row] for alias, rows in ROWS.items() for row in rows]),
    "events as lines in json": dumped(
        {
            "U1": [
                "01-01 10:00-11:14 用餐 | 西餐厅用餐",
                "01-01 22:10-01:30 聚会",
                "01-02 09:10-10:40 到店! | 看车",
            ],
            "U2": ["2026-01-01 08:00 起床"],
        }
    ),
    "events by day": dumped(
        {
            "U1": {
                "2026-01-01": [["10:00", "11:14", "用餐", "", "西餐厅用餐"], ["22:10", "01:30", "聚会"]],
                "01-02": [["09:10", "10:40", "到店!", "", "看车"]],
            },
            "U2": [{"date": "2026-01-01", "events": [{"time": "08:00", "type": "起床"}]}],
        }
    ),
    "single quotes": SCHEMA.replace('"', "'"),
    "python literals": repr({"done": True, "next": None, "users": OBJECTS}),
    "python tuples": repr(
        {"users": [{"u": a, "events": [tuple(r) for r in rows]} for a, rows in ROWS.items()]}
    ),
    "trailing commas": SCHEMA.replace("]]}", "],],}"),
    "unquoted keys": SCHEMA.replace('"u"', "u").replace('"events"', "events"),
    "full-width json": SCHEMA.replace('":', '"：').replace('",', '"，').replace("],[", "]，["),
    "curly quotes": re.sub(r'"([^"]*)"', r"“\1”", SCHEMA),
    "no outer end": SCHEMA.removesuffix("]}"),
    "comma forgotten": SCHEMA.replace("],[", "] ["),
    "one broken object among lines": JSON_LINES.replace('"engagement",""]]', '"engagement",""],]'),
    "user unknown": LINES.replace("## U2", "## U7\n# 01-01\n08:00 无\n## U2"),
    "a field behind the events, single quotes": repr({"users": [u | {"count": 3} for u in OBJECTS]}),
    "a field behind the events, trailing commas": "\n".join(
        dumped(user | {"count": 3}).replace("]]", "],]") for user in OBJECTS
    ),
    "a field behind the events, something forgotten": "\n".join(
        dumped(user | {"note": "ok", "count": 3}).replace('",', '" ', 1) for user in OBJECTS
    ),
    "single quotes a line": "\n".join(map(repr, OBJECTS)),
    "objects with trailing commas": dumped(keyed("start", "end", "type", "category", "summary")).replace(
        '"}', '",}'
    ),
    "objects with one time": dumped(
        {
            "U1": [
                {"timestamp": "2026-01-01 10:00", "activity": "用餐", "content": "西餐厅用餐"},
                {"datetime": "2026-01-01T22:15:00", "事件名称": "聚会", "备注": ""},
                {"发生时间": "01-02 09:30", "事件": "到店", "内容": "看车"},
            ],
            "U2": [{"Event-Time": "08:00", "event_type": "起床", "context": ""}],
        }
    ).replace('"08:00"', '"01-01 08:00"'),
    "dates and times in fields of their own": dumped(
        [
            {
                "user": alias,
                "start_date": row[0][:5],
                "start_time": row[0][6:],
                "end_date": row[1][:5],
                "end_time": row[1][6:],
                "type": row[2],
                "text": row[4],
            }
            for alias, rows in ROWS.items()
            for row in rows
        ]
    ),
    "rows with the type first": "\n".join(
        f"{alias}|{kind}|{start} - {end}|{summary}|{category}"
        for alias, rows in ROWS.items()
        for start, end, kind, category, summary in rows
    )
    + "\n##\n",
    "arrays with the type first": dumped(
        {
            a: [[kind, start, end, summary, category] for start, end, kind, category, summary in rows]
            for a, rows in ROWS.items()
        }
    ),
    "a table under each header": re.sub(
        r"^(\d\S+) (\S+)(?: \|)? ?(.*)$", r"| \1 | \2 | \3 |", LINES, flags=re.MULTILINE
    ),
    "no end": LINES.removesuffix("##\n"),
    "no end, no line feed": LINES.removesuffix("\n##\n"),
    "no end in a fence": f"```\n{LINES.removesuffix('##' + chr(10))}```\n",
    "no end of rows": PIPES.removesuffix("##\n"),
    "no end of objects with their users": "\n".join(
        dumped({"user": a, "time": f"{row[0]}-{row[1]}", "type": row[2], "summary": row[4]})
        for a, rows in ROWS.items()
        for row in rows
    ),
    "an end in bold": LINES.replace("\n##\n", "\n**##**\n"),
    "an end with a word": LINES.replace("\n##\n", "\n### 结束\nI hope this helps."),
    "an object for each day of a user": dumped(
        [
            {
                "user": alias,
                "date": f"2026-{day}",
                "events": [[row[0][6:], row[1], *row[2:]] for row in rows if row[0][:5] == day],
            }
            for alias, rows in ROWS.items()
            for day in ("01-01", "01-02")
            if any(row[0][:5] == day for row in rows)
        ]
    ),
    "days in the headers": LINES.replace("\n# 2026", " 2026", 1).replace("## U2\n# ", "## U2 40岁 男 "),
    "rows with commas": "\n".join(",".join([alias, *row]) for alias, rows in ROWS.items() for row in rows),
    "rows with quoted cells": "\n".join(
        ",".join(f'"{cell}"' for cell in (alias, *row)) for alias, rows in ROWS.items() for row in rows
    ),
    "rows with tabs": "user\tstart\tend\ttype\tcategory\tsummary\n" + PIPES.replace("|", "\t"),
    "type and summary parted by a dash": LINES.replace(" | ", " - "),
    "type and summary parted by a colon": LINES.replace(" | ", "："),
    "summary in brackets": re.sub(r" \| (\S+)", r"（\1）", LINES),
    "category as a cell of a line": LINES.replace(" | 西", " | engagement | 西").replace(
        "到店! | 看车", "到店 | 看车 | conversion"
    ),
    "half lines, half json": LINES[: LINES.index("## U2")] + "##\n" + dumped(OBJECTS[1]),
}


@pytest.mark.parametrize("text", WELL.values(), ids=WELL)
def test_a_good_answer_is_read_in_whatever_dress_it_comes(text: str) -> None:
    assert told(read(text)) == GOOD


U1, U2 = GOOD["U1"], GOOD["U2"]
HEADLESS = "\n".join(LINES.split("\n")[1:5])
BAD = {
    "empty": ("", "stop", "empty", "empty"),
    "white space": (" \n\t\ufeff", "stop", "empty", "empty"),
    "only a thought": ("<think>hm</think>\n", "stop", "empty", "empty"),
    "a thought that never ends": ("<think>\nU1 ate, U2 ...", "stop", "empty", "empty"),
    "a thought with drafts that never ends": (f"<think>\n{DECOY}Hm, no", "stop", "empty", "empty"),
    "a thought that is cut": (f"<think>\n{LINES}", "length", "cut", "cut"),
    "nothing arrived": ("", "interrupted", "cut", "cut"),
    "chinese refusal": ("很抱歉，我无法处理这些数据。", "stop", "refused", "refused"),
    "english refusal": ("I’m sorry, but I can't assist with that.", "stop", "refused", "refused"),
    "chatter": ("The users lead varied lives.", "stop", "unparsable", "unparsable"),
    "null": ("null", "stop", "unparsable", "unparsable"),
    "no json of ours": ('{"error": {"code": 7}}', "stop", "unparsable", "unparsable"),
    "moderated": ("", "content_filter", "content_filter", "content_filter"),
    "moderated after the first": (
        LINES[: LINES.index("# 2026-01-01\n08")],
        "content_filter",
        U1,
        "content_filter",
    ),
    "no end, and cut by length": (LINES.removesuffix("##\n"), "length", U1, "cut"),
    "no end, and prose": (LINES.removesuffix("##\n") + "And so on", "stop", U1, "cut"),
    "no end, and a line without a type": (LINES.removesuffix("##\n") + "09:00", "stop", U1, "cut"),
    "no end before the second user": (LINES[: LINES.index("## U2")], "stop", "cut", "cut"),
    "no end of rows, and cut by length": (PIPES.removesuffix("##\n"), "length", U1, "cut"),
    "no end of rows, and half a row": (PIPES.removesuffix("##\n") + "U2|01-01 12:", "stop", U1, "cut"),
    "rows that end before the second user": (PIPES[: PIPES.index("U2")], "stop", "cut", "cut"),
    "cut in the last line": (LINES[: LINES.index("起床")], "length", U1, "cut"),
    "cut in the last line, unsaid": (LINES[: LINES.index("起床")], "stop", U1, "cut"),
    "cut before the second user": (LINES[: LINES.index("## U2")], "length", "cut", "cut"),
    "cut in the second header": (LINES[: LINES.index("2\n# 2026-01-01\n08")], "length", "cut", "cut"),
    "cut json": (SCHEMA[: SCHEMA.index("起床")], "length", U1, "cut"),
    "cut json, unsaid": (SCHEMA[: SCHEMA.index("起床")], "stop", U1, "cut"),
    "cut json behind an event": (dumped(OBJECTS[::-1]).removesuffix("]}]"), "stop", "cut", U2),
    "cut json lines": (JSON_LINES[:-9], "stop", U1, "cut"),
    "cut single quotes": (SCHEMA.replace('"', "'")[:-9], "stop", U1, "cut"),
    "cut by length where mending would close": (
        SCHEMA.replace('"起床",', '"起床" '),
        "length",
        U1,
        "cut",
    ),
    "whole in single quotes and yet cut": (SCHEMA.replace('"', "'"), "length", U1, U2),
    "cut users by alias": (dumped(ROWS)[:-9], "stop", U1, "cut"),
    "cut rows": (PIPES.removesuffix("##\n"), "length", U1, "cut"),
    "cut between the users": (JSON_LINES[: JSON_LINES.index("\n")], "length", U1, "cut"),
    "second user missing": (LINES[: LINES.index("## U2")] + "##", "stop", U1, "missing"),
    "second user missing in json": (dumped({"users": OBJECTS[:1]}), "stop", U1, "missing"),
    "only unknown users": (LINES.replace("## U", "## U9"), "stop", "missing", "missing"),
    "a user without events": ("## U1\n## U2\n# 01-01\n08:00 起床\n##", "stop", "empty", U2),
    "a user without events in json": (dumped({"U1": [], "U2": ROWS["U2"]}), "stop", "empty", U2),
    "events null": (dumped([{"u": "U1", "events": None}, OBJECTS[1]]), "stop", "empty", U2),
    "dates that do not exist": (LINES.replace("# 2026-01-01\n08", "# 02-30\n08"), "stop", U1, "empty"),
    "times of another user": (
        "## U2\n" + LINES[6 : LINES.index("## U2")] + "##",
        "stop",
        "missing",
        "ungrounded",
    ),
    "a broken user": ('[{"u":"U1","events":["x","y"]},' + dumped(OBJECTS[1]) + ",]", "stop", "empty", U2),
}


@pytest.mark.parametrize(("text", "finish", "first", "second"), BAD.values(), ids=BAD)
def test_users_that_cannot_be_read_have_the_reason(
    text: str, finish: FinishReason, first: object, second: object
) -> None:
    assert told(read(text, finish)) == {"U1": first, "U2": second}


def test_reasoning_beside_the_text_is_no_answer() -> None:
    assert told(read("", reasoning=LINES)) == {"U1": "empty", "U2": "empty"}


@pytest.mark.parametrize("form", FORMS)
def test_the_first_usable_part_of_a_user_counts_and_the_others_are_counted(form: str) -> None:
    other = FORMS[form].replace("起床", "另一个")
    reading = (
        read(FORMS["lines"] + other)
        if form == "lines"
        else read(JSON_LINES + JSON_LINES.replace("起床", "他"))
    )
    assert told(reading) == GOOD
    assert reading.repeated_users == 2


def test_a_later_part_counts_where_the_first_is_not_usable() -> None:
    reading = read("## U2\n# 01-01\n03:00 a\n" + LINES)
    assert told(reading) == GOOD
    assert reading.repeated_users == 1


def test_unknown_users_are_ignored_and_counted() -> None:
    reading = read(LINES.replace("##\n", "## U3\n# 01-01\n10:00 a\n## 用户U44\n##\n"))
    assert told(reading) == GOOD
    assert reading.unknown_aliases == 2


def test_unknown_users_in_json_are_counted() -> None:
    assert read(dumped({**ROWS, "U9": []})).unknown_aliases == 1


@pytest.mark.parametrize("text", [f"{HEADLESS}\n##", dumped({"events": ROWS["U1"]}), dumped(ROWS["U1"])])
def test_a_user_alone_needs_no_name(text: str) -> None:
    outcome = read(text, only="U1").outcomes["U1"]
    assert outcome.usable
    assert outcome.events[0].summary == "西餐厅用餐"


def test_a_user_alone_in_a_cut_answer_without_name_is_cut() -> None:
    assert told(read(HEADLESS, "length", only="U1")) == {"U1": "cut"}


def test_prose_before_a_header_is_no_event_of_a_user_alone() -> None:
    reading = read("10:00 I begin\n" + LINES, only="U1")
    assert told(reading) == {"U1": GOOD["U1"]}
    assert reading.unknown_aliases == 1


def test_a_tag_in_a_summary_of_a_strict_answer_is_text() -> None:
    reading = read(LINES.replace("看车", "搜索</think>"))
    assert reading.outcomes["U1"].events[2].summary == "搜索</think>"


ECHOED = {
    "in lines": LINES.replace("西餐厅用餐", "搜索</think>").replace("- ", " - "),
    "in lines that are not strict": LINES.replace("西餐厅用餐", "搜索</think>").replace("10:00-", "10:00 - "),
    "in lines behind reasoning": "<think>\nhm\n</think>\n" + LINES.replace("西餐厅用餐", "搜索</think>"),
    "in a fence": "```\n" + LINES.replace("西餐厅用餐", "搜索</think>") + "```",
    "before prose": LINES.replace("西餐厅用餐", "搜索</think>") + "ok",
    "in json lines": JSON_LINES.replace("西餐厅用餐", "搜索</think>"),
    "in json behind reasoning": "hm\n</think>\n" + SCHEMA.replace("西餐厅用餐", "搜索</think>"),
    "in pretty json": "Here:\n" + dumped(OBJECTS).replace("[", "\n[").replace("西餐厅用餐", "搜索</think>"),
    "in single quotes": SCHEMA.replace('"', "'").replace("西餐厅用餐", "搜索</think>"),
    "in rows": PIPES.replace("西餐厅用餐", "搜索</think>"),
    "in a table": PIPES.replace("U", "| U").replace("西餐厅用餐", "搜索</think> "),
}


@pytest.mark.parametrize("text", ECHOED.values(), ids=ECHOED)
def test_a_summary_that_echoes_a_tag_costs_nobody_an_event(text: str) -> None:
    good = {
        alias: [(*e[:3], e[3].replace("西餐厅用餐", "搜索</think>"), e[4]) for e in GOOD[alias]]
        for alias in GOOD
    }
    assert told(read(text)) == good


@pytest.mark.parametrize("tag", ["</think>", "<think>"])
def test_a_user_alone_keeps_the_events_before_a_tag(tag: str) -> None:
    outcome = read(f"# 2026-01-01\n10:00 - 11:14 用餐 | {tag}\n22:15 聚会\n##\n", only="U1").outcomes["U1"]
    assert [event.type for event in outcome.events] == ["用餐", "聚会"]


def test_events_without_a_behavior_are_kept_with_the_models_times() -> None:
    reading = read(LINES.replace("08:00", "08:00 起床\n03:00"))
    ungrounded = reading.outcomes["U2"].events[0]
    assert (ungrounded.start, ungrounded.behaviors, ungrounded.grounded) == ("2026-01-01T03:00:00", (), False)


HOSTILE = {
    "brackets": "[" * 100_000,
    "objects": '{"u":' * 20_000,
    "closed brackets": '{"u":"U1","events":' + "[" * 50_000 + "]" * 50_000 + "}",
    "one long line": "## U1\n# 01-01\n10:00 a | " + "x" * 1_000_000 + "\n## U2\n##",
    "many events": "## U1\n# 01-01\n" + "10:00 a\n" * 20_000,
    "tags": "\n<think>" * 20_000,
    "quotes": '{"u":"U1","events":[' + '["' * 20_000 + '{"u":"U2","events":[]}',
    "pieces": '{"u":"U1","events":[' + ("['01-" + "'a" * 100) * 500 + '{"u":"U2","events":[]}',
    "escapes": '{"u":"U1","events":["' + '\\"' * 50_000,
    "a huge number": '{"u":"U1","events":[' + "1" * 50_000,
    "far years": "## U1\n# 9999-12-31\n23:00-22:00 a\n24:00 b\n# 0000-01-01\n10:00 c\n##",
    "lone surrogates": "## U1\n# 01-01\n10:00 \ud83d用餐 | \udc00\n## U2\n##",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_survived(text: str) -> None:
    assert read(text).outcomes.keys() == USERS.keys()
    assert read(text, "length", only="U1").outcomes.keys() == {"U1"}


PIECES = st.sampled_from(
    [
        "##",
        "## U1\n",
        "\n",
        "|",
        '"',
        "'",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "-",
        "<think>",
        "</think>",
        "10:00",
        "02-30",
        "\\",
        "：",
        "U2",
        "\r",
        "\x00",
    ]
)


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(list(FORMS.values())),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), PIECES | st.text(max_size=3)), max_size=5),
    st.sampled_from(["stop", "length", "interrupted", "content_filter"]),
)
def test_any_damage_leaves_outcomes_for_all_and_invents_nothing(
    text: str, damages: list[tuple[int, int, str]], finish: FinishReason
) -> None:
    for at, length, put in damages:
        text = text[:at] + put + text[at + length :]
    reading = read(text, finish)
    assert reading.outcomes.keys() == USERS.keys()
    clocks = {(int(h), int(m)) for h, m in re.findall(r"(?=(\d{1,2})[:：时点](\d\d))", text)}
    for alias, outcome in reading.outcomes.items():
        assert outcome.part == PARTS[alias]
        assert outcome.usable == bool(outcome.events)
        for event in outcome.events:
            assert event.user_id == PARTS[alias].user_id
            assert set(event.type) <= {*text, " "}
            assert all(PARTS[alias].first <= index <= PARTS[alias].last for index in event.behaviors)
            if not event.grounded:
                assert (int(event.start[11:13]), int(event.start[14:16])) in clocks


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["stop", "length"]))
def test_any_text_leaves_outcomes_for_all(text: str, finish: FinishReason) -> None:
    assert read(text, finish).outcomes.keys() == USERS.keys()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(FORMS.values())), st.data())
def test_a_cut_answer_never_yields_more_or_other_events(text: str, data: st.DataObject) -> None:
    cut = text[: data.draw(st.integers(0, len(text)))]
    for alias, found in told(read(cut, "length")).items():
        assert found == GOOD[alias] or isinstance(found, str)
    outcomes = read(cut, "stop").outcomes
    for alias, outcome in outcomes.items():  # if the model says that it is whole, its last words are believed
        assert not outcome.usable or [e.behaviors for e in outcome.events] == [e[-1] for e in GOOD[alias]]


def test_a_flood_of_events_about_one_user_takes_little_memory_and_leaves_the_others_alone() -> None:
    flood = "".join(f"00:00-01-03 23:59 t{number}\n" for number in range(20_000))
    rows = ",".join(f'["01-01 00:00","01-03 23:59","t{number}"]' for number in range(20_000))
    for text in (
        LINES.replace("10:00-11:14 用餐 | 西餐厅用餐\n", flood),
        f'{{"U1":[{rows}],"U2":{dumped(ROWS["U2"])}}}',
    ):
        tracemalloc.start()
        reading = read(text)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert told(reading) == {"U1": "too_many", "U2": GOOD["U2"]}
        assert peak < 20 * len(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("plain", AnswerText("plain")),
        ("\ufeff plain", AnswerText("plain")),
        ("<think>a</think>b", AnswerText("b")),
        ("a</think>b", AnswerText("b")),
        ("<think>a</think>b</think>c", AnswerText("c")),
        ("b\n<think>a</think>", AnswerText("b\n")),
        ("a</think>", AnswerText("")),
        ("<think>a", AnswerText("", "a")),
        ("b\n<THINKING>a", AnswerText("b\n", "a")),
        ("b <think>a", AnswerText("b <think>a")),
        ("[THINK]a[/THINK]b", AnswerText("b")),
        ("◁think▷a◁/think▷b", AnswerText("b")),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", AnswerText("b")),
        ("<thinker>a</thinker>b", AnswerText("<thinker>a</thinker>b")),
    ],
)
def test_reasoning_is_taken_away(text: str, answer: AnswerText) -> None:
    assert without_reasoning(text) == answer
