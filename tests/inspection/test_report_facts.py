"""What a report is told by the ledger."""

from contextlib import closing
from pathlib import Path

import pytest

from eventabs.inspection import StoredCall, TokenUse, inspect_run, open_report_facts
from eventabs.shared_records import Part
from eventabs.store.ledger import Ledger
from report_kit import make_run


def test_the_headline_counts_what_the_ledger_holds(tmp_path: Path) -> None:
    make_run(tmp_path)
    with open_report_facts(tmp_path) as facts:
        assert (facts.run.users, facts.run.done, facts.run.failed) == (3, 1, 1)
        assert (facts.run.events, facts.run.journeys, facts.run.minor) == (2, 1, 1)
        assert (facts.run.calls, facts.run.retries) == (2, 4)
        assert facts.run.cost == pytest.approx((200 * 2 + 80 * 8) / 1e6)
        assert facts.run.endpoint[:3] == ("openai", "deepseek-chat", "api.example.com")
        assert facts.inputs == ("behaviors.csv",)


def test_the_time_is_that_of_status_however_long_a_run_stood_still(tmp_path: Path) -> None:
    make_run(tmp_path)
    with closing(Ledger.open(tmp_path / "ledger.sqlite")) as ledger:
        ledger.set_meta({"progress": {"seconds": 18.3}})
    state = inspect_run(tmp_path, now=lambda: 5_000.0)
    with open_report_facts(tmp_path) as facts:
        assert facts.run.seconds == state.seconds == 18.3


def test_every_user_is_told_in_order_of_the_ids_with_log_and_events(tmp_path: Path) -> None:
    make_run(tmp_path)
    with open_report_facts(tmp_path) as facts:
        users = list(facts.users)
        logs = [facts.log(row.user_id) for row, _made in users]
    assert [(row.user_id, row.state, row.reason) for row, _made in users] == [
        ("ann", "done", None),
        ("bob", "failed", "cut"),
        ("cy", "pending", None),
    ]
    assert [len(made.events) for _row, made in users] == [2, 0, 0]
    assert [(journey["kind"], journey["converted"]) for journey in users[0][1].journeys] == [("用餐", True)]
    assert [each.rows.minor for each in logs] == [[2], [], []]
    assert {len(each.log.behaviors) for each in logs} == {3}


def test_a_call_has_its_tokens_and_how_it_ended(tmp_path: Path) -> None:
    make_run(tmp_path)
    with open_report_facts(tmp_path) as facts:
        answered, failed = facts.calls
    assert (answered.id, answered.status, answered.finish_reason) == (1, "read", "length")
    assert (answered.cached_tokens, answered.reasoning_tokens) == (50, 20)
    assert (failed.id, failed.status, failed.prompt_tokens) == (2, "failed", 0)


def test_a_call_has_its_texts_and_what_it_brought_each_user(tmp_path: Path) -> None:
    make_run(tmp_path)
    with open_report_facts(tmp_path) as facts:
        text, broken = facts.calls
    assert [(alias, part.user_id, text.brought[alias]) for alias, part in text.asked.items()] == [
        ("U1", "ann", "usable"),
        ("U2", "bob", "cut"),
    ]
    assert (len(broken.asked), broken.brought) == (1, {})
    assert [message["content"] for message in text.messages] == ["extract", "ann\nbob"]
    assert text.reply == "<think>hm</think>## U1\n10:0"
    assert (broken.reply, broken.error) == ("", "HTTP 503")


def test_paths_lead_to_the_first_marked_category(tmp_path: Path) -> None:
    make_run(tmp_path)
    with open_report_facts(tmp_path) as facts:
        assert facts.goal == "conversion"
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    settings = ledger.meta()["settings"]
    categories = [{"name": "plain", "mark": ""}, {"name": "sale", "mark": "$"}]
    ledger.set_meta({"settings": settings | {"vocabulary": {"categories": categories}}})
    ledger.close()
    with open_report_facts(tmp_path) as facts:
        assert facts.goal == "sale"


def test_a_cause_has_its_counts_and_the_raw_reply(tmp_path: Path) -> None:
    make_run(tmp_path)
    with open_report_facts(tmp_path) as facts:
        ((*cause, examples),) = facts.failures
    assert cause == ["cut", 1, 1, 1]  # bad answers, users, failed
    ((user_id, _call, finish_reason, reply, left_out),) = examples
    assert (user_id, finish_reason, left_out) == ("bob", "length", 0)
    assert reply == "<think>hm</think>## U1\n10:0"


def test_the_middle_of_a_long_reply_is_left_out_and_counted(tmp_path: Path) -> None:
    make_run(tmp_path, reply="a" * 3_000 + "b" * 50_000 + "c" * 600)
    with open_report_facts(tmp_path) as facts:
        ((*_told, reply, left_out),) = facts.failures[0][-1]
    assert left_out == 50_000
    assert "b" not in reply
    assert reply.startswith("a" * 3_000)
    assert reply.endswith("c" * 600)


def test_a_call_tells_when_it_was_sent_and_ended_and_whom_it_served(tmp_path: Path) -> None:
    make_run(tmp_path)
    with open_report_facts(tmp_path) as facts:
        answered, failed = facts.calls
    assert (len(answered.asked), answered.usable, answered.sent_at, answered.seconds) == (2, 1, 1_000.0, 2.0)
    assert answered.ended_at is not None
    assert answered.ended_at > answered.sent_at
    assert (failed.usable, failed.seconds) == (0, None)


def _use(path: Path) -> TokenUse:
    with open_report_facts(path) as facts:
        return next(facts.calls).use(len)


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
    use = _use(tmp_path)
    assert use.reasoning == 10  # 20 tokens that the endpoint counted, for the half that was of use
    assert use.answers == 30
