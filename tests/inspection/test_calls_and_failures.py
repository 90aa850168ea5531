"""Calls, and why answers and users failed, as the ledger has them."""

from pathlib import Path
from typing import Any

from eventabs.inspection import StoredCall, TokenUse, failures, stored_calls
from eventabs.shared_records import Part
from eventabs.store.ledger import Ledger
from report_kit import make_run


def _calls(path: Path) -> list[StoredCall]:
    with Ledger.watch(path / "ledger.sqlite") as ledger:
        return list(stored_calls(ledger))


def _failures(path: Path) -> list[tuple[Any, ...]]:
    with Ledger.watch(path / "ledger.sqlite") as ledger:
        return list(failures(ledger))


def test_a_call_has_its_tokens_and_how_it_ended(tmp_path: Path) -> None:
    make_run(tmp_path)
    answered, failed = _calls(tmp_path)
    assert (answered.id, answered.status, answered.finish_reason) == (1, "read", "length")
    assert (answered.cached_tokens, answered.reasoning_tokens) == (50, 20)
    assert (failed.id, failed.status, failed.prompt_tokens) == (2, "failed", 0)


def test_a_call_has_its_texts_and_what_it_brought_each_user(tmp_path: Path) -> None:
    make_run(tmp_path)
    text, broken = _calls(tmp_path)
    assert [(alias, part.user_id, text.brought[alias]) for alias, part in text.asked.items()] == [
        ("U1", "ann", "usable"),
        ("U2", "bob", "cut"),
    ]
    assert (len(broken.asked), broken.brought) == (1, {})
    assert [message["content"] for message in text.messages] == ["extract", "ann\nbob"]
    assert text.reply == "<think>hm</think>## U1\n10:0"
    assert (broken.reply, broken.error) == ("", "HTTP 503")


def test_a_cause_has_its_counts_and_the_raw_reply(tmp_path: Path) -> None:
    make_run(tmp_path)
    ((*cause, examples),) = _failures(tmp_path)
    assert cause == ["cut", 1, 1, 1]  # bad answers, users, failed
    ((user_id, _call, finish_reason, reply, left_out),) = examples
    assert (user_id, finish_reason, left_out) == ("bob", "length", 0)
    assert reply == "<think>hm</think>## U1\n10:0"


def test_the_middle_of_a_long_reply_is_left_out_and_counted(tmp_path: Path) -> None:
    make_run(tmp_path, reply="a" * 3_000 + "b" * 50_000 + "c" * 600)
    ((*_told, reply, left_out),) = _failures(tmp_path)[0][-1]
    assert left_out == 50_000
    assert "b" not in reply
    assert reply.startswith("a" * 3_000)
    assert reply.endswith("c" * 600)


def test_a_call_tells_when_it_was_sent_and_ended_and_whom_it_served(tmp_path: Path) -> None:
    make_run(tmp_path)
    answered, failed = _calls(tmp_path)
    assert (len(answered.asked), answered.usable, answered.sent_at, answered.seconds) == (2, 1, 1_000.0, 2.0)
    assert answered.ended_at is not None
    assert answered.ended_at > answered.sent_at
    assert (failed.usable, failed.seconds) == (0, None)


def test_the_tokens_of_a_call_are_split_without_a_rest() -> None:
    usable = {"U1": "usable", "U2": "usable", "U3": "usable", "U4": "cut"}
    asked = dict.fromkeys(usable, Part("u", 0, 1))
    call = StoredCall(
        1, asked, usable, ({"role": "system", "content": "x" * 20},), "", "", "read", 0.0, 1.0, 1.0, 1, None, None,
        100, 1_000, 400, 0, 100, None,
    )  # fmt: skip
    assert call.use(len) == TokenUse(150, 600, 75, 225, 350)
    assert sum(call.use(len)) == 1_400


def test_reasoning_inside_the_reply_is_told_by_its_characters(tmp_path: Path) -> None:
    make_run(tmp_path, reply="<think>" + "x" * 93 + "</think>" + "y" * 108)
    use = _calls(tmp_path)[0].use(len)
    assert use.reasoning == 10  # 20 tokens that the endpoint counted, for the half that was of use
    assert use.answers == 30
