"""Whole runs against a model that answers otherwise than asked: its answers are not bought again."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from house import eventabs, lines, write_users
from openai_server import DAY, OpenAIServer, answer, answer_by_day, read_blocks

EVENT = re.compile(r"(\S+) (\S+) \| (.+)")


def told(message: str) -> dict[str, list[tuple[str, str, str, str]]]:
    """Return (day, times, type, summary) of each event of a good answer, by alias."""
    events: dict[str, list[tuple[str, str, str, str]]] = {}
    alias = day = ""
    for line in answer_by_day(message).splitlines():
        if DAY.match(line):
            day = line[2:]
        elif line.startswith("## "):
            alias = line[3:]
        elif event := EVENT.fullmatch(line):
            events.setdefault(alias, []).append((day, event[1], event[2], event[3]))
    return events


def without_end(message: str) -> str:
    return answer_by_day(message).removesuffix("\n##")


def rows_with_the_type_first(message: str) -> str:
    rows = [
        f"{alias}|{kind}|{day} {times}|{summary}|engagement"
        for alias, events in told(message).items()
        for day, times, kind, summary in events
    ]
    return "\n".join([*rows, "##"])


def other_keys(message: str) -> str:
    return json.dumps(
        [
            {"用户": a, "事件": [{"日期": d, "发生时间": t, "类型": k, "内容": s} for d, t, k, s in events]}
            for a, events in told(message).items()
        ],
        ensure_ascii=False,
    )


def single_quotes_and_a_field_behind(message: str) -> str:
    return "\n".join(
        repr({"u": a, "events": [(f"{d} {t}", k, "", s) for d, t, k, s in events], "count": len(events)})
        for a, events in told(message).items()
    )


def tags_in_a_fence(message: str) -> str:
    return f"```\n{answer_by_day(message).replace('次', '次</think>')}\n```"


FORMS = [without_end, rows_with_the_type_first, other_keys, single_quotes_and_a_field_behind, tags_in_a_fence]


@pytest.mark.parametrize("form", FORMS)
def test_an_odd_form_costs_no_second_call(
    tmp_path: Path, openai_server: OpenAIServer, form: Callable[[str], str]
) -> None:
    openai_server.behavior = answer(form)
    write_users(tmp_path / "input.jsonl", users=4)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--out", "out")
    done = eventabs("run", "input.jsonl", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(openai_server.requests) == 1
    events = lines(tmp_path / "out" / "events.jsonl")
    assert len(events) == 16
    assert {event["type"] for event in events} == {"浏览"}
    assert {event["summary"].removesuffix("</think>") for event in events} == {"3次"}
    assert all(len(event["behaviors"]) == 3 for event in events)


def test_a_model_that_copies_the_log_is_asked_again_and_the_reason_is_told(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    def copies(message: str) -> str:
        if len(openai_server.requests) > 1:
            return answer_by_day(message)
        return "\n".join("\n".join((f"## {alias}", *block)) for alias, block in read_blocks(message).items())

    openai_server.behavior = answer(copies)
    write_users(tmp_path / "input.jsonl", users=2)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--out", "out", "-v")
    done = eventabs("run", "input.jsonl", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "copies the user's lines instead of merging them (2); 24 events copy their lines" in done.stderr
    assert {event["summary"] for event in lines(tmp_path / "out" / "events.jsonl")} == {"3次"}
