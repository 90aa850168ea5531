"""Whole runs against a model that answers otherwise than asked: an answer that can be read is not bought again."""

import re
from pathlib import Path

from house import lines, ran, write_users
from openai_server import OpenAIServer, answer, answer_by_day


def dressed(message: str) -> str:
    told = re.sub(r"^浏览", "● 浏览：", answer_by_day(message).replace("-", "–"), flags=re.MULTILINE)
    return f"<think>U1 10:00 …</think>好的，结果如下：\n```\n{told}\n```\n如需调整请告诉我。"


def test_an_odd_form_costs_no_second_call(tmp_path: Path, openai_server: OpenAIServer) -> None:
    openai_server.behavior = answer(dressed)
    write_users(tmp_path / "input.jsonl", users=4)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--out", "out")
    ran("run", "input.jsonl", *flags, cwd=tmp_path)
    assert len(openai_server.requests) == 1
    events = lines(tmp_path / "out" / "events.jsonl")
    assert [event["behaviors"] for event in events] == [[n, n + 1, n + 2] for n in range(0, 12, 3)] * 4
    assert {event["type"] for event in events} == {"浏览"}


def test_an_answer_that_counts_anew_for_each_user_is_asked_for_again_with_fewer_users(
    tmp_path: Path, openai_server: OpenAIServer
) -> None:
    def anew(message: str) -> str:
        return re.sub(r"浏览 .+", "浏览 1-3 4-6 7-9 10-12", answer_by_day(message))

    openai_server.behavior = answer(anew)
    write_users(tmp_path / "input.jsonl", users=4)
    flags = ("--model", "m", "--base-url", openai_server.base_url, "--out", "out")
    done = ran("run", "input.jsonl", *flags, cwd=tmp_path)
    assert sorted(len(request.blocks) for request in openai_server.requests) == [1, 1, 1, 1, 4]
    assert "the reply numbers the rows of each user anew" in done.stderr
    assert len(lines(tmp_path / "out" / "events.jsonl")) == 4 * 4
